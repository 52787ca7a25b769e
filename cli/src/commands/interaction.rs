//! How the person at the terminal takes part in the builds of a command.

use std::io::IsTerminal as _;

use bakehouse_protocol::{BuildSpec, Interaction, OnError, spec::Action};

use crate::{
    args::{Build, OnErrorArg},
    report::CliError,
};

/// Returns how the person at the terminal takes part. What needs somebody who answers is refused if nobody can.
pub(super) fn interaction(args: &Build, builds: &[BuildSpec]) -> Result<Interaction, CliError> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    of(args, builds, is_terminal)
}

fn of(args: &Build, builds: &[BuildSpec], is_terminal: bool) -> Result<Interaction, CliError> {
    let on_error = match args.on_error {
        OnErrorArg::Cleanup => OnError::Cleanup,
        OnErrorArg::Abort => OnError::Abort,
        OnErrorArg::Ask => OnError::Ask,
        OnErrorArg::RunCleanupProvisioner => OnError::RunCleanupProvisioner,
    };
    // Questions would stand among the lines for programs, which can't answer.
    let answers = is_terminal && !args.json && !args.machine_readable;
    let is_breakpoint = |build: &BuildSpec| {
        let mut steps = build.provisioners.iter().chain(&build.error_cleanup);
        steps.any(|step| matches!(step.action, Action::Breakpoint(_)))
    };
    let asking = match (on_error, args.debug) {
        (OnError::Ask, _) => Some("-on-error=ask asks"),
        (_, true) => Some("-debug waits for Enter"),
        _ => builds.iter().any(is_breakpoint).then_some("a breakpoint waits for Enter"),
    };
    match asking.filter(|_| !answers) {
        Some(asking) => Err(CliError::wrong(format!("{asking}, and nobody can answer here"))
            .hint("run it from a terminal, without --json and -machine-readable")),
        None => Ok(Interaction { answers, debug: args.debug, on_error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Verb};
    use bakehouse_protocol::spec::{Breakpoint, Provisioner, Source};
    use clap::Parser as _;

    fn given(line: &str, builds: &[BuildSpec], is_terminal: bool) -> Option<Interaction> {
        let arguments = Arguments::try_parse_from(format!("b build t.json {line}").split_whitespace()).unwrap();
        let Verb::Build(args) = arguments.verb else { panic!() };
        of(&args, builds, is_terminal).ok()
    }

    #[test]
    fn questions_need_a_terminal() {
        let mut build = BuildSpec::minimal("web", Source::Scratch { size: 1 });
        for line in ["--on-error=ask", "--debug"] {
            assert!(given(line, &[], true).is_some_and(|it| it.answers) && given(line, &[], false).is_none(), "{line}");
            assert!(given(&format!("{line} --json"), &[], true).is_none(), "{line}");
        }
        assert_eq!(given("", std::slice::from_ref(&build), false), Some(Interaction::default()));
        build.provisioners.push(Provisioner::new(Action::Breakpoint(Breakpoint { note: String::new() })));
        assert_eq!(given("", std::slice::from_ref(&build), false), None);
        assert_eq!(given("--on-error abort", &[], false).unwrap().on_error, OnError::Abort);
    }
}
