//! Decides how a job ended: from what its worker reported, how the worker's process ended, and the supervisor's own
//! check of the volume.

use bakehouse_protocol::{AgentPhase, Failure, Outcome, Proof};
use nix::sys::signal::Signal;

use crate::{host::ProcessEnd, volume_check::VolumeCheck};

/// What the job was doing when its worker ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) phase: AgentPhase,
    pub(crate) provisioner: Option<u32>,
}

/// Decides how the job ended. The worker's report alone does not lead to an image: the job is done only if the worker's
/// process exited with 0 and the supervisor's own check found the volume free. The proof is the supervisor's, with
/// details of the worker's. `volume` is `None` if the job has opened no disk.
pub(crate) fn decide(
    reported: Option<Outcome>,
    end: Option<ProcessEnd>,
    killed_by_us: bool,
    position: Position,
    volume: Option<VolumeCheck>,
) -> Outcome {
    let succeeded = end == Some(ProcessEnd::Exited(0));
    let outcome = match reported {
        Some(Outcome::Done(_)) if !succeeded => failed(position, worker_ended(end), None),
        Some(outcome) => outcome,
        // The job was to be cancelled, and that has happened.
        None if killed_by_us => Outcome::Cancelled { proof: None },
        None => failed(
            position,
            worker_ended(end),
            Some("see the host's kernel log; SIGKILL is most often \"out of memory\""),
        ),
    };
    match (outcome, volume) {
        (Outcome::Done(details), Some(VolumeCheck::Free(proof))) => Outcome::Done(merged(Some(details), proof)),
        (Outcome::Done(_), None) => failed(
            position,
            "the agent's worker reported that the job was done, but it opened no disk".to_owned(),
            None,
        ),
        (Outcome::Done(_), Some(VolumeCheck::InUse(reason))) => {
            let position = Position { phase: AgentPhase::Unmount, provisioner: None };
            failed(position, format!("the disk is not free after the job: {reason}"), None)
        }
        (outcome, volume) => with_proof(outcome, |details| match volume {
            None => Some(details.unwrap_or_default()),
            Some(VolumeCheck::Free(proof)) => Some(merged(details, proof)),
            Some(VolumeCheck::InUse(_)) => None,
        }),
    }
}

/// Returns the supervisor's proof with what only the worker can know.
fn merged(details: Option<Proof>, proof: Proof) -> Proof {
    match details {
        Some(Proof { filesystem, killed, .. }) => Proof { filesystem, killed, ..proof },
        None => proof,
    }
}

/// Replaces the proof of a job that is not done.
fn with_proof(outcome: Outcome, prove: impl FnOnce(Option<Proof>) -> Option<Proof>) -> Outcome {
    match outcome {
        Outcome::Done(proof) => Outcome::Done(proof),
        Outcome::Failed { failure, proof } => Outcome::Failed { failure, proof: prove(proof) },
        Outcome::Cancelled { proof } => Outcome::Cancelled { proof: prove(proof) },
        Outcome::Lost { why, proof } => Outcome::Lost { why, proof: prove(proof) },
    }
}

/// Says how the worker's process ended.
fn worker_ended(end: Option<ProcessEnd>) -> String {
    let how = match end {
        Some(ProcessEnd::Signaled(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was ended by {signal}"),
            Err(_) => format!("was ended by signal {number}"),
        },
        Some(ProcessEnd::Exited(code)) => format!("ended with status {code}"),
        _ => "ended".to_owned(),
    };
    format!("the agent's worker {how} before the job was done")
}

fn failed(position: Position, message: String, hint: Option<&str>) -> Outcome {
    let Position { phase, provisioner } = position;
    let hint = hint.map(str::to_owned);
    Outcome::Failed { failure: Failure { phase, provisioner, message, tail: Vec::new(), hint }, proof: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(device: &str) -> Proof {
        Proof { device: device.to_owned(), filesystem: "ext4".to_owned(), killed: vec!["sleep (pid 7)".to_owned()] }
    }

    fn free() -> Option<VolumeCheck> {
        Some(VolumeCheck::Free(Proof { device: "/dev/loop1".to_owned(), ..Proof::default() }))
    }

    fn in_use(reason: &str) -> Option<VolumeCheck> {
        Some(VolumeCheck::InUse(reason.to_owned()))
    }

    const AT: Position = Position { phase: AgentPhase::Provision, provisioner: Some(1) };
    const SUCCESS: Option<ProcessEnd> = Some(ProcessEnd::Exited(0));

    #[test]
    fn a_job_is_done_only_if_worker_and_supervisor_agree() {
        let reported = || Some(Outcome::Done(proof("/dev/elsewhere")));
        let done = decide(reported(), SUCCESS, false, AT, free());
        assert_eq!(done, Outcome::Done(proof("/dev/loop1")), "the device is the supervisor's");

        let not_free = decide(reported(), SUCCESS, false, AT, in_use("it is mounted at /mnt"));
        let Outcome::Failed { failure, proof: None } = not_free else { panic!("{not_free:?}") };
        assert_eq!(failure.message, "the disk is not free after the job: it is mounted at /mnt");

        for end in [Some(ProcessEnd::Exited(7)), Some(ProcessEnd::Signaled(9)), None] {
            let outcome = decide(reported(), end, false, AT, free());
            let Outcome::Failed { failure, proof: Some(proof) } = outcome else { panic!("{end:?}: {outcome:?}") };
            assert!(failure.message.starts_with("the agent's worker"), "{}", failure.message);
            assert_eq!((failure.phase, failure.provisioner), (AT.phase, AT.provisioner));
            assert_eq!(proof.device, "/dev/loop1");
        }
        let none = decide(reported(), SUCCESS, false, AT, None);
        assert!(matches!(none, Outcome::Failed { proof: None, .. }), "{none:?}");
    }

    #[test]
    fn the_proof_of_an_aborted_job_is_the_supervisors() {
        let cancelled = |proof| Some(Outcome::Cancelled { proof });
        let outcome = decide(cancelled(Some(proof("/dev/x"))), SUCCESS, false, AT, in_use("busy"));
        assert_eq!(outcome, Outcome::Cancelled { proof: None }, "the worker's report is no proof");
        assert_eq!(
            decide(cancelled(None), SUCCESS, false, AT, free()),
            Outcome::Cancelled { proof: Some(Proof { device: "/dev/loop1".to_owned(), ..Proof::default() }) }
        );
        assert_eq!(
            decide(cancelled(None), SUCCESS, false, AT, None),
            Outcome::Cancelled { proof: Some(Proof::default()) }
        );
    }

    #[test]
    fn a_worker_without_a_report_failed_unless_we_killed_it() {
        let killed = Some(ProcessEnd::Signaled(9));
        let outcome = decide(None, killed, false, AT, free());
        let Outcome::Failed { failure, proof: Some(_) } = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.message, "the agent's worker was ended by SIGKILL before the job was done");
        assert!(matches!(decide(None, killed, true, AT, free()), Outcome::Cancelled { proof: Some(_) }));
    }
}
