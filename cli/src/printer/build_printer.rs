//! A printer in one of the three formats.

use bakehouse_controller::drive::Observer;
use bakehouse_machine::{Build, Event};
use bakehouse_protocol::{BuildId, Report};

use super::{human::Human, json::Json, machine_readable::MachineReadable};
use crate::post_processors::PostEvent;

/// Prints one build.
pub(crate) enum BuildPrinter {
    Human(Human),
    Json(Json),
    MachineReadable(MachineReadable),
}

impl BuildPrinter {
    /// Prints what the post-processors of a build do.
    pub(crate) fn post_event(&mut self, build: &BuildId, event: &PostEvent<'_>) {
        match self {
            Self::Human(human) => human.post_event(event),
            Self::Json(json) => json.post_event(build, event),
            Self::MachineReadable(printer) => printer.post_event(event),
        }
    }

    fn observer(&mut self) -> &mut dyn Observer {
        match self {
            Self::Human(human) => human,
            Self::Json(json) => json,
            Self::MachineReadable(printer) => printer,
        }
    }
}

impl Observer for BuildPrinter {
    fn saved(&mut self, before: &Build, after: &Build) {
        self.observer().saved(before, after);
    }

    fn rejected(&mut self, event: &Event, why: &str) {
        self.observer().rejected(event, why);
    }

    fn report_received(&mut self, report: &Report) {
        self.observer().report_received(report);
    }
}
