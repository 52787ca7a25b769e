//! The environment of scripts and the exit codes that they may have: what `shell` and `shell-local` share.

use bakehouse_protocol::DeferredTemplate;

use super::step::Step;

impl Step<'_> {
    /// Returns the variables of a list of `KEY=value` and then those of `env`, which so overrides them.
    pub(super) fn environment(&self, list: &str) -> Option<Vec<(String, DeferredTemplate)>> {
        let mut variables = Vec::new();
        let mut valid = !self.values.is_invalid(list) && !self.values.is_invalid("env");
        for text in self.values.deferred_list(list).unwrap_or_default() {
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
        for (name, value) in self.values.deferred_map("env").unwrap_or_default() {
            if name.value.0.is_empty() || name.value.0.contains(['=', '\0']) || name.value.0.contains("{{") {
                valid = false;
                let message = format!("\"{}\" cannot be the name of a variable", name.value.0);
                self.error(&name.location, message, "Write a name without = in it.");
            }
            variables.push((name.value.0, value.value));
        }
        valid.then_some(variables)
    }

    pub(super) fn exit_codes(&self) -> Vec<i32> {
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

    /// Returns `env_var_format`, in which Go's `fmt` puts a name and a value.
    pub(super) fn env_var_format(&self) -> Option<String> {
        let format = self.values.string("env_var_format")?;
        let text = format.value.replace("%%", "");
        let verbs: Vec<Option<char>> = text.split('%').skip(1).map(|rest| rest.chars().next()).collect();
        if verbs != [Some('s'), Some('s')] {
            let message = "`env_var_format` does not have %s twice";
            self.error(&format.location, message, "Write %s for the name and for the value: \"%s='%s' \"");
        }
        Some(format.value)
    }
}
