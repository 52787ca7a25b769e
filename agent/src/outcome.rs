//! How a job ended, from what its worker said, how the worker's process ended, and what the keeper found of the volume.

use bakehouse_protocol::{AgentPhase, Failure, Outcome, Proof};
use nix::sys::signal::Signal;

use crate::host::End;

/// What the keeper found of the volume after the worker, and with it every process and mount of the job, was gone.
#[derive(Debug)]
pub(crate) enum Volume {
    /// The job took no disk.
    NotTaken,
    /// Nobody holds it, and what was written to it is on it.
    Free(Proof),
    /// Somebody holds it, or that could not be found out: why.
    Held(String),
}

/// Where the job was when its worker ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) phase: AgentPhase,
    pub(crate) provisioner: Option<u32>,
}

/// Decides how the job ended. The worker's word alone makes no image: it counts as done only if the worker's process
/// ended well and the keeper itself found the volume free. The proof is the keeper's, with the worker's details.
pub(crate) fn decide(
    said: Option<Outcome>,
    end: Option<End>,
    killed_by_us: bool,
    at: Position,
    volume: Volume,
) -> Outcome {
    let ended_well = end == Some(End::Exited(0));
    let outcome = match said {
        Some(Outcome::Done(_)) if !ended_well => failed(at, ended(end), None),
        Some(outcome) => outcome,
        // What was asked for did happen, if not in order.
        None if killed_by_us => Outcome::Cancelled { proof: None },
        None => failed(at, ended(end), Some("see the host's kernel log; SIGKILL is most often \"out of memory\"")),
    };
    match (outcome, volume) {
        (Outcome::Done(details), Volume::Free(proof)) => Outcome::Done(checked(Some(details), proof)),
        (Outcome::Done(_), Volume::NotTaken) => {
            failed(at, "the agent's worker said that the job was done, but it took no disk".to_owned(), None)
        }
        (Outcome::Done(_), Volume::Held(why)) => {
            let at = Position { phase: AgentPhase::Unmount, provisioner: None };
            failed(at, format!("the disk is not free after the job: {why}"), None)
        }
        (outcome, volume) => with_proof(outcome, |details| match volume {
            Volume::NotTaken => Some(details.unwrap_or_default()),
            Volume::Free(proof) => Some(checked(details, proof)),
            Volume::Held(_) => None,
        }),
    }
}

/// The keeper's proof with what only the worker can know.
fn checked(details: Option<Proof>, proof: Proof) -> Proof {
    match details {
        Some(Proof { filesystem, killed, .. }) => Proof { filesystem, killed, ..proof },
        None => proof,
    }
}

fn with_proof(outcome: Outcome, prove: impl FnOnce(Option<Proof>) -> Option<Proof>) -> Outcome {
    match outcome {
        Outcome::Done(proof) => Outcome::Done(proof),
        Outcome::Failed { failure, proof } => Outcome::Failed { failure, proof: prove(proof) },
        Outcome::Cancelled { proof } => Outcome::Cancelled { proof: prove(proof) },
        Outcome::Lost { why, proof } => Outcome::Lost { why, proof: prove(proof) },
    }
}

fn ended(end: Option<End>) -> String {
    let how = match end {
        Some(End::Signaled(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was ended by {signal}"),
            Err(_) => format!("was ended by signal {number}"),
        },
        Some(End::Exited(code)) => format!("ended with status {code}"),
        _ => "ended".to_owned(),
    };
    format!("the agent's worker {how} before the job was done")
}

fn failed(at: Position, message: String, hint: Option<&str>) -> Outcome {
    let Position { phase, provisioner } = at;
    let hint = hint.map(str::to_owned);
    Outcome::Failed { failure: Failure { phase, provisioner, message, tail: Vec::new(), hint }, proof: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(device: &str) -> Proof {
        Proof { device: device.to_owned(), filesystem: "ext4".to_owned(), killed: vec!["sleep (pid 7)".to_owned()] }
    }

    fn free() -> Volume {
        Volume::Free(Proof { device: "/dev/loop1".to_owned(), ..Proof::default() })
    }

    const AT: Position = Position { phase: AgentPhase::Provision, provisioner: Some(1) };
    const WELL: Option<End> = Some(End::Exited(0));

    #[test]
    fn done_is_what_the_worker_says_and_the_keeper_finds() {
        let said = || Some(Outcome::Done(proof("/dev/elsewhere")));
        let done = decide(said(), WELL, false, AT, free());
        assert_eq!(done, Outcome::Done(proof("/dev/loop1")), "the device is the keeper's");

        let not_free = decide(said(), WELL, false, AT, Volume::Held("it is mounted at /mnt".to_owned()));
        let Outcome::Failed { failure, proof: None } = not_free else { panic!("{not_free:?}") };
        assert_eq!(failure.message, "the disk is not free after the job: it is mounted at /mnt");

        for end in [Some(End::Exited(7)), Some(End::Signaled(9)), None] {
            let outcome = decide(said(), end, false, AT, free());
            let Outcome::Failed { failure, proof: Some(proof) } = outcome else { panic!("{end:?}: {outcome:?}") };
            assert!(failure.message.starts_with("the agent's worker"), "{}", failure.message);
            assert_eq!((failure.phase, failure.provisioner), (AT.phase, AT.provisioner));
            assert_eq!(proof.device, "/dev/loop1");
        }
        let none = decide(said(), WELL, false, AT, Volume::NotTaken);
        assert!(matches!(none, Outcome::Failed { proof: None, .. }), "{none:?}");
    }

    #[test]
    fn the_proof_of_a_job_that_ended_early_is_the_keepers() {
        let cancelled = |proof| Some(Outcome::Cancelled { proof });
        let outcome = decide(cancelled(Some(proof("/dev/x"))), WELL, false, AT, Volume::Held("busy".to_owned()));
        assert_eq!(outcome, Outcome::Cancelled { proof: None }, "the worker's word makes no proof");
        assert_eq!(
            decide(cancelled(None), WELL, false, AT, free()),
            Outcome::Cancelled { proof: Some(Proof { device: "/dev/loop1".to_owned(), ..Proof::default() }) }
        );
        assert_eq!(
            decide(cancelled(None), WELL, false, AT, Volume::NotTaken),
            Outcome::Cancelled { proof: Some(Proof::default()) }
        );
    }

    #[test]
    fn a_worker_that_says_nothing_failed_unless_we_killed_it() {
        let killed = Some(End::Signaled(9));
        let outcome = decide(None, killed, false, AT, free());
        let Outcome::Failed { failure, proof: Some(_) } = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.message, "the agent's worker was ended by SIGKILL before the job was done");
        assert!(matches!(decide(None, killed, true, AT, free()), Outcome::Cancelled { proof: Some(_) }));
    }
}
