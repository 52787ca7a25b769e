//! The phase *provision*: runs the steps one after the other, with their pauses, retries and time-outs.

use bakehouse_protocol::{
    AgentPhase, ReportBody, chain,
    spec::{Action, Provisioner},
};

use crate::{
    ansible, ansible_local,
    attempt::Attempt,
    error::{Aborted, ErrorContext, JobError},
    file_provisioner,
    interaction::{self, AfterFailure},
    setup::{Entered, Provisioned},
    shell_local, shell_provisioner,
    step_title::title,
};

/// What takes the place of a step's number in the names of files of the error-cleanup-provisioner.
const ERROR_CLEANUP: &str = "cleanup";

impl<'a> Entered<'a> {
    /// Runs this phase.
    pub(crate) fn provision(mut self) -> Result<Provisioned<'a>, Aborted> {
        let cx = self.cx();
        cx.report_phase(AgentPhase::Provision);
        let of = u32::try_from(cx.job.provisioners.len()).unwrap_or(u32::MAX);
        for (index, step) in (0..).zip(&cx.job.provisioners) {
            let title = title(&step.action, &cx.mask);
            (cx.report)(ReportBody::Provisioner { index, of, title: title.clone() });
            if let Err(error) = interaction::before(cx, title).and_then(|()| self.run_until_decided(index, step)) {
                return Err(self.undo(Aborted::new(AgentPhase::Provision, Some(index), error)));
            }
        }
        // A job that is cancelled at the end of its last step must not count as done.
        match interaction::before(cx, "leaving the image".to_owned()).and_then(|()| cx.check_cancelled()) {
            Ok(()) => Ok(Provisioned(self)),
            Err(error) => Err(self.undo(Aborted::new(AgentPhase::Provision, None, error))),
        }
    }

    /// Runs a step, and again if a person wants it after a failure. Runs the error-cleanup-provisioner before it
    /// returns the failure, if there is one and the job was not cancelled.
    fn run_until_decided(&mut self, index: u32, step: &Provisioner) -> Result<(), JobError> {
        let cx = self.cx();
        let mut run = 0_u32;
        loop {
            let id = if run == 0 { index.to_string() } else { format!("{index}.{run}") };
            let error = match self.run_step(&id, step) {
                Err(error) if !matches!(error, JobError::Cancelled) => error,
                other => return other,
            };
            let message = chain(&error);
            if step.continue_on_error {
                cx.note(format!("{}; the build goes on (continue_on_error)", cx.mask.apply(&message)));
                return Ok(());
            }
            match interaction::after_failure(cx, &message)? {
                AfterFailure::Retry => run += 1,
                AfterFailure::End => return Err(error),
                AfterFailure::CleanUp => {
                    self.run_error_cleanup()?;
                    return Err(error);
                }
            }
        }
    }

    /// Runs the error-cleanup-provisioner. If it fails, that is a note: the failure of the build is another one.
    fn run_error_cleanup(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        let Some(step) = &cx.job.error_cleanup else {
            return Ok(());
        };
        cx.note(format!("running the error-cleanup-provisioner: {}", title(&step.action, &cx.mask)));
        match self.run_step(ERROR_CLEANUP, step) {
            Err(JobError::Cancelled) => Err(JobError::Cancelled),
            Err(error) => {
                cx.note(format!("the error-cleanup-provisioner failed: {}", cx.mask.apply(&chain(&error))));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Runs a step until it succeeds or has no retries left. `id` is unique for each step.
    fn run_step(&mut self, id: &str, step: &Provisioner) -> Result<(), JobError> {
        let cx = self.cx();
        let mut first = None;
        for number in 0..=step.max_retries {
            if let Some(pause) = step.pause_before {
                cx.note(format!("pausing {pause} before the step"));
                Attempt::unlimited().sleep(cx, pause.into())?;
            }
            cx.check_cancelled()?;
            let running = cx.host.running().context(|| "listing the build's processes".to_owned())?;
            let attempt = Attempt::begin(id, number, step.timeout.map(Into::into));
            let error = match self.run_action(&attempt, &step.action) {
                Ok(()) => return Ok(()),
                Err(JobError::Cancelled) => return Err(JobError::Cancelled),
                Err(error) => error,
            };
            // What it has left in the background would disturb the next try, or go on after its time-out.
            cx.host.kill_newer(&running).context(|| "killing the processes of a failed step".to_owned())?;
            if number < step.max_retries {
                let message = error.to_string();
                cx.note(format!("{}; trying again ({} of {})", cx.mask.apply(&message), number + 1, step.max_retries));
            }
            // The first error is reported: later ones often follow from it.
            first.get_or_insert(error);
        }
        first.map_or(Ok(()), Err)
    }

    fn run_action(&mut self, attempt: &Attempt, action: &Action) -> Result<(), JobError> {
        match action {
            Action::ShellLocal(_) => self.give_to_host()?,
            Action::Breakpoint(_) | Action::Sleep(_) => {}
            _ => self.ensure_in_image()?,
        }
        match action {
            Action::Shell(step) => shell_provisioner::run(self, attempt, step),
            Action::Upload(step) => file_provisioner::upload(self, attempt, step),
            Action::Download(step) => file_provisioner::download(self, attempt, step),
            Action::Sleep(length) => attempt.sleep(self.cx(), (*length).into()),
            Action::Breakpoint(step) => interaction::breakpoint(self.cx(), attempt, step),
            Action::ShellLocal(step) => shell_local::run(self, attempt, step),
            Action::Ansible(step) => ansible::run(self, attempt, step),
            Action::AnsibleLocal(step) => ansible_local::run(self, attempt, step),
        }
    }
}

#[cfg(test)]
#[path = "provision_tests.rs"]
mod tests;
