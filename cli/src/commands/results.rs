//! How the builds of one command ended, for people and for programs that read Packer's output.

use bakehouse_protocol::{Millis, Timestamp};

use crate::{
    machine_line,
    report::{CliError, Exit},
    summary::Artifact,
    text,
};

/// The id of Packer's builder, in its artifacts.
const BUILDER_ID: &str = "mitchellh.amazon.chroot";

/// How a command prints its builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Lines for people.
    Human,
    /// `--json`.
    Json,
    /// `-machine-readable`.
    MachineReadable,
}

impl Format {
    pub(super) fn of(json: bool, machine_readable: bool) -> Self {
        match (json, machine_readable) {
            (_, true) => Self::MachineReadable,
            (true, false) => Self::Json,
            (false, false) => Self::Human,
        }
    }
}

/// How one build ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// The builder's display name, masked.
    pub(super) name: String,
    pub(super) exit: Exit,
    /// Why it failed, in one line.
    pub(super) error: Option<String>,
    /// Its images.
    pub(super) images: Vec<Artifact>,
}

impl Ended {
    /// Returns a failed build, or one that was never begun.
    pub(super) fn with_error(name: String, error: &CliError) -> Self {
        Self { name, exit: error.exit(), error: Some(error.message().to_owned()), images: Vec::new() }
    }
}

/// How the builds of one command ended.
pub(super) struct Results {
    all: usize,
    format: Format,
    ended: Vec<Ended>,
}

impl Results {
    /// Returns the results of a command with `all` builds, of which these have begun and ended.
    pub(super) fn new(all: usize, format: Format, ended: Vec<Ended>) -> Self {
        Self { all, format, ended }
    }

    /// Prints the results, if there are several builds or for programs. Returns the exit status of the command.
    pub(super) fn finish(&self, began: Timestamp, now: Timestamp) -> Exit {
        let worst = self.ended.iter().map(|ended| ended.exit).max().unwrap_or(Exit::Done);
        let exit = if self.ended.len() < self.all { Exit::Cancelled } else { worst };
        match self.format {
            Format::MachineReadable => {
                let lines = machine_lines(&self.ended, exit, now.since(began));
                lines.iter().for_each(|(target, kind, data)| {
                    let data: Vec<&str> = data.iter().map(String::as_str).collect();
                    machine_line::print(target, kind, &data);
                });
            }
            Format::Human | Format::Json if self.all > 1 => self.print_each(),
            Format::Human | Format::Json => {}
        }
        exit
    }

    fn print_each(&self) {
        let names = |wanted: Exit| -> Vec<&str> {
            self.ended.iter().filter(|ended| ended.exit == wanted).map(|ended| ended.name.as_str()).collect()
        };
        text::err(&format!("{} of {} done", names(Exit::Done).len(), text::count(self.all, "builder")));
        for (exit, word) in [(Exit::Failed, "failed"), (Exit::Wrong, "refused"), (Exit::Cancelled, "cancelled")] {
            let names = names(exit);
            if !names.is_empty() {
                text::err(&format!("  {word}: {}", names.join(", ")));
            }
        }
        if self.ended.len() < self.all {
            text::err(&format!("  not begun: {}", self.all - self.ended.len()));
        }
    }
}

/// The target, the type and the data of a line.
type MachineLine = (String, &'static str, Vec<String>);

/// Returns the last lines of Packer's `build -machine-readable` (its command/build.go).
fn machine_lines(ended: &[Ended], exit: Exit, took: Millis) -> Vec<MachineLine> {
    let mut lines: Vec<MachineLine> = Vec::new();
    let ui = |lines: &mut Vec<MachineLine>, kind: &str, text: String| {
        lines.push((String::new(), "ui", vec![kind.to_owned(), text]));
    };
    ui(&mut lines, "say", format!("\n==> Wait completed after {}", text::packer_duration(took)));
    if exit == Exit::Cancelled {
        ui(&mut lines, "say", "Cleanly cancelled builds after being interrupted.".to_owned());
        return lines;
    }
    let errors: Vec<_> = ended.iter().filter_map(|ended| Some((&ended.name, ended.error.as_ref()?))).collect();
    if !errors.is_empty() {
        lines.push((String::new(), "error-count", vec![errors.len().to_string()]));
        ui(&mut lines, "error", "\n==> Some builds didn't complete successfully and had errors:".to_owned());
    }
    for (name, error) in errors {
        lines.push((name.clone(), "error", vec![error.clone()]));
        ui(&mut lines, "error", format!("--> {name}: {error}"));
    }
    let built: Vec<_> = ended.iter().filter(|ended| ended.error.is_none() && !ended.images.is_empty()).collect();
    if built.is_empty() {
        ui(&mut lines, "say", "\n==> Builds finished but no artifacts were created.".to_owned());
    } else {
        ui(&mut lines, "say", "\n==> Builds finished. The artifacts of successful builds are:".to_owned());
    }
    for Ended { name, images, .. } in built {
        let sorted = |texts: &mut dyn Iterator<Item = String>| {
            let mut texts: Vec<String> = texts.collect();
            texts.sort();
            texts
        };
        let all = sorted(&mut images.iter().map(|image| format!("{}: {}", image.place(), image.id)));
        // Programs read regions and ids here, and take them for the account's own.
        let own = images.iter().filter(|image| image.account.is_none());
        let own = sorted(&mut own.map(|image| format!("{}:{}", image.region, image.id)));
        let text = format!("AMIs were created:\n{}\n", all.join("\n"));
        lines.push((name.clone(), "artifact-count", vec!["1".to_owned()]));
        let mut artifact = |data: &[&str]| {
            let data = std::iter::once("0").chain(data.iter().copied()).map(str::to_owned);
            lines.push((name.clone(), "artifact", data.collect()));
        };
        artifact(&["builder-id", BUILDER_ID]);
        artifact(&["id", &own.join(",")]);
        artifact(&["string", &text]);
        artifact(&["files-count", "0"]);
        artifact(&["end"]);
        ui(&mut lines, "say", format!("--> {name}: {text}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(ended: &[Ended], exit: Exit) -> String {
        let lines = machine_lines(ended, exit, Millis(61_500));
        let line = |(target, kind, data): &MachineLine| {
            let data: Vec<&str> = data.iter().map(String::as_str).collect();
            machine_line::line(Timestamp(0), target, kind, &data)
        };
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn built(name: &str) -> Ended {
        let image = |region: &str, account: Option<&str>, id: &str| Artifact {
            region: region.to_owned(),
            account: account.map(str::to_owned),
            id: id.to_owned(),
            name: "web".to_owned(),
            disk: None,
        };
        let images = vec![
            image("us-west-2", None, "ami-00000002"),
            image("us-east-1", None, "ami-00000001"),
            image("us-east-1", Some("444455556666"), "ami-00000003"),
        ];
        Ended { name: name.to_owned(), exit: Exit::Done, error: None, images }
    }

    #[test]
    fn an_artifact_has_packers_lines() {
        insta::assert_snapshot!(printed(&[built("web")], Exit::Done), @r"
        0,,ui,say,\n==> Wait completed after 1 minute 1 second
        0,,ui,say,\n==> Builds finished. The artifacts of successful builds are:
        0,web,artifact-count,1
        0,web,artifact,0,builder-id,mitchellh.amazon.chroot
        0,web,artifact,0,id,us-east-1:ami-00000001%!(PACKER_COMMA)us-west-2:ami-00000002
        0,web,artifact,0,string,AMIs were created:\nus-east-1 of account 444455556666: ami-00000003\nus-east-1: ami-00000001\nus-west-2: ami-00000002\n
        0,web,artifact,0,files-count,0
        0,web,artifact,0,end
        0,,ui,say,--> web: AMIs were created:\nus-east-1 of account 444455556666: ami-00000003\nus-east-1: ami-00000001\nus-west-2: ami-00000002\n
        ");
    }

    #[test]
    fn errors_are_counted_and_come_before_the_artifacts() {
        let failed = Ended::with_error("one".to_owned(), &CliError::failed("exit 1, twice"));
        insta::assert_snapshot!(printed(std::slice::from_ref(&failed), Exit::Failed), @r"
        0,,ui,say,\n==> Wait completed after 1 minute 1 second
        0,,error-count,1
        0,,ui,error,\n==> Some builds didn't complete successfully and had errors:
        0,one,error,exit 1%!(PACKER_COMMA) twice
        0,,ui,error,--> one: exit 1%!(PACKER_COMMA) twice
        0,,ui,say,\n==> Builds finished but no artifacts were created.
        ");
        let both = printed(&[failed, built("two")], Exit::Failed);
        assert!(both.find("one,error").unwrap() < both.find("two,artifact-count").unwrap(), "{both}");
    }

    #[test]
    fn a_cancelled_command_lists_nothing() {
        let lines = printed(&[built("web")], Exit::Cancelled);
        assert!(lines.ends_with("Cleanly cancelled builds after being interrupted."), "{lines}");
        assert!(!lines.contains("artifact"), "{lines}");
    }
}
