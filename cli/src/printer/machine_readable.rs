//! What Packer's `-machine-readable` prints of a build: the texts of its `amazon-chroot` builder, for what happens
//! here, too. The texts are those of the plugin's `builder/chroot` at 1.8.2.

use bakehouse_controller::{drive::Observer, mask::Mask};
use bakehouse_machine::{Build, Event, Phase, UndoReason, VolumeStage, build::PhaseName};
use bakehouse_protocol::{AgentPhase, Report, ReportBody, Stream, Timestamp};

use super::{
    changes::{Change, Thing, changes},
    failing::{self, ReportedFailures},
};
use crate::{machine_line, post_processors::PostEvent, text};

/// Prints a build as Packer does for machines.
pub(crate) struct MachineReadable<F = fn(&str)> {
    out: F,
    now: fn() -> Timestamp,
    /// The build's display name, masked.
    name: String,
    mask: Mask,
    /// `-timestamp-ui`.
    timestamps: bool,
    failing: ReportedFailures,
}

impl MachineReadable {
    pub(crate) fn new(name: String, mask: Mask, timestamps: bool, now: fn() -> Timestamp) -> Self {
        Self { out: text::out, now, name, mask, timestamps, failing: ReportedFailures::default() }
    }
}

impl<F: FnMut(&str)> MachineReadable<F> {
    fn print(&mut self, kind: &str, message: &str) {
        let name = self.name.clone();
        self.print_of(&name, kind, message);
    }

    fn print_of(&mut self, name: &str, kind: &str, message: &str) {
        let at = (self.now)();
        let stamp = if self.timestamps { format!("{}: ", text::zoned(at)) } else { String::new() };
        let message = format!("{stamp}==> {name}: {message}");
        (self.out)(&machine_line::line(at, "", "ui", &[kind, &message]));
    }

    /// Prints what the post-processors do: with the type of each behind the build's name.
    pub(crate) fn post_event(&mut self, event: &PostEvent<'_>) {
        match event {
            PostEvent::Begins { name, kind } => {
                let name = self.mask.apply(name);
                let title = if name == *kind { (*kind).to_owned() } else { format!("{name} (type {kind})") };
                self.say(&format!("Running post-processor: {title}"));
            }
            PostEvent::Output { kind, stream, line } => {
                let line = text::plain(line);
                let line = self.mask.apply(&line).into_owned();
                let stream = match stream {
                    Stream::Stdout => "say",
                    Stream::Stderr => "error",
                };
                let name = format!("{} ({kind})", self.name);
                self.print_of(&name, stream, &line);
            }
            PostEvent::Note(text) => self.say(text),
        }
    }

    pub(crate) fn say(&mut self, message: &str) {
        self.print("say", message);
    }

    pub(crate) fn error(&mut self, message: &str) {
        self.print("error", message);
    }

    fn began(&mut self, phase: PhaseName, build: &Build) {
        let texts = match phase {
            PhaseName::Resolving => resolving(build, &self.mask),
            PhaseName::Queued => found(build),
            PhaseName::Creating if is_clone(build) => vec!["Creating the root volume...".to_owned()],
            PhaseName::Attaching => attaching(build),
            PhaseName::Snapshotting => vec!["Creating snapshot...".to_owned()],
            PhaseName::Registering => vec!["Registering the AMI...".to_owned()],
            PhaseName::Copying => copying(build),
            PhaseName::Finishing => finishing(build),
            PhaseName::Undoing => return self.undoing(build),
            _ => Vec::new(),
        };
        texts.iter().for_each(|text| self.say(text));
    }

    fn undoing(&mut self, build: &Build) {
        match &build.phase {
            Phase::Undoing(UndoReason::Failed(reason)) | Phase::Failed(reason) => self.error(&reason.message.clone()),
            Phase::Undoing(UndoReason::Restart { message }) => self.error(&message.clone()),
            _ => self.error("Cancelling build after receiving interrupt"),
        }
    }

    fn made(&mut self, thing: &Thing, build: &Build) {
        match thing.kind {
            "snapshot" => self.say(&format!("Snapshot ID: {}", thing.id)),
            "image" if thing.region == build.region => {
                self.say(&format!("AMI: {}", thing.id));
                self.say("Waiting for AMI to become ready...");
            }
            _ => {}
        }
    }

    fn removed(&mut self, thing: &Thing) {
        match thing.kind {
            "volume" => self.say("Deleting the created EBS volume..."),
            "snapshot" => self.say("Removing snapshot since we cancelled or halted..."),
            _ => {}
        }
    }
}

fn is_clone(build: &Build) -> bool {
    build.plan.as_ref().is_some_and(|plan| plan.volume.snapshot.is_some())
}

fn resolving(build: &Build, mask: &Mask) -> Vec<String> {
    let image = &build.spec.image;
    let name = if image.replacement.force_deregister {
        "Force Deregister flag found, skipping prevalidating AMI Name".to_owned()
    } else {
        format!("Prevalidating AMI Name: {}", mask.apply(&image.name))
    };
    let own = "Gathering information about this EC2 instance...".to_owned();
    vec!["Prevalidating any provided VPC information".to_owned(), name, own]
}

/// The source has been found.
fn found(build: &Build) -> Vec<String> {
    let source = build.plan.as_ref().and_then(|plan| plan.data.source_ami.as_ref());
    source.map_or_else(Vec::new, |image| {
        vec![format!("Found Image ID: {image}"), "Checking the root device on source AMI...".to_owned()]
    })
}

fn attaching(build: &Build) -> Vec<String> {
    let lease = build.resources.lease.iter();
    lease.map(|lease| format!("Attaching the root volume to {}", lease.device)).collect()
}

fn copying(build: &Build) -> Vec<String> {
    let Some(plan) = build.plan.as_ref().filter(|plan| !plan.copies.is_empty()) else { return Vec::new() };
    let image = build.resources.image_in(&build.region).map_or_else(String::new, |image| image.id.to_string());
    let mut texts = vec![format!("Copying/Encrypting AMI ({image}) to other regions...")];
    texts.extend(plan.copies.iter().map(|region| format!("Copying to: {region}")));
    texts.push("Waiting for all copies to complete...".to_owned());
    texts
}

fn finishing(build: &Build) -> Vec<String> {
    let image = &build.spec.image;
    let sharing = &image.sharing;
    let lists = [&image.users, &image.groups, &image.product_codes, &sharing.org_arns, &sharing.ou_arns];
    let has_attributes = lists.iter().any(|list| !list.is_empty()) || !image.description.0.is_empty();
    let mut texts = Vec::new();
    for record in &build.resources.images {
        if has_attributes {
            texts.push(format!("Modifying attributes on AMI ({})...", record.id));
        }
        if !image.tags.is_empty() {
            texts.push(format!("Adding tags to AMI ({})...", record.id));
        }
    }
    texts
}

impl<F: FnMut(&str)> Observer for MachineReadable<F> {
    fn saved(&mut self, before: &Build, after: &Build) {
        let stage = |build: &Build| build.resources.volume.as_ref().map(|volume| volume.stage);
        if stage(before) != stage(after) && stage(after) == Some(VolumeStage::Detaching) {
            self.say("Detaching EBS volume...");
        }
        for change in changes(before, after) {
            match change {
                Change::Made(thing) => self.made(&thing, after),
                Change::Removed(thing) => self.removed(&thing),
                Change::Ended { .. } => {}
                Change::Began { phase, .. } => self.began(phase, after),
            }
        }
        for failing in self.failing.new_failures(after) {
            let line = failing::line(failing);
            self.error(&format!("retrying: {line}"));
        }
    }

    fn rejected(&mut self, _: &Event, why: &str) {
        self.error(&format!("a message was dropped: {why}"));
    }

    fn report_received(&mut self, report: &Report) {
        match &report.body {
            ReportBody::Phase(AgentPhase::Mount) => self.say("Mounting the root device..."),
            ReportBody::Phase(AgentPhase::Enter) => self.say("Mounting additional paths within the chroot..."),
            ReportBody::Phase(AgentPhase::Unmount) => self.say("Unmounting the root device..."),
            ReportBody::Provisioner { title, .. } => self.say(&format!("Provisioning with {title}")),
            ReportBody::Output { stream, line } => {
                let line = text::plain(line);
                let line = self.mask.apply(&line).into_owned();
                match stream {
                    Stream::Stdout => self.say(&line),
                    Stream::Stderr => self.error(&line),
                }
            }
            ReportBody::Note(text) => self.say(&text.clone()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::changes::tests::{a_build, enter, with_volume};
    use super::*;
    use bakehouse_machine::{
        FailureReason, ImageStage, SnapshotStage,
        resources::{ImageRecord, SnapshotRecord},
    };
    use bakehouse_protocol::{HostId, ImageId, SnapshotId};

    /// What is printed of a build that goes through these steps, each changing the one before.
    fn printed(timestamps: bool, steps: &[&dyn Fn(&mut Build)], reports: &[ReportBody]) -> String {
        let mut lines = Vec::new();
        let mut printer = MachineReadable {
            out: |line: &str| lines.push(line.to_owned()),
            now: || Timestamp(1_795_382_528_000),
            name: "web".to_owned(),
            mask: Mask::new(&["hunter2".to_owned(), "webimage".to_owned()]),
            timestamps,
            failing: ReportedFailures::default(),
        };
        let mut build = a_build();
        build.spec.image.name = "webimage".to_owned();
        for step in steps {
            let before = build.clone();
            step(&mut build);
            printer.saved(&before, &build);
        }
        for body in reports {
            let (id, host) = (build.id.clone(), HostId::new("local").unwrap());
            printer.report_received(&Report {
                version: 1,
                build: id,
                host,
                attempt: 1,
                at: Timestamp(0),
                body: body.clone(),
            });
        }
        lines.join("\n")
    }

    fn with_images(build: &mut Build) {
        let created_at = Timestamp(0);
        let id = SnapshotId::new("snap-00000001").unwrap();
        build.resources.snapshot = Some(SnapshotRecord { id, created_at, stage: SnapshotStage::Completed });
        let (region, id) = (build.region.clone(), ImageId::new("ami-00000001").unwrap());
        build.resources.images.push(ImageRecord {
            region: region.into(),
            id,
            created_at,
            stage: ImageStage::Pending,
            snapshots: vec![],
            name_is_temporary: false,
        });
    }

    #[test]
    fn the_phases_have_packers_texts() {
        let printed = printed(
            false,
            &[
                &|build| enter(build, Phase::Resolving, 1000),
                &|build| enter(build, Phase::Snapshotting, 2000),
                &|build| with_volume(build, VolumeStage::Detaching),
                &|build| with_volume(build, VolumeStage::Deleted),
                &with_images,
                &|build| build.spec.image.users.push("123456789012".to_owned()),
                &|build| enter(build, Phase::Finishing, 3000),
            ],
            &[],
        );
        insta::assert_snapshot!(printed, @r"
        1795382528,,ui,say,==> web: Prevalidating any provided VPC information
        1795382528,,ui,say,==> web: Prevalidating AMI Name: <sensitive>
        1795382528,,ui,say,==> web: Gathering information about this EC2 instance...
        1795382528,,ui,say,==> web: Creating snapshot...
        1795382528,,ui,say,==> web: Detaching EBS volume...
        1795382528,,ui,say,==> web: Deleting the created EBS volume...
        1795382528,,ui,say,==> web: Snapshot ID: snap-00000001
        1795382528,,ui,say,==> web: AMI: ami-00000001
        1795382528,,ui,say,==> web: Waiting for AMI to become ready...
        1795382528,,ui,say,==> web: Modifying attributes on AMI (ami-00000001)...
        ");
    }

    #[test]
    fn output_and_failures_are_lines_for_people() {
        let reason = FailureReason {
            phase: PhaseName::Provisioning,
            message: "exit 1, twice".to_owned(),
            hint: None,
            failure: None,
        };
        let output = |stream, line: &str| ReportBody::Output { stream, line: line.to_owned() };
        let printed = printed(
            false,
            &[&|build| enter(build, Phase::Undoing(UndoReason::Failed(reason.clone())), 1000)],
            &[
                ReportBody::Provisioner { index: 0, of: 1, title: "shell (inline)".to_owned() },
                output(Stream::Stdout, "a, \u{1b}[31mb\u{1b}[0m"),
                output(Stream::Stderr, "the hun\u{1b}[1mter2\u{1b}[0m is bad"),
                ReportBody::Heartbeat,
            ],
        );
        insta::assert_snapshot!(printed, @r"
        1795382528,,ui,error,==> web: exit 1%!(PACKER_COMMA) twice
        1795382528,,ui,say,==> web: Provisioning with shell (inline)
        1795382528,,ui,say,==> web: a%!(PACKER_COMMA) b
        1795382528,,ui,error,==> web: the <sensitive> is bad
        ");
    }

    #[test]
    fn post_processors_have_their_type_behind_the_builds_name() {
        let mut lines = Vec::new();
        let mut printer = MachineReadable {
            out: |line: &str| lines.push(line.to_owned()),
            now: || Timestamp(1000),
            name: "web".to_owned(),
            mask: Mask::new(&["hunter2".to_owned()]),
            timestamps: false,
            failing: ReportedFailures::default(),
        };
        printer.post_event(&PostEvent::Begins { name: "tell", kind: "shell-local" });
        let (kind, line) = ("shell-local", "the hunter2, twice");
        printer.post_event(&PostEvent::Output { kind, stream: Stream::Stderr, line });
        assert_eq!(
            lines,
            [
                "1,,ui,say,==> web: Running post-processor: tell (type shell-local)",
                "1,,ui,error,==> web (shell-local): the <sensitive>%!(PACKER_COMMA) twice"
            ]
        );
    }

    #[test]
    fn timestamps_stand_before_the_name() {
        let printed = printed(true, &[&|build| enter(build, Phase::Snapshotting, 1000)], &[]);
        let (stamp, rest) = printed.strip_prefix("1795382528,,ui,say,").unwrap().split_once(": ").unwrap();
        assert_eq!(rest, "==> web: Creating snapshot...");
        assert!(stamp.starts_with("2026-11-2") && stamp.contains('T'), "{stamp}");
    }
}
