//! Renders the Go templates in a template's values. Those that may use fields known only while the build runs are
//! evaluated as far as possible and stay templates.

use std::borrow::Cow;

use bakehouse_gotemplate::{
    CallError, Constants, FunctionUse, MAX_ROUNDS, Scope, Template, Value, deferred,
    functions::{call_at, wrong_arguments},
    quote,
};
use bakehouse_hcl::nearest;
use bakehouse_protocol::DeferredTemplate;

use crate::{
    diagnostic::Diagnostic,
    fields::{self, Fields},
    functions::{self, Section},
    inputs::Inputs,
    language::Language,
    packer, renamed, secrets,
    source::Location,
    tree::SourceString,
};

/// How many bytes all values of a template may have once they are rendered.
const MAX_RENDERED: usize = 16 << 20;

/// Renders the values of one section of the template.
pub(crate) struct Renderer<'a> {
    pub(crate) inputs: Inputs<'a>,
    pub(crate) section: Section,
    /// The builder's name and type, where they are known.
    pub(crate) build: Option<(&'a str, &'a str)>,
}

impl Scope for Renderer<'_> {
    fn data(&self) -> &Value {
        &Value::Nil
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, CallError> {
        let fixed = match name {
            "template_dir" => self.inputs.template_dir.to_string_lossy().into_owned(),
            "pwd" => self.inputs.context.working_directory.to_string_lossy().into_owned(),
            "build_name" => self.build.map_or("", |(name, _)| name).to_owned(),
            "build_type" => self.build.map_or("", |(_, kind)| kind).to_owned(),
            "packer_version" => packer::version(),
            "uuid" => self.inputs.context.uuid(self.inputs.usage.next_randoms()),
            "user" | "env" => {
                let [Value::String(key)] = arguments else {
                    return wrong_arguments("one name", arguments).map_err(CallError::Failed);
                };
                let values = if name == "user" {
                    self.inputs.variables
                } else {
                    self.inputs.usage.record_environment(key);
                    &self.inputs.context.environment
                };
                return Ok(values.get(key).cloned().unwrap_or_default().into());
            }
            _ => {
                let texts: Option<Vec<&str>> = arguments
                    .iter()
                    .map(|argument| if let Value::String(text) = argument { Some(text.as_str()) } else { None })
                    .collect();
                if let Some(value) = secrets::call(name, &texts.unwrap_or_default(), self.inputs.external) {
                    let value = value.map_err(CallError::Failed)?;
                    self.inputs.usage.record_secret(&value);
                    return Ok(value.into());
                }
                return match call_at(name, arguments, self.inputs.context.now.0) {
                    Some(result) => result.map_err(CallError::Failed),
                    None => Err(CallError::Unknown),
                };
            }
        };
        if arguments.is_empty() {
            Ok(fixed.into())
        } else {
            wrong_arguments("nothing", arguments).map_err(CallError::Failed)
        }
    }
}

impl Constants for Renderer<'_> {
    fn is_constant(&self, function: &str) -> bool {
        function != "build" && functions::check(function, self.section).is_ok()
    }

    fn as_field(&self, function: &str, argument: &str) -> Option<String> {
        (function == "build" && fields::BUILD.contains(&argument)).then(|| argument.to_owned())
    }
}

impl Renderer<'_> {
    fn error(&self, location: &Location, message: impl Into<String>, help: Option<String>) {
        self.inputs.diagnostics.add(Diagnostic::error(location, message).maybe_help(help));
    }

    /// Returns the text with the names of today, and with the id of the run where `build` asks for it.
    fn prepared<'t>(&self, text: &'t SourceString) -> Cow<'t, SourceString> {
        let text = renamed::current(text, self.section, self.inputs.diagnostics);
        if !self.section.has_build() || !text.value.contains(fields::RUN_UUID) {
            return text;
        }
        // What can't be parsed is reported where it is rendered.
        let Ok(template) = Template::parse(&text.value) else {
            return text;
        };
        let mut result = text.into_owned();
        for call in template.functions().iter().filter(|call| call.name == "build").rev() {
            if let ([Some(Value::String(key))], [span]) = (call.arguments.as_slice(), call.argument_spans.as_slice())
                && key == fields::RUN_UUID
            {
                result = result.with(call.span.start, span.end, &quote(&self.inputs.context.run_uuid()));
            }
        }
        Cow::Owned(result)
    }

    /// Renders a value once. `None` if that is impossible; why has been reported.
    pub(crate) fn render(&self, text: &SourceString) -> Option<String> {
        let text = &*self.prepared(text);
        let template = self.parse(text, &text.value, true)?;
        self.render_template(text, &template)
    }

    fn render_template(&self, text: &SourceString, template: &Template) -> Option<String> {
        let mut valid = self.check_functions(text, template, true);
        for field in template.fields() {
            valid = false;
            let name = field.path.join(".");
            let help = match self.section {
                section if section.has_build() && field.path.len() == 1 && fields::BUILD.contains(&name.as_str()) => {
                    format!(".{name} is not known yet, because this is read before the build runs.")
                }
                _ => "Fields such as {{.SourceAMI}} are known only while the build runs; they can be used in tags, \
                      ami_description, mount_path, command_wrapper, pre_mount_commands and post_mount_commands."
                    .to_owned(),
            };
            self.error(&text.part(field.span.start, field.span.end), format!(".{name} is not known here"), Some(help));
        }
        if valid && let Some(call) = template.functions().iter().find(|call| call.name == "build") {
            valid = false;
            let help = "Its values are known only while the build runs, and this is read before.";
            let location = text.part(call.span.start, call.span.end);
            self.error(&location, "`build` cannot be called in this option", Some(help.to_owned()));
        }
        if !valid {
            return None;
        }
        match template.render(self) {
            Ok(rendered) => self.within_limit(text, &rendered).then_some(rendered),
            Err(error) => {
                self.error(&text.part(error.span.start, error.span.end), error.message, None);
                None
            }
        }
    }

    /// Renders the value of a variable. `{{.Name}}` stays, to be rendered where the variable is used.
    pub(crate) fn render_variable(&self, text: &SourceString) -> Option<String> {
        let text = &*self.prepared(text);
        let mut template = self.parse(text, &text.value, true)?;
        template.keep_fields();
        self.render_template(text, &template)
    }

    /// Evaluates what is known, repeatedly until nothing changes. Fields stay for when the build runs.
    pub(crate) fn defer(&self, text: &SourceString, fields: Fields) -> Option<DeferredTemplate> {
        let text = &*self.prepared(text);
        let mut current = text.value.clone();
        for round in 0..MAX_ROUNDS {
            let first = round == 0;
            let template = self.parse(text, &current, first)?;
            let mut valid = self.check_functions(text, &template, first);
            valid &= self.check_fields(text, &template, fields, first);
            if !valid {
                return None;
            }
            let next = template.fold(self).map_err(|error| {
                let location = location(text, error.span.start, error.span.end, first);
                self.error(&location, error.message, None);
            });
            let next = next.ok()?;
            if next != current && !self.within_limit(text, &next) {
                return None;
            }
            if next == current {
                return self.check_remaining(text, &template, first).then_some(DeferredTemplate(current));
            }
            current = next;
        }
        self.error(
            &text.location,
            format!("this is still changing after {MAX_ROUNDS} renderings: it produces itself"),
            None,
        );
        None
    }

    /// Counts what a template yields, and reports it if all together is too much: variables that contain each other
    /// grow very fast.
    fn within_limit(&self, text: &SourceString, rendered: &str) -> bool {
        let used = self.inputs.usage.count_rendered(rendered.len());
        if used <= MAX_RENDERED {
            return true;
        }
        if used - rendered.len() <= MAX_RENDERED {
            let message = format!("the template's values are larger than {} MiB", MAX_RENDERED >> 20);
            let help = "From here on none is rendered. Put long texts into files.";
            self.error(&text.location, message, Some(help.to_owned()));
        }
        false
    }

    fn parse(&self, text: &SourceString, current: &str, first: bool) -> Option<Template> {
        match Template::parse(current) {
            Ok(template) => Some(template),
            Err(error) if first => {
                let help = "{{ }} is read as a template. Text that needs {{ itself belongs in a script file.";
                let location = text.part(error.span.start, error.span.end);
                self.error(&location, format!("this template cannot be read: {error}"), Some(help.to_owned()));
                None
            }
            Err(error) => {
                let help = "This is rendered until nothing changes, so no {{ can be left in it: such text belongs in \
                            a script file.";
                let message =
                    format!("once rendered, this is a template that cannot be read: {error} in \"{current}\"");
                self.error(&text.location, message, Some(help.to_owned()));
                None
            }
        }
    }

    fn check_functions(&self, text: &SourceString, template: &Template, first: bool) -> bool {
        let mut valid = true;
        for call in template.functions() {
            let location = location(text, call.span.start, call.span.end, first);
            if let Some(help) = self.inputs.language.instead_of(&call.name) {
                valid = false;
                let message = format!("`{}` is a function of JSON templates", call.name);
                self.error(&location, message, Some(help.to_owned()));
            } else if let Err((message, help)) = functions::check(&call.name, self.section) {
                valid = false;
                let is_variable = self.inputs.variables.contains_key(&call.name);
                let quoted = format!("Write a variable's name as a string: {{{{user `{}`}}}}", call.name);
                self.error(&location, message, if is_variable { Some(quoted) } else { help });
            } else if call.name == "user" {
                valid &= self.check_variable(text, &call, first);
            } else if call.name == "build" {
                valid &= self.check_build_key(text, &call, first);
            }
        }
        valid
    }

    /// Warns of a variable that is not declared, which Packer takes for "". Returns false for an invalid one.
    fn check_variable(&self, text: &SourceString, call: &FunctionUse, first: bool) -> bool {
        let ([Some(Value::String(name))], [span]) = (call.arguments.as_slice(), call.argument_spans.as_slice()) else {
            return true;
        };
        if self.inputs.invalid.contains(name) {
            return false;
        }
        if self.section == Section::Variable || self.inputs.variables.contains_key(name) {
            return true;
        }
        let near = nearest(name, self.inputs.variables.keys().map(String::as_str));
        let help = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("Declare it: \"variables\": {{\"{name}\": \"…\"}}"),
        };
        let location = location(text, span.start, span.end, first);
        self.inputs.diagnostics.add(
            Diagnostic::warning(&location, format!("the variable `{name}` is not declared, so this is empty"))
                .help(help),
        );
        true
    }

    fn check_build_key(&self, text: &SourceString, call: &FunctionUse, first: bool) -> bool {
        let ([Some(Value::String(key))], [span]) = (call.arguments.as_slice(), call.argument_spans.as_slice()) else {
            let location = location(text, call.span.start, call.span.end, first);
            let help = "Write the key itself: {{build `SourceAMI`}}".to_owned();
            self.error(&location, "`build` takes one key, written as a string", Some(help));
            return false;
        };
        if fields::BUILD.contains(&key.as_str()) {
            return true;
        }
        let message = if fields::BUILD_WITHOUT_VALUE.contains(&key.as_str()) {
            format!("`build` has no value for \"{key}\" with amazon-chroot")
        } else {
            format!("`build` has no key \"{key}\"")
        };
        let location = location(text, span.start, span.end, first);
        self.error(&location, message, Some(format!("Its keys are {}.", fields::BUILD.join(", "))));
        false
    }

    fn check_fields(&self, text: &SourceString, template: &Template, fields: Fields, first: bool) -> bool {
        let mut valid = true;
        for used in template.fields() {
            let location = location(text, used.span.start, used.span.end, first);
            let Some(name) = used.path.first().map(String::as_str) else {
                continue;
            };
            // After the first round `build "X"` has become `.X`.
            let is_bare =
                self.section.has_build() && first && fields == fields::BUILD && self.inputs.language == Language::Json;
            let is_too_deep = used.path.len() > if name == fields::TAGS { 2 } else { 1 };
            let (message, help) = if is_bare {
                let near = nearest(name, fields::BUILD.iter().copied()).unwrap_or("SourceAMI");
                let message = format!("{} cannot use the field .{name}", self.section.describe());
                (
                    message,
                    format!("Write {{{{build `{near}`}}}}; the keys of `build` are {}.", fields::BUILD.join(", ")),
                )
            } else if !fields.contains(&name) {
                let near = nearest(name, fields.iter().copied())
                    .map_or(String::new(), |near| format!("Did you mean .{near}? "));
                (format!(".{name} is not known here"), format!("{near}Known here: {}.", fields.join(", ")))
            } else if is_too_deep {
                (format!(".{name} has no field .{}", used.path[1..].join(".")), format!("Write .{name} alone."))
            } else {
                continue;
            };
            valid = false;
            self.error(&location, message, Some(help));
        }
        valid
    }

    /// Checks that what is left can be called while the build runs.
    fn check_remaining(&self, text: &SourceString, template: &Template, first: bool) -> bool {
        let mut valid = true;
        for call in template.functions().iter().filter(|call| !deferred::is_function(&call.name)) {
            valid = false;
            let location = location(text, call.span.start, call.span.end, first);
            let message = format!("`{}` cannot take an argument that is known only while the build runs", call.name);
            self.error(&location, message, Some("Write its argument as a string.".to_owned()));
        }
        valid
    }
}

/// Returns the exact location in the first round. Later the text differs from what is written, so it is that of the
/// whole value.
fn location(text: &SourceString, start: usize, end: usize, first: bool) -> Location {
    if first { text.part(start, end) } else { text.location.clone() }
}
