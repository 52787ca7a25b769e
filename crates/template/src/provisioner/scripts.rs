//! The scripts of a step: `inline`, `script`, `scripts` and, for `shell-local`, `command`.

use bakehouse_protocol::{DeferredTemplate, spec::Script};

use super::step::Step;
use crate::files::{self, Wanted};

/// The scripts of a step, and the shebang of one whose lines are in the template.
pub(super) struct Scripts {
    pub(super) scripts: Vec<Script>,
    /// Without `#!`; absent: the default one.
    pub(super) inline_shebang: Option<String>,
}

impl Step<'_> {
    /// Returns the scripts; `options` are those that may have them, of which exactly one must be set.
    pub(super) fn scripts(&self, options: &[&'static str], what: &str) -> Option<Scripts> {
        let values = self.values;
        let mut set = options.iter().filter_map(|option| values.location(option).map(|location| (option, location)));
        let (option, location) = match (set.next(), set.next()) {
            (None, _) => {
                let help = "Write \"inline\": [\"…\"], \"script\": \"…\" or \"scripts\": [\"…\"].";
                self.error(&values.anchor, format!("this {what} step has nothing to run"), help);
                return None;
            }
            (Some((first, _)), Some((second, location))) => {
                let message = format!("`{second}` cannot be combined with `{first}`");
                self.error(location, message, "Write a step for each.");
                return None;
            }
            (Some(one), None) => one,
        };
        let mut inline_shebang = self.inline_shebang();
        let scripts = match *option {
            "inline" => {
                let mut lines: Vec<DeferredTemplate> =
                    values.deferred_list("inline")?.into_iter().map(|line| line.value).collect();
                if inline_shebang.is_none() {
                    inline_shebang = take_shebang(&mut lines);
                }
                vec![Script::Inline(lines)]
            }
            "command" => vec![Script::Inline(vec![values.deferred("command")?.value])],
            _ => {
                let written = match values.string("script") {
                    Some(script) => vec![script],
                    None => values.string_list("scripts")?,
                };
                let found: Vec<Option<Script>> = written
                    .iter()
                    .map(|path| files::check_exists(path, "the script", Wanted::File, self.inputs).map(Script::File))
                    .collect();
                if values.location("inline_shebang").is_some() {
                    let message = format!("`inline_shebang` has no effect with `{option}`");
                    self.warning(location, message, "The first line of a script file says what runs it.");
                }
                found.into_iter().collect::<Option<_>>()?
            }
        };
        Some(Scripts { scripts, inline_shebang })
    }

    fn inline_shebang(&self) -> Option<String> {
        let text = self.values.string("inline_shebang")?;
        let program = text.value.strip_prefix("#!").unwrap_or(&text.value).trim();
        if program.contains('\n') || !program.starts_with('/') {
            let message = format!("`inline_shebang` \"{program}\" is not a program's absolute path");
            self.error(&text.location, message, "Write for instance \"/bin/bash -e\".");
        }
        Some(program.to_owned())
    }
}

/// Takes the first line off a script if it is a shebang that does not depend on the running build.
fn take_shebang(lines: &mut Vec<DeferredTemplate>) -> Option<String> {
    let program = lines.first()?.0.strip_prefix("#!").filter(|program| !program.contains(['{', '\n']))?;
    let program = program.trim().to_owned();
    lines.remove(0);
    Some(program)
}
