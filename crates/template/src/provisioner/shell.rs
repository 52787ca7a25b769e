//! The `shell` provisioner.

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, Script, Shell},
};

use super::step::Step;
use crate::files;

impl Step<'_> {
    pub(super) fn shell(&self) -> Option<Action> {
        let scripts = self.scripts();
        let environment = self.environment();
        let valid_exit_codes = self.exit_codes();
        Some(Action::Shell(Shell {
            scripts: scripts?,
            environment: environment?,
            valid_exit_codes,
            ..Shell::default()
        }))
    }

    fn scripts(&self) -> Option<Vec<Script>> {
        let values = self.values;
        let kinds = ["inline", "script", "scripts"];
        let mut set = kinds.into_iter().filter_map(|kind| values.location(kind).map(|location| (kind, location)));
        match (set.next(), set.next()) {
            (None, _) => {
                let help = "Write \"inline\": [\"…\"], \"script\": \"…\" or \"scripts\": [\"…\"].";
                self.error(&values.anchor, "this shell step has nothing to run", help);
                return None;
            }
            (Some((first, _)), Some((second, location))) => {
                let message = format!("`{second}` cannot be combined with `{first}`");
                self.error(location, message, "Write a step for each.");
                return None;
            }
            _ => {}
        }
        if values.location("inline").is_some() {
            let lines = values.deferred_list("inline")?.into_iter().map(|line| line.value).collect();
            return Some(vec![Script::Inline(lines)]);
        }
        let written = match values.string("script") {
            Some(script) => vec![script],
            None => values.string_list("scripts")?,
        };
        let found: Vec<Option<Script>> = written
            .iter()
            .map(|path| files::check_exists(path, "the script", false, self.inputs).map(Script::File))
            .collect();
        found.into_iter().collect()
    }

    fn environment(&self) -> Option<Vec<(String, DeferredTemplate)>> {
        let mut variables = Vec::new();
        let mut valid = !self.values.is_invalid("environment_vars");
        for text in self.values.deferred_list("environment_vars").unwrap_or_default() {
            match text.value.0.split_once('=') {
                Some((name, value)) if !name.is_empty() && !name.contains("{{") => {
                    variables.push((name.to_owned(), DeferredTemplate(value.to_owned())));
                }
                _ => {
                    valid = false;
                    let message = format!("\"{}\" is not of the form KEY=value", text.value.0);
                    self.error(&text.location, message, "Write \"KEY=value\"; the value may be empty.");
                }
            }
        }
        valid.then_some(variables)
    }

    fn exit_codes(&self) -> Vec<i32> {
        let Some(codes) = self.values.integer_list("valid_exit_codes").filter(|codes| !codes.is_empty()) else {
            return vec![0];
        };
        let mut valid = Vec::new();
        for code in codes {
            match u8::try_from(code.value) {
                Ok(code) => valid.push(i32::from(code)),
                Err(_) => {
                    let message = format!("{} is not an exit code", code.value);
                    self.error(&code.location, message, "Write a number from 0 to 255.");
                }
            }
        }
        valid
    }
}
