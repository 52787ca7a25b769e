//! Renders errors: message, causes, the last lines of the failed step, a hint.

use std::{error::Error, io, process::ExitCode};

use bakehouse_controller::mask::Mask;
use bakehouse_localcloud::disks::LocalError;
use bakehouse_machine::{FailureReason, Fault};
use console::style;

use crate::text;

/// The exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything asked for is done.
    Done,
    /// `fmt -check`: a file is not in its canonical form.
    Different,
    /// A build failed, or something else that was right to ask for did not work.
    Failed,
    /// The template or the arguments are wrong.
    Wrong,
    /// Somebody cancelled.
    Cancelled,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Different => Self::from(3),
            Exit::Failed => Self::from(1),
            Exit::Wrong => Self::from(2),
            // 128 + SIGINT, as a shell tells it.
            Exit::Cancelled => Self::from(130),
        }
    }
}

/// The error of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CliError {
    message: String,
    causes: Vec<String>,
    tail: Vec<String>,
    hint: Option<String>,
    exit: Exit,
}

impl CliError {
    /// Returns an error of the user: exit code 2.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), tail: Vec::new(), hint: None, exit: Exit::Wrong }
    }

    /// Returns a failure: exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, ..Self::wrong(message) }
    }

    /// An error and its causes. A call to a stack's services that failed is one line, whatever it was made for: which
    /// call it was and, if it may not be made, which permission is missing.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        #[cfg(feature = "aws")]
        if let Some(bakehouse_protocol::Fault { message, hint, .. }) = failed_call(error) {
            return Self { hint: hint.clone(), ..Self::failed(message.clone()) };
        }
        let mut shown = Self::failed(error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some crates repeat their source in their own message; then it has been said.
            let said = shown.causes.last().unwrap_or(&shown.message);
            if !said.ends_with(&text) {
                shown.causes.push(text);
            }
            source = cause.source();
        }
        shown.hint = known_hint(error);
        shown
    }

    /// Returns the error of a fault.
    pub(crate) fn fault(fault: &Fault) -> Self {
        Self { hint: fault.hint.clone(), ..Self::failed(fault.message.clone()) }
    }

    /// Returns why a build failed.
    pub(crate) fn reason(reason: &FailureReason) -> Self {
        let (tail, hint) = match &reason.failure {
            Some(failure) => (failure.tail.clone(), failure.hint.clone()),
            None => (Vec::new(), None),
        };
        let step = reason.failure.as_ref().and_then(|failure| failure.provisioner);
        let message = match step {
            Some(index) => format!("provisioner {}: {}", index + 1, reason.message),
            None => reason.message.clone(),
        };
        Self { tail, hint: reason.hint.clone().or(hint), ..Self::failed(message) }
    }

    /// Adds a hint.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Returns the error as one of the user.
    pub(crate) fn by_user(self) -> Self {
        self.with_exit(Exit::Wrong)
    }

    /// Returns it with another exit status.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// What has failed, in one line.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// How the process ends with it.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns it without these values: for an error from elsewhere, which may quote what a template says.
    pub(crate) fn hide(mut self, mask: &Mask) -> Self {
        let own = std::iter::once(&mut self.message).chain(&mut self.causes).chain(&mut self.hint);
        own.for_each(|text| *text = mask.apply(text).into_owned());
        self
    }

    /// The lines to print; colours as far as standard error takes them.
    pub(crate) fn render(&self) -> String {
        let mut lines = vec![format!("{} {}", style("error:").red().bold().for_stderr(), self.message)];
        lines.extend(self.causes.iter().map(|cause| format!("  because: {cause}")));
        if !self.tail.is_empty() {
            lines.push("  the step's last lines:".to_owned());
            let bar = style("|").dim().for_stderr();
            lines.extend(self.tail.iter().map(|line| format!("    {bar} {}", text::plain(line))));
        }
        if let Some(hint) = &self.hint {
            lines.push(format!("{} {}", style("hint:").cyan().bold().for_stderr(), hint));
        }
        lines.join("\n")
    }
}

impl<E: Error + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

/// Returns the fault of the call to AWS that an error comes from.
#[cfg(feature = "aws")]
fn failed_call<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a bakehouse_protocol::Fault> {
    use bakehouse_aws::CallError;
    let mut next = Some(error);
    while let Some(error) = next {
        // A boxed one is an error of its own type.
        let boxed = || error.downcast_ref::<Box<CallError>>().map(|boxed| &**boxed);
        if let Some(found) = error.downcast_ref::<CallError>().or_else(boxed) {
            return Some(&found.fault);
        }
        next = error.source();
    }
    None
}

/// Prints a note.
pub(crate) fn note(text: &str) {
    text::err(&format!("{} {text}", style("note:").bold().for_stderr()));
}

/// Returns the hint for common causes.
fn known_hint(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(hint) = error.downcast_ref::<LocalError>().and_then(LocalError::hint) {
            return Some(hint);
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::PermissionDenied => {
                    Some("is it another user's? Run it with sudo, and name the same --state".to_owned())
                }
                io::ErrorKind::StorageFull => Some("make room on that file system".to_owned()),
                _ => None,
            };
        }
        if error.is::<serde_json::Error>() {
            return Some(
                "it is damaged, or not ours: move it away to begin anew (what it knew is then forgotten)".into(),
            );
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_machine::build::PhaseName;
    use bakehouse_protocol::{AgentPhase, Failure};

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    fn render(error: &CliError) -> String {
        console::strip_ansi_codes(&error.render()).into_owned()
    }

    #[test]
    fn a_chain_is_told_once() {
        let error = Layer("opening a", Some(Box::new(Layer("reading b", Some(Box::new(Layer("reading b", None)))))));
        insta::assert_snapshot!(render(&CliError::of(&error)), @r"
        error: opening a
          because: reading b
        ");
    }

    #[test]
    fn an_error_from_elsewhere_is_told_without_sensitive_values() {
        let error = Layer("the role web-error", Some(Box::new(Layer("no profile web-error", None))));
        insta::assert_snapshot!(render(&CliError::of(&error).hide(&Mask::new(&["web-error".into()]))), @r"
        error: the role <sensitive>
          because: no profile <sensitive>
        ");
    }

    #[test]
    fn a_failed_step_shows_its_last_lines_and_the_advice() {
        let failure = Failure {
            phase: AgentPhase::Provision,
            provisioner: Some(0),
            message: "unused here".into(),
            tail: vec!["E: \u{1b}[31mno space\u{1b}[0m".into()],
            hint: Some("make room".into()),
        };
        let reason = FailureReason {
            phase: PhaseName::Provisioning,
            message: "the script inline exited with status 100".into(),
            hint: None,
            failure: Some(failure),
        };
        let rendered = CliError::reason(&reason).render();
        insta::assert_snapshot!(console::strip_ansi_codes(&rendered), @r"
        error: provisioner 1: the script inline exited with status 100
          the step's last lines:
            | E: no space
        hint: make room
        ");
    }
}
