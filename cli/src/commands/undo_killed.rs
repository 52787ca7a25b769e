//! Undoes the builds of killed runs and removes what else they left: for `sweep`, `cancel`, and before a new build.

use bakehouse_controller::{
    mask::Mask,
    ports::{Keys, Parameters},
};
use bakehouse_ec2::Ec2;
use bakehouse_machine::{Build, Phase};
use bakehouse_runner::LocalRunner;

use crate::{
    printer::Human,
    report::{CliError, note},
    screen::Screen,
    signals::{BuildTracker, LatestBuilds, SignalListener},
    summary, text,
};

/// Removes what killed agents and killed users of the embedded cloud have left, beside their builds. Returns how many
/// things were removed, and what could not be.
pub(super) fn clear(runner: &LocalRunner) -> (usize, Vec<CliError>) {
    let (mut removed, mut errors) = (0, Vec::new());
    match bakehouse_agent::recover(&runner.agent_settings().run_dir) {
        Ok(cleared) => {
            removed += cleared.len();
            cleared.iter().for_each(|thing| text::err(&format!("removed {thing}")));
        }
        Err(error) => errors.push(CliError::of(&error)),
    }
    for orphan in runner.orphans().unwrap_or_else(|error| {
        errors.push(CliError::of(&error));
        Vec::new()
    }) {
        match runner.remove_orphan(&orphan) {
            Ok(()) => {
                removed += 1;
                text::err(&format!("removed {orphan}"));
            }
            Err(error) => errors.push(CliError::of(&error)),
        }
    }
    // Listed only now: undoing the builds has removed most of it.
    for thing in runner.cloud().leftovers().unwrap_or_else(|error| {
        errors.push(CliError::of(&error));
        Vec::new()
    }) {
        match runner.cloud().remove_leftover(&thing) {
            Ok(()) => {
                removed += 1;
                text::err(&format!("removed {thing}"));
            }
            Err(error) => errors.push(CliError::of(&error)),
        }
    }
    (removed, errors)
}

/// Removes what an agent that was killed while this build ran has left; one that ended by itself has left nothing.
pub(super) fn clear_job<E: Ec2, P: Parameters + Keys>(runner: &LocalRunner<E, P>, build: &Build) {
    let run_dir = &runner.agent_settings().run_dir;
    if run_dir.join(build.id.as_str()).exists()
        && let Err(error) = bakehouse_agent::recover(run_dir)
    {
        text::err(&CliError::of(&error).render());
    }
}

/// Undoes builds that killed runs have left, before a new one starts. Returns how many; 0, too, if a signal ended it
/// early.
pub(super) fn undo_left<E: Ec2, P: Parameters + Keys>(
    runner: &LocalRunner<E, P>,
    left: &[Build],
    screen: &Screen,
    latest: &LatestBuilds,
    signals: &SignalListener,
) -> Result<usize, CliError> {
    for build in left {
        if signals.is_cancelled() {
            return Ok(0);
        }
        note(&format!("build {} was left by a killed run and is undone first", build.id));
        undo_to_end(runner, build, screen, latest)?;
    }
    Ok(left.len())
}

/// Undoes a build that no process drives any more, and prints the result.
pub(super) fn undo_to_end<E: Ec2, P: Parameters + Keys>(
    runner: &LocalRunner<E, P>,
    build: &Build,
    screen: &Screen,
    latest: &LatestBuilds,
) -> Result<(), CliError> {
    let mut human = Human::new(screen.clone(), Mask::default());
    let mut observer = BuildTracker::new(latest.clone(), &mut human);
    let ended = runner.undo_orphaned(&build.id, &mut observer);
    screen.clear_status();
    match ended? {
        // Another process undoes it.
        None => {}
        Some(ended) => {
            clear_job(runner, &ended);
            if let Phase::Failed(reason) = &ended.phase {
                text::err(&CliError::reason(reason).render());
            }
            text::err(&summary::undone(&ended));
        }
    }
    Ok(())
}
