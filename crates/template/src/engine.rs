//! The Go templates inside a template's values: rendered now where all is known, worked out as far as possible where
//! something is known only while the build runs.

use bakehouse_gotemplate::{
    CallError, Constants, FunctionUse, MAX_ROUNDS, Scope, Template, Value, deferred, functions,
};
use bakehouse_protocol::{DeferredTemplate, splitmix64};

use crate::{
    diagnostic::Diagnostic,
    inputs::Inputs,
    known::{self, Fields, Site},
    nearest::nearest,
    source::Place,
    tree::Text,
};

/// What the functions of one part of the template give.
pub(crate) struct Engine<'a> {
    pub(crate) inputs: Inputs<'a>,
    pub(crate) site: Site,
    /// The builder's name and type, where they are known.
    pub(crate) build: Option<(&'a str, &'a str)>,
}

impl Scope for Engine<'_> {
    fn data(&self) -> &Value {
        &Value::Nil
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, CallError> {
        let fixed = match name {
            "template_dir" => self.inputs.template_dir.to_string_lossy().into_owned(),
            "pwd" => self.inputs.context.working_directory.to_string_lossy().into_owned(),
            "build_name" => self.build.map_or("", |(name, _)| name).to_owned(),
            "build_type" => self.build.map_or("", |(_, kind)| kind).to_owned(),
            "uuid" => self.uuid(),
            "user" | "env" => {
                let [Value::String(key)] = arguments else {
                    return functions::wrong_arguments("one name", arguments).map_err(CallError::Failed);
                };
                let values = if name == "user" {
                    self.inputs.variables
                } else {
                    self.inputs.used.note_environment(key);
                    &self.inputs.context.environment
                };
                return Ok(values.get(key).cloned().unwrap_or_default().into());
            }
            _ => {
                return match functions::call_at(name, arguments, self.inputs.context.now.0) {
                    Some(result) => result.map_err(CallError::Failed),
                    None => Err(CallError::Unknown),
                };
            }
        };
        if arguments.is_empty() {
            Ok(fixed.into())
        } else {
            functions::wrong_arguments("nothing", arguments).map_err(CallError::Failed)
        }
    }
}

impl Constants for Engine<'_> {
    fn is_constant(&self, function: &str) -> bool {
        function != "build" && known::check_function(function, self.site).is_ok()
    }

    fn as_field(&self, function: &str, argument: &str) -> Option<String> {
        (function == "build" && known::RUN.contains(&argument)).then(|| argument.to_owned())
    }
}

impl Engine<'_> {
    /// Packer's form: the seconds of now, then random digits; not a UUID of RFC 9562.
    fn uuid(&self) -> String {
        let Inputs { context, used, .. } = self.inputs;
        let random = || splitmix64::nth(context.uuid_seed, used.next_random());
        let (first, second) = (random(), random());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (context.now.0 / 1000) & 0xffff_ffff,
            first >> 48,
            (first >> 32) & 0xffff,
            (first >> 16) & 0xffff,
            second >> 16
        )
    }

    fn fail(&self, place: &Place, message: impl Into<String>, help: Option<String>) {
        self.inputs.notes.add(Diagnostic::error(place, message).help_maybe(help));
    }

    /// Renders once, with everything known.
    pub(crate) fn early(&self, text: &Text) -> Option<String> {
        let template = self.parse(text, &text.value, true)?;
        self.render(text, &template)
    }

    fn render(&self, text: &Text, template: &Template) -> Option<String> {
        let mut fine = self.check_functions(text, template, true);
        for field in template.fields() {
            fine = false;
            let name = field.path.join(".");
            let help = match self.site {
                Site::Provisioner if field.path.len() == 1 && known::RUN.contains(&name.as_str()) => {
                    format!("This is read before the build runs, so it cannot know .{name}.")
                }
                _ => "Fields such as {{.SourceAMI}} are known only while the build runs; they can be used in tags, \
                      ami_description, mount_path, command_wrapper, pre_mount_commands and post_mount_commands."
                    .to_owned(),
            };
            self.fail(&text.part(field.span.start, field.span.end), format!(".{name} is not known here"), Some(help));
        }
        if !fine {
            return None;
        }
        match template.render(self) {
            Ok(rendered) => Some(rendered),
            Err(error) => {
                self.fail(&text.part(error.span.start, error.span.end), error.message, None);
                None
            }
        }
    }

    /// Renders the value of a variable: `{{.Name}}` goes through, to be rendered where the variable is used.
    pub(crate) fn variable(&self, text: &Text) -> Option<String> {
        let mut template = self.parse(text, &text.value, true)?;
        template.keep_fields();
        self.render(text, &template)
    }

    /// Works out what is known, again and again until nothing changes; fields stay for the run.
    pub(crate) fn late(&self, text: &Text, fields: Fields) -> Option<DeferredTemplate> {
        let mut now = text.value.clone();
        for round in 0..MAX_ROUNDS {
            let first = round == 0;
            let template = self.parse(text, &now, first)?;
            let mut fine = self.check_functions(text, &template, first);
            fine &= self.check_fields(text, &template, fields, first);
            if !fine {
                return None;
            }
            let next = template.fold(self).map_err(|error| {
                let place = place(text, error.span.start, error.span.end, first);
                self.fail(&place, error.message, None);
            });
            let next = next.ok()?;
            if next == now {
                return self.remaining(text, &template, first).then_some(DeferredTemplate(now));
            }
            now = next;
        }
        self.fail(&text.place, "this goes on changing however often it is rendered: it produces itself", None);
        None
    }

    fn parse(&self, text: &Text, now: &str, first: bool) -> Option<Template> {
        match Template::parse(now) {
            Ok(template) => Some(template),
            Err(error) if first => {
                let help = "{{ }} is read as a template. Text that needs {{ itself belongs in a script file.";
                let place = text.part(error.span.start, error.span.end);
                self.fail(&place, format!("this template cannot be read: {error}"), Some(help.to_owned()));
                None
            }
            Err(error) => {
                let help = "This is rendered until nothing changes, so no {{ can be left in it: such text belongs in \
                            a script file.";
                let message = format!("once rendered, this is a template that cannot be read: {error} in \"{now}\"");
                self.fail(&text.place, message, Some(help.to_owned()));
                None
            }
        }
    }

    fn check_functions(&self, text: &Text, template: &Template, first: bool) -> bool {
        let mut fine = true;
        for call in template.functions() {
            let place = place(text, call.span.start, call.span.end, first);
            if let Err((message, help)) = known::check_function(&call.name, self.site) {
                fine = false;
                self.fail(&place, message, help);
            } else if call.name == "user" {
                fine &= self.check_variable(text, &call, first);
            } else if call.name == "build" {
                fine &= self.check_key(text, &call, first);
            }
        }
        fine
    }

    /// A variable that nobody has declared is "" to Packer. False for one that could not be read.
    fn check_variable(&self, text: &Text, call: &FunctionUse, first: bool) -> bool {
        let ([Some(Value::String(name))], [span]) = (call.arguments.as_slice(), call.argument_spans.as_slice()) else {
            return true;
        };
        if self.inputs.broken.contains(name) {
            return false;
        }
        if self.site == Site::Variable || self.inputs.variables.contains_key(name) {
            return true;
        }
        let near = nearest(name, self.inputs.variables.keys().map(String::as_str));
        let help = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("Declare it: \"variables\": {{\"{name}\": \"…\"}}"),
        };
        let place = place(text, span.start, span.end, first);
        self.inputs.notes.add(
            Diagnostic::warning(&place, format!("the variable `{name}` is not declared, so this is empty")).help(help),
        );
        true
    }

    fn check_key(&self, text: &Text, call: &FunctionUse, first: bool) -> bool {
        let ([Some(Value::String(key))], [span]) = (call.arguments.as_slice(), call.argument_spans.as_slice()) else {
            let place = place(text, call.span.start, call.span.end, first);
            let help = "Write the key itself: {{build `SourceAMI`}}".to_owned();
            self.fail(&place, "`build` takes one key, written as text", Some(help));
            return false;
        };
        if known::RUN.contains(&key.as_str()) {
            return true;
        }
        let message = if known::RUN_EMPTY.contains(&key.as_str()) {
            format!("`build` has no value for \"{key}\" with amazon-chroot")
        } else {
            format!("`build` does not know \"{key}\"")
        };
        let place = place(text, span.start, span.end, first);
        self.fail(&place, message, Some(format!("It knows {}.", known::RUN.join(", "))));
        false
    }

    fn check_fields(&self, text: &Text, template: &Template, fields: Fields, first: bool) -> bool {
        let mut fine = true;
        for used in template.fields() {
            let place = place(text, used.span.start, used.span.end, first);
            let Some(name) = used.path.first().map(String::as_str) else {
                continue;
            };
            // After the first round `build "X"` has become .X.
            let bare = self.site == Site::Provisioner && first;
            let deep = used.path.len() > if name == known::TAGS { 2 } else { 1 };
            let (message, help) = if bare {
                let near = nearest(name, known::RUN.iter().copied()).unwrap_or("SourceAMI");
                let message = format!("a provisioner cannot name the field .{name}");
                (message, format!("Write {{{{build `{near}`}}}}; `build` knows {}.", known::RUN.join(", ")))
            } else if !fields.contains(&name) {
                let near = nearest(name, fields.iter().copied())
                    .map_or(String::new(), |near| format!("Did you mean .{near}? "));
                (format!(".{name} is not known here"), format!("{near}Known here: {}.", fields.join(", ")))
            } else if deep {
                (format!(".{name} has no field .{}", used.path[1..].join(".")), format!("Write .{name} alone."))
            } else {
                continue;
            };
            fine = false;
            self.fail(&place, message, Some(help));
        }
        fine
    }

    /// What is left must be callable by whoever runs the build.
    fn remaining(&self, text: &Text, template: &Template, first: bool) -> bool {
        let mut fine = true;
        for call in template.functions().iter().filter(|call| !deferred::is_function(&call.name)) {
            fine = false;
            let place = place(text, call.span.start, call.span.end, first);
            let message = format!("`{}` cannot be given what is known only while the build runs", call.name);
            self.fail(&place, message, Some("Write its argument as text.".to_owned()));
        }
        fine
    }
}

/// The exact place in the first round; later the text is no longer what is written, so all of it.
fn place(text: &Text, start: usize, end: usize, first: bool) -> Place {
    if first { text.part(start, end) } else { text.place.clone() }
}
