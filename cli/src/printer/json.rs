//! One JSON object a line, for machines. Names and meanings are a promise: fields are added, never changed.

use bakehouse_controller::{drive::Observer, mask::Mask};
use bakehouse_machine::{Build, Event, Phase, UndoReason, build::PhaseName};
use bakehouse_protocol::{BuildId, Report, ReportBody, Stream, Timestamp, Waiting};
use serde::Serialize;

use super::{
    changes::{Change, Thing, changes},
    failing::{ReportedFailures, Retrying},
};
use crate::{post_processors::PostEvent, summary::Summary, text};

/// An event, printed as one object.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum JsonEvent<'a> {
    Started {
        name: &'a str,
        recipe: &'a str,
    },
    Phase {
        phase: &'a str,
    },
    Agent {
        phase: &'a str,
    },
    Provisioner {
        index: u32,
        of: u32,
        title: &'a str,
    },
    Output {
        stream: Stream,
        line: &'a str,
    },
    Note {
        text: &'a str,
    },
    Waiting {
        #[serde(rename = "for")]
        waiting: &'a Waiting,
    },
    Made(Resource<'a>),
    Removed(Resource<'a>),
    Retrying {
        phase: &'a str,
        #[serde(flatten)]
        what: Retrying,
    },
    Failed {
        phase: &'a str,
        message: &'a str,
        hint: Option<&'a str>,
        tail: &'a [String],
    },
    PostProcessor {
        name: &'a str,
        kind: &'a str,
    },
    Finished(&'a Summary),
}

#[derive(Debug, Serialize)]
struct Resource<'a> {
    kind: &'a str,
    id: &'a str,
    region: &'a str,
    /// The account that owns it; absent: the build's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
}

impl<'a> From<&'a Thing> for Resource<'a> {
    fn from(thing: &'a Thing) -> Self {
        let (region, account) = (thing.region.region.as_str(), thing.region.account());
        Self { kind: thing.kind, id: &thing.id, region, account }
    }
}

/// An event with the fields of all objects.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: JsonEvent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// Prints a build as JSON.
pub(crate) struct Json<F = fn(&str)> {
    out: F,
    /// For the output of post-processors: of steps, the agent has hidden what must not be shown.
    mask: Mask,
    failing: ReportedFailures,
}

impl Json {
    pub(crate) fn new(mask: Mask) -> Self {
        Self { out: text::out, mask, failing: ReportedFailures::default() }
    }
}

impl<F: FnMut(&str)> Json<F> {
    fn print(&mut self, build: &Build, at: Option<Timestamp>, event: JsonEvent<'_>) {
        self.write(&Line { event, build: Some(build.id.as_str()), at: at.map(text::rfc3339) });
    }

    fn write(&mut self, line: &Line<'_>) {
        // Strings and numbers only: serialising does not fail.
        if let Ok(line) = serde_json::to_string(line) {
            (self.out)(&line);
        }
    }

    /// The first object of a build.
    pub(crate) fn started(&mut self, build: &BuildId, name: &str, recipe: &str) {
        self.write(&Line { event: JsonEvent::Started { name, recipe }, build: Some(build.as_str()), at: None });
    }

    /// What the post-processors of a build do.
    pub(crate) fn post_event(&mut self, build: &BuildId, event: &PostEvent<'_>) {
        let shown = |line: &str| self.mask.apply(&text::plain(line)).into_owned();
        let (text, event) = match event {
            PostEvent::Begins { name, kind } => (shown(name), Some((*kind, None))),
            PostEvent::Output { kind, stream, line } => (shown(line), Some((*kind, Some(*stream)))),
            PostEvent::Note(text) => ((*text).to_owned(), None),
        };
        let event = match event {
            Some((kind, None)) => JsonEvent::PostProcessor { name: &text, kind },
            Some((_, Some(stream))) => JsonEvent::Output { stream, line: &text },
            None => JsonEvent::Note { text: &text },
        };
        self.write(&Line { event, build: Some(build.as_str()), at: None });
    }

    /// Why the post-processors of a build failed.
    pub(crate) fn post_failed(&mut self, build: &BuildId, message: &str) {
        let event = JsonEvent::Failed { phase: "post_processing", message, hint: None, tail: &[] };
        self.write(&Line { event, build: Some(build.as_str()), at: None });
    }

    /// The last object of a build.
    pub(crate) fn finished(&mut self, summary: &Summary) {
        self.write(&Line { event: JsonEvent::Finished(summary), build: None, at: None });
    }

    fn failed(&mut self, build: &Build, at: Timestamp) {
        let (Phase::Undoing(UndoReason::Failed(reason)) | Phase::Failed(reason)) = &build.phase else { return };
        let failure = reason.failure.as_ref();
        let event = JsonEvent::Failed {
            phase: reason.phase.as_str(),
            message: &reason.message,
            hint: reason.hint.as_deref().or(failure.and_then(|failure| failure.hint.as_deref())),
            tail: failure.map_or(&[], |failure| &failure.tail),
        };
        self.print(build, Some(at), event);
    }
}

impl<F: FnMut(&str)> Observer for Json<F> {
    fn saved(&mut self, before: &Build, after: &Build) {
        for change in changes(before, after) {
            match &change {
                Change::Made(thing) => self.print(after, None, JsonEvent::Made(thing.into())),
                Change::Removed(thing) => self.print(after, None, JsonEvent::Removed(thing.into())),
                Change::Ended { .. } => {}
                Change::Began { phase, at } => {
                    if *phase == PhaseName::Undoing {
                        self.failed(after, *at);
                    }
                    self.print(after, Some(*at), JsonEvent::Phase { phase: phase.as_str() });
                }
            }
        }
        for failing in self.failing.new_failures(after) {
            let (phase, what) = (after.phase.name().as_str(), Retrying::of(failing));
            self.print(after, Some(failing.last), JsonEvent::Retrying { phase, what });
        }
    }

    fn rejected(&mut self, _: &Event, why: &str) {
        let event = JsonEvent::Note { text: &format!("a message was dropped: {why}") };
        self.write(&Line { event, build: None, at: None });
    }

    fn report_received(&mut self, report: &Report) {
        let event = match &report.body {
            ReportBody::Phase(phase) => JsonEvent::Agent { phase: phase.as_str() },
            ReportBody::Provisioner { index, of, title } => JsonEvent::Provisioner { index: *index, of: *of, title },
            ReportBody::Output { stream, line } => JsonEvent::Output { stream: *stream, line },
            ReportBody::Note(text) => JsonEvent::Note { text },
            ReportBody::Waiting(waiting) => JsonEvent::Waiting { waiting },
            ReportBody::Heartbeat | ReportBody::Ended(_) => return,
        };
        let at = Some(text::rfc3339(report.at));
        self.write(&Line { event, build: Some(report.build.as_str()), at });
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
    use bakehouse_protocol::{AgentPhase, Failure, HostId};

    fn collect(tell: impl FnOnce(&mut Json<&mut dyn FnMut(&str)>)) -> String {
        let mut lines = Vec::new();
        let mut out = |line: &str| lines.push(line.to_owned());
        tell(&mut Json {
            out: &mut out,
            mask: Mask::new(&["hunter2".to_owned()]),
            failing: ReportedFailures::default(),
        });
        lines.join("\n")
    }

    #[test]
    fn a_failure_comes_before_its_undoing() {
        let before = a_build();
        let mut after = before.clone();
        with_volume(&mut after, VolumeStage::Attached);
        let failure = Failure {
            phase: AgentPhase::Provision,
            provisioner: Some(0),
            message: "m".into(),
            tail: vec!["wrong".into()],
            hint: Some("h".into()),
        };
        let reason = FailureReason {
            phase: PhaseName::Provisioning,
            message: "exit 1".into(),
            hint: None,
            failure: Some(failure),
        };
        enter(&mut after, Phase::Undoing(UndoReason::Failed(reason)), 2000);
        insta::assert_snapshot!(collect(|json| json.saved(&before, &after)), @r#"
        {"event":"made","kind":"volume","id":"vol-00000001","region":"us-east-1","build":"b-00000001-00000002"}
        {"event":"failed","phase":"provisioning","message":"exit 1","hint":"h","tail":["wrong"],"build":"b-00000001-00000002","at":"1970-01-01T00:00:02.000Z"}
        {"event":"phase","phase":"undoing","build":"b-00000001-00000002","at":"1970-01-01T00:00:02.000Z"}
        "#);
    }

    #[test]
    fn what_goes_on_failing_is_told_at_the_third_time() {
        let told = collect(|json| {
            let mut build = a_build();
            for times in 2..5 {
                let before = build.clone();
                fail(&mut build, "Unavailable", times);
                json.saved(&before, &build);
            }
        });
        insta::assert_snapshot!(told, @r#"{"event":"retrying","phase":"accepted","message":"DescribeImages: Unavailable: text 3","hint":"wait","times":3,"since":"1970-01-01T00:00:01.000Z","build":"b-00000001-00000002","at":"1970-01-01T00:00:03.000Z"}"#);
    }

    #[test]
    fn what_the_agent_says_is_told_except_that_it_is_alive() {
        let say = |body| Report {
            version: 1,
            build: a_build().id,
            host: HostId::new("local").unwrap(),
            attempt: 1,
            at: Timestamp(1500),
            body,
        };
        let told = collect(|json| {
            json.report_received(&say(ReportBody::Heartbeat));
            json.report_received(&say(ReportBody::Provisioner { index: 0, of: 2, title: "shell".into() }));
            json.report_received(&say(ReportBody::Output { stream: Stream::Stderr, line: "a b".into() }));
        });
        insta::assert_snapshot!(told, @r#"
        {"event":"provisioner","index":0,"of":2,"title":"shell","build":"b-00000001-00000002","at":"1970-01-01T00:00:01.500Z"}
        {"event":"output","stream":"stderr","line":"a b","build":"b-00000001-00000002","at":"1970-01-01T00:00:01.500Z"}
        "#);
    }

    #[test]
    fn post_processors_are_told_without_sensitive_values() {
        let id = a_build().id;
        let told = collect(|json| {
            json.post_event(&id, &PostEvent::Begins { name: "the list", kind: "manifest" });
            let kind = "shell-local";
            json.post_event(&id, &PostEvent::Output { kind, stream: Stream::Stderr, line: "the hunter2\r" });
            json.post_event(&id, &PostEvent::Note("nothing to do"));
            json.post_failed(&id, "post-processor the list: no");
        });
        insta::assert_snapshot!(told, @r#"
        {"event":"post_processor","name":"the list","kind":"manifest","build":"b-00000001-00000002"}
        {"event":"output","stream":"stderr","line":"the <sensitive>","build":"b-00000001-00000002"}
        {"event":"note","text":"nothing to do","build":"b-00000001-00000002"}
        {"event":"failed","phase":"post_processing","message":"post-processor the list: no","hint":null,"tail":[],"build":"b-00000001-00000002"}
        "#);
    }
}
