//! Running the steps, one after the other: pauses, tries, limits.

use std::time::{Duration, Instant};

use bakehouse_protocol::{
    AgentPhase, ReportBody,
    mask::Mask,
    spec::{Action, Provisioner, Script},
};

use crate::{
    context::Context,
    error::{Doing, EarlyEnd, JobError},
    files,
    setup::{Entered, Provisioned},
    shell,
};

impl<'a> Entered<'a> {
    /// Runs every step.
    pub(crate) fn provision(mut self) -> Result<Provisioned<'a>, EarlyEnd> {
        let cx = self.cx();
        cx.phase(AgentPhase::Provision);
        let mask = Mask::new(&cx.job.sensitive);
        let of = u32::try_from(cx.job.provisioners.len()).unwrap_or(u32::MAX);
        for (index, step) in (0..).zip(&cx.job.provisioners) {
            (cx.say)(ReportBody::Provisioner { index, of, title: title(&step.action, &mask) });
            if let Err(fault) = self.step(index, step, &mask) {
                return Err(self.undo(EarlyEnd::new(AgentPhase::Provision, Some(index), fault)));
            }
        }
        // A job that is cancelled during its last moments must not count as done.
        match cx.check_cancelled() {
            Ok(()) => Ok(Provisioned(self)),
            Err(fault) => Err(self.undo(EarlyEnd::new(AgentPhase::Provision, None, fault))),
        }
    }

    fn step(&mut self, index: u32, step: &Provisioner, mask: &Mask) -> Result<(), JobError> {
        let cx = self.cx();
        let mut first = None;
        for attempt in 0..=step.max_retries {
            if let Some(pause) = step.pause_before {
                cx.note(format!("pausing {pause} before the step"));
                sleep(cx, pause.into())?;
            }
            cx.check_cancelled()?;
            // As with Packer, a limit has no effect beside a pause.
            let limit = step.timeout.filter(|_| step.pause_before.is_none()).map(Duration::from);
            let fault = match self.act(index, attempt, &step.action, limit) {
                Ok(()) => return Ok(()),
                Err(JobError::Cancelled) => return Err(JobError::Cancelled),
                Err(fault) => fault,
            };
            if attempt < step.max_retries {
                let why = fault.to_string();
                cx.note(format!("{}; trying again ({} of {})", mask.apply(&why), attempt + 1, step.max_retries));
            }
            // The first error is the one that says most; later ones often follow from it.
            first.get_or_insert(fault);
        }
        first.map_or(Ok(()), Err)
    }

    fn act(&mut self, index: u32, attempt: u32, action: &Action, limit: Option<Duration>) -> Result<(), JobError> {
        match action {
            Action::Shell(step) => shell::run(self, &format!("{index}-{attempt}"), step, limit),
            Action::Upload(step) => files::upload(self, step),
            Action::Download(step) => files::download(self, step),
        }
    }
}

fn sleep(cx: &Context<'_>, length: Duration) -> Result<(), JobError> {
    let end = Instant::now() + length;
    loop {
        cx.check_cancelled()?;
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Ok(());
        }
        cx.host.wait(rest, &[]).doing(|| "pausing".to_owned())?;
    }
}

/// Returns what a step is, for people; what the template says in it is without sensitive values.
fn title(action: &Action, mask: &Mask) -> String {
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
    }
}
