//! Text output.

use bakehouse_controller::{drive::Observer, mask::Mask};
use bakehouse_machine::{Build, Event, Phase, UndoReason, build::PhaseName};
use bakehouse_protocol::{Millis, Report, ReportBody, Stream, Timestamp};
use console::style;

use super::{
    changes::{Change, Thing, changes, left},
    failing::{self, ReportedFailures},
};
use crate::{post_processors::PostEvent, screen::Screen, text};

/// The duration of shorter steps is not printed.
const MIN_PRINTED_DURATION: Millis = Millis(1000);

/// Prints a build as lines of text.
pub(crate) struct Human {
    screen: Screen,
    /// For the output alone: the agent has hidden what it quotes. A value can become visible when the escapes go that
    /// stood in it.
    mask: Mask,
    /// The changes of the present phase, for the line at its end.
    news: Vec<String>,
    /// The provisioner that runs, and since when.
    step: Option<(String, Timestamp)>,
    /// Whether the heading of the present phase has been printed.
    headed: bool,
    phase: PhaseName,
    failing: ReportedFailures,
}

impl Human {
    pub(crate) fn new(screen: Screen, mask: Mask) -> Self {
        let (phase, failing) = (PhaseName::Accepted, ReportedFailures::default());
        Self { screen, mask, news: Vec::new(), step: None, headed: false, phase, failing }
    }

    /// Prints a line under the heading of the present phase, which comes first if it is not there yet.
    fn under(&mut self, line: &str) {
        if !self.headed {
            self.headed = true;
            self.screen.line(&format!("  {}", style(self.phase).bold().for_stderr()));
        }
        self.screen.line(&format!("    {line}"));
    }

    fn ended(&mut self, phase: PhaseName, took: Millis) {
        let news = std::mem::take(&mut self.news).join(", ");
        self.headed = false;
        // A step that is cut short has no end event.
        self.step = None;
        let nothing_undone = phase == PhaseName::Undoing && news.is_empty() && took < MIN_PRINTED_DURATION;
        // One that has ended is taken up again only to remove what it has left.
        let has_ended = matches!(phase, PhaseName::Failed | PhaseName::Cancelled);
        if phase == PhaseName::Accepted || has_ended || nothing_undone {
            return;
        }
        let name = style(format!("{phase:<13}")).bold().for_stderr();
        self.screen.line(format!("  {name} {:>10}  {news}", took.to_string()).trim_end());
    }

    fn began(&mut self, phase: PhaseName, build: &Build) {
        self.phase = phase;
        match phase {
            PhaseName::Undoing => {
                let why = match &build.phase {
                    Phase::Undoing(UndoReason::Failed(reason)) | Phase::Failed(reason) => {
                        format!("failed in {}", reason.phase)
                    }
                    Phase::Undoing(UndoReason::Restart { message }) => format!("to be begun anew: {message}"),
                    _ => "cancelled".to_owned(),
                };
                let left = left(build).join(", ");
                let is_kept = build.keep_failed
                    && matches!(build.phase, Phase::Undoing(UndoReason::Failed(_)) | Phase::Failed(_));
                let what = match (left.is_empty(), is_kept) {
                    (true, _) => "nothing to undo".to_owned(),
                    (false, true) => format!("leaving {left}"),
                    (false, false) => format!("undoing {left}"),
                };
                self.screen.line(&format!("  {}: {what}", style(why).yellow().bold().for_stderr()));
                self.screen.status("undoing");
            }
            PhaseName::Succeeded | PhaseName::Failed | PhaseName::Cancelled => self.screen.clear_status(),
            _ => self.screen.status(phase.as_str()),
        }
    }

    fn step_ended(&mut self, at: Timestamp) {
        if let Some((_, since)) = self.step.take()
            && at.since(since) >= MIN_PRINTED_DURATION
        {
            let took = style(format!("took {}", at.since(since))).dim().for_stderr();
            self.under(&format!("  {took}"));
        }
    }
}

impl Human {
    /// Prints what the post-processors do.
    pub(crate) fn post_event(&mut self, event: &PostEvent<'_>) {
        match event {
            PostEvent::Begins { name, kind } => {
                let name = self.mask.apply(name);
                let title = if name == *kind { (*kind).to_owned() } else { format!("{name} ({kind})") };
                self.screen.line(&format!("  {} {title}", style("post-processor").bold().for_stderr()));
                self.screen.status(&format!("post-processor {title}"));
            }
            PostEvent::Output { stream, line, .. } => self.screen.line(&format!("  {}", self.output(*stream, line))),
            PostEvent::Note(text) => self.screen.line(&format!("    {} {text}", style("note:").bold().for_stderr())),
        }
    }

    /// Returns a line of output as it is shown.
    fn output(&self, stream: Stream, line: &str) -> String {
        let line = text::plain(line);
        let line = self.mask.apply(&line);
        let mark = match stream {
            Stream::Stdout => style("|").dim(),
            Stream::Stderr => style("!").yellow(),
        };
        format!("  {} {line}", mark.for_stderr()).trim_end().to_owned()
    }
}

fn with_region(thing: &Thing, build: &Build) -> String {
    if thing.region == build.region { thing.id.clone() } else { format!("{} in {}", thing.id, thing.region) }
}

impl Observer for Human {
    fn saved(&mut self, before: &Build, after: &Build) {
        if before.resources.lease.is_none()
            && let Some(lease) = &after.resources.lease
        {
            self.news.push(lease.device.to_string());
        }
        for change in changes(before, after) {
            match change {
                Change::Made(thing) => self.news.push(with_region(&thing, after)),
                // Except while undoing, only the work volume is removed, which is not printed.
                Change::Removed(_) if self.phase != PhaseName::Undoing => {}
                Change::Removed(thing) => self.news.push(format!("{} removed", with_region(&thing, after))),
                Change::Ended { phase, took } => self.ended(phase, took),
                Change::Began { phase, .. } => self.began(phase, after),
            }
        }
        for failing in self.failing.new_failures(after) {
            let line = failing::line(failing);
            self.under(&format!("{} {line}", style("retrying:").yellow().bold().for_stderr()));
            if let Some(hint) = &failing.fault.hint {
                self.under(&format!("{} {hint}", style("hint:").cyan().bold().for_stderr()));
            }
        }
    }

    fn rejected(&mut self, _: &Event, why: &str) {
        self.screen.line(&format!("    {} a message was dropped: {why}", style("note:").bold().for_stderr()));
    }

    fn report_received(&mut self, report: &Report) {
        match &report.body {
            ReportBody::Provisioner { index, of, title } => {
                self.step_ended(report.at);
                self.under(&format!("{} {title}", style(format!("{}/{of}", index + 1)).cyan().for_stderr()));
                self.screen.status(&format!("{} {}/{of} {title}", self.phase, index + 1));
                self.step = Some((title.clone(), report.at));
            }
            ReportBody::Output { stream, line } => {
                let line = self.output(*stream, line);
                self.under(&line);
            }
            ReportBody::Note(text) => {
                self.under(&format!("{} {text}", style("note:").bold().for_stderr()));
            }
            ReportBody::Waiting(waiting) => {
                self.under(&format!("{} {waiting}", style("waiting:").bold().for_stderr()));
            }
            ReportBody::Phase(_) | ReportBody::Ended(_) => self.step_ended(report.at),
            ReportBody::Heartbeat => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        changes::tests::{a_build, enter, with_volume},
        failing::tests::fail,
    };
    use super::*;
    use bakehouse_machine::{FailureReason, VolumeStage};
    use bakehouse_protocol::{AgentPhase, HostId};

    /// Changes the build, or says something.
    type Step<'a> = &'a dyn Fn(&mut Build, &mut Human);

    /// Tells of a build that goes through these steps, each changing the one before.
    fn told(steps: &[Step<'_>]) -> String {
        let screen = Screen::collecting();
        let mut human =
            Human::new(screen.clone(), Mask::new(&["hunter2", "shell", "note", "provisioning"].map(str::to_owned)));
        let mut build = a_build();
        for step in steps {
            let before = build.clone();
            step(&mut build, &mut human);
            human.saved(&before, &build);
        }
        screen.collected()
    }

    fn say(human: &mut Human, at: u64, body: ReportBody) {
        let host = HostId::new("local").unwrap();
        human.report_received(&Report { version: 1, build: a_build().id, host, attempt: 1, at: Timestamp(at), body });
    }

    fn out(stream: Stream, line: &str) -> ReportBody {
        ReportBody::Output { stream, line: line.to_owned() }
    }

    fn reason() -> FailureReason {
        FailureReason { phase: PhaseName::Provisioning, message: "exit 1".to_owned(), hint: None, failure: None }
    }

    #[test]
    fn output_stands_under_its_phase_and_its_step() {
        let told = told(&[
            &|build, _| enter(build, Phase::Resolving, 1000),
            &|build, _| enter(build, Phase::Creating, 1020),
            &|build, _| with_volume(build, VolumeStage::Creating),
            &|build, _| enter(build, Phase::Provisioning, 1520),
            &|_, human| {
                say(human, 2000, ReportBody::Phase(AgentPhase::Mount));
                say(human, 2000, ReportBody::Note("XFS: mounting with nouuid".into()));
                say(human, 2000, ReportBody::Provisioner { index: 0, of: 2, title: "shell (inline)".into() });
                say(human, 2100, out(Stream::Stdout, "10%\r\u{1b}[32m100%\u{1b}[0m"));
                say(human, 2100, out(Stream::Stderr, "the hun\u{1b}[1mter2\u{1b}[0m is bad"));
                say(human, 2100, out(Stream::Stdout, ""));
                say(human, 5000, ReportBody::Provisioner { index: 1, of: 2, title: "file a -> b".into() });
                say(human, 5001, ReportBody::Phase(AgentPhase::Leave));
            },
            &|build, _| enter(build, Phase::Snapshotting, 5500),
            &|build, _| with_volume(build, VolumeStage::Deleted),
            &|build, _| enter(build, Phase::Succeeded, 6000),
        ]);
        insta::assert_snapshot!(told, @r"
        resolving          20 ms
        creating          500 ms  vol-00000001
        provisioning
          note: XFS: mounting with nouuid
          1/2 shell (inline)
            | 100%
            ! the <sensitive> is bad
            |
            took 3.0 s
          2/2 file a -> b
        provisioning       3.9 s
        snapshotting      500 ms
        ");
    }

    #[test]
    fn what_goes_on_failing_is_told_at_the_third_time_and_for_another_reason() {
        let told = told(&[
            &|build, _| enter(build, Phase::Resolving, 1000),
            &|build, _| fail(build, "Unavailable", 2),
            &|build, _| fail(build, "Unavailable", 3),
            &|build, _| fail(build, "Unavailable", 4),
            &|build, _| fail(build, "NoAnswer", 5),
            &|build, _| enter(build, Phase::Creating, 9000),
        ]);
        insta::assert_snapshot!(told, @r"
        resolving
          retrying: DescribeImages: Unavailable: text 3 (3 times in 2.0 s)
          hint: wait
          retrying: DescribeImages: NoAnswer: text 5 (5 times in 4.0 s)
          hint: wait
        resolving          8.0 s
        ");
    }

    #[test]
    fn a_failure_says_what_is_undone() {
        let told = told(&[
            &|build, _| with_volume(build, VolumeStage::Attached),
            &|build, human| {
                enter(build, Phase::Provisioning, 1000);
                human.saved(&a_build(), build);
                say(human, 1000, ReportBody::Provisioner { index: 0, of: 1, title: "shell (inline)".into() });
            },
            &|build, _| {
                enter(build, Phase::Undoing(UndoReason::Failed(reason())), 3000);
            },
            // Late: its step was cut short, and it must not stand under the next phase.
            &|_, human| say(human, 3001, ReportBody::Phase(AgentPhase::Leave)),
            &|build, _| with_volume(build, VolumeStage::Deleted),
            &|build, _| enter(build, Phase::Failed(reason()), 3100),
        ]);
        insta::assert_snapshot!(told, @r"
        provisioning
          1/1 shell (inline)
        provisioning       2.0 s
        failed in provisioning: undoing volume vol-00000001
        undoing           100 ms  vol-00000001 removed
        ");
    }

    #[test]
    fn post_processors_have_a_heading_and_their_output() {
        let told = told(&[&|_, human| {
            human.post_event(&PostEvent::Begins { name: "manifest", kind: "manifest" });
            human.post_event(&PostEvent::Begins { name: "tell", kind: "shell-local" });
            human.post_event(&PostEvent::Output { kind: "shell-local", stream: Stream::Stdout, line: "a hunter2" });
            human.post_event(&PostEvent::Note("nothing to do"));
        }]);
        insta::assert_snapshot!(told, @r"
          post-processor manifest
          post-processor tell (shell-local)
            | a <sensitive>
            note: nothing to do
        ");
    }
}
