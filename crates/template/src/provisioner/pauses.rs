//! The provisioners `breakpoint` and `sleep`.

use bakehouse_protocol::spec::{Action, Breakpoint};

use super::step::Step;

impl Step<'_> {
    /// Returns `None` if it is disabled.
    pub(super) fn breakpoint(&self) -> Option<Action> {
        let note = self.text("note").unwrap_or_default();
        (!self.values.flag("disable")).then_some(Action::Breakpoint(Breakpoint { note }))
    }

    pub(super) fn sleep(&self) -> Option<Action> {
        let duration = self.values.duration("duration");
        if duration.is_none() && !self.values.is_invalid("duration") {
            self.error(&self.values.anchor, "this sleep step has no duration", "Write \"duration\": \"10s\".");
        }
        Some(Action::Sleep(duration?))
    }
}
