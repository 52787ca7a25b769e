//! The phase *provision*: runs the steps one after the other, with their pauses, retries and time-outs.

use std::time::{Duration, Instant};

use bakehouse_protocol::{
    AgentPhase, ReportBody,
    mask::Mask,
    spec::{Action, Provisioner, Script},
};

use crate::{
    context::Context,
    error::{Aborted, ErrorContext, JobError},
    file_provisioner,
    setup::{Entered, Provisioned},
    shell_provisioner,
};

impl<'a> Entered<'a> {
    /// Runs this phase.
    pub(crate) fn provision(mut self) -> Result<Provisioned<'a>, Aborted> {
        let cx = self.cx();
        cx.report_phase(AgentPhase::Provision);
        let mask = Mask::new(&cx.job.sensitive);
        let of = u32::try_from(cx.job.provisioners.len()).unwrap_or(u32::MAX);
        for (index, step) in (0..).zip(&cx.job.provisioners) {
            (cx.report)(ReportBody::Provisioner { index, of, title: title(&step.action, &mask) });
            if let Err(error) = self.run_step(index, step, &mask) {
                return Err(self.undo(Aborted::new(AgentPhase::Provision, Some(index), error)));
            }
        }
        // A job that is cancelled at the end of its last step must not count as done.
        match cx.check_cancelled() {
            Ok(()) => Ok(Provisioned(self)),
            Err(error) => Err(self.undo(Aborted::new(AgentPhase::Provision, None, error))),
        }
    }

    /// Runs a step until it succeeds or has no retries left.
    fn run_step(&mut self, index: u32, step: &Provisioner, mask: &Mask) -> Result<(), JobError> {
        let cx = self.cx();
        let mut first = None;
        for attempt in 0..=step.max_retries {
            if let Some(pause) = step.pause_before {
                cx.note(format!("pausing {pause} before the step"));
                sleep(cx, pause.into())?;
            }
            cx.check_cancelled()?;
            // As with Packer, a time-out has no effect together with a pause.
            let timeout = step.timeout.filter(|_| step.pause_before.is_none()).map(Duration::from);
            let error = match self.run_action(index, attempt, &step.action, timeout) {
                Ok(()) => return Ok(()),
                Err(JobError::Cancelled) => return Err(JobError::Cancelled),
                Err(error) => error,
            };
            if attempt < step.max_retries {
                let message = error.to_string();
                cx.note(format!("{}; trying again ({} of {})", mask.apply(&message), attempt + 1, step.max_retries));
            }
            // The first error is reported: later ones often follow from it.
            first.get_or_insert(error);
        }
        first.map_or(Ok(()), Err)
    }

    fn run_action(
        &mut self,
        index: u32,
        attempt: u32,
        action: &Action,
        timeout: Option<Duration>,
    ) -> Result<(), JobError> {
        match action {
            Action::Shell(step) => shell_provisioner::run(self, &format!("{index}-{attempt}"), step, timeout),
            Action::Upload(step) => file_provisioner::upload(self, step),
            Action::Download(step) => file_provisioner::download(self, step),
            Action::Sleep(length) => sleep(self.cx(), (*length).into()),
            Action::ShellLocal(_) | Action::Ansible(_) | Action::AnsibleLocal(_) | Action::Breakpoint(_) => {
                Err(JobError::new("this agent does not support the step"))
            }
        }
    }
}

/// Waits for this long, or until the job is cancelled.
fn sleep(cx: &Context<'_>, length: Duration) -> Result<(), JobError> {
    let end = Instant::now() + length;
    loop {
        cx.check_cancelled()?;
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Ok(());
        }
        cx.host.wait(rest, &[]).context(|| "pausing".to_owned())?;
    }
}

/// Returns a title for a step. Sensitive values are masked in what it quotes from the template.
pub fn title(action: &Action, mask: &Mask) -> String {
    let shown = |text: &str| mask.apply(text).into_owned();
    let first = |mut names: Vec<String>| match names.len() {
        0 => String::new(),
        1 => names.remove(0),
        more => format!("{} and {} more", names[0], more - 1),
    };
    match action {
        Action::Shell(step) => {
            let name = |script: &Script| match script {
                Script::Inline(_) => "inline".to_owned(),
                Script::File(file) => shown(&file.written),
            };
            format!("shell ({})", first(step.scripts.iter().map(name).collect()))
        }
        Action::Upload(step) => {
            let sources = step.sources.iter().map(|file| shown(&file.written)).collect();
            format!("file {} -> {}", first(sources), shown(&step.destination.0))
        }
        Action::Download(step) => {
            let sources = step.sources.iter().map(|source| shown(&source.0)).collect();
            format!("file {} (in the image) -> {}", first(sources), shown(&step.destination))
        }
        Action::ShellLocal(_) => "shell-local".to_owned(),
        Action::Ansible(step) => format!("ansible {}", shown(&step.playbook.written)),
        Action::AnsibleLocal(step) => {
            let playbooks = step.playbooks.iter().map(|file| shown(&file.written)).collect();
            format!("ansible-local {}", first(playbooks))
        }
        Action::Breakpoint(_) => "breakpoint".to_owned(),
        Action::Sleep(length) => format!("sleep {length}"),
    }
}
