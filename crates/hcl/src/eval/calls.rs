//! Calls of functions.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use hcl_edit::expr::{Expression, FuncCall};

use super::{evaluator::Evaluator, literals::parse_type};
use crate::{
    error::{Error, Fault},
    functions::{self, Arguments},
    nearest::suggest,
    parse::parse_template,
    scope::Scope,
    span,
    types::to_text,
    value::Value,
};

/// The functions that evaluate expressions themselves.
const EVALUATING: [&str; 4] = ["can", "convert", "templatefile", "try"];

/// The arguments of a call, and where each stands.
type Given<'a> = (Vec<Cow<'a, Value>>, Vec<Range<usize>>);

impl<'a> Evaluator<'a> {
    pub(super) fn call(&self, call: &FuncCall, around: Range<usize>) -> Result<Value, Error> {
        let name = call.name.name.as_str();
        let at = span::of(&call.name.name);
        if call.name.is_namespaced() {
            let namespace: Vec<&str> = call.name.namespace.iter().map(|part| part.as_str()).collect();
            let function = format!("{}::{name}", namespace.join("::"));
            return Err(Fault::new(format!("there is no function {function}"))
                .help(format!("Packer's functions have no namespace; write {name}(…)."))
                .at(around));
        }
        match name {
            "try" | "can" if self.built_in => return self.attempt(call, around),
            "convert" if self.built_in => return self.convert(call, around),
            "templatefile" if self.built_in => return self.templatefile(call, around),
            _ => {}
        }
        let built_in = functions::find(name).filter(|_| self.built_in);
        let (values, spans) = self.arguments(call)?;
        if let Some(function) = built_in {
            let arguments = Arguments::new(&values, self.outside, self.budget);
            return function.call(&arguments).map_err(|fault| self.call_fault(name, fault, &spans, around.clone()));
        }
        let values: Vec<Value> = values.into_iter().map(Cow::into_owned).collect();
        match self.outside.call(name, &values) {
            Some(Ok(value)) => Ok(value),
            Some(Err(message)) => Err(Fault::new(format!("{name}: {message}")).at(around)),
            None => Err(self.unknown(name, at)),
        }
    }

    fn unknown(&self, name: &str, at: Range<usize>) -> Error {
        if functions::find(name).is_some() || EVALUATING.contains(&name) {
            let fault = Fault::new(format!("the function {name} cannot be called here"));
            return match self.outside.function_names() {
                [] => fault.help("Write a literal value."),
                names => fault.help(format!("Only {} can.", names.join(", "))),
            }
            .at(at);
        }
        let mut fault = Fault::new(format!("there is no function {name}"));
        fault.help = match name {
            "tostring" | "tonumber" | "tobool" => Some(format!("Write convert(…, {}).", &name[2..])),
            "tolist" | "toset" | "tomap" => Some(format!("Write convert(…, {}(string)).", &name[2..])),
            "env" => Some("env can be called only in the default of a variable: refer to such a variable.".to_owned()),
            _ => {
                let built_in = functions::names().chain(EVALUATING).filter(|_| self.built_in);
                let mut known: Vec<&str> = built_in.collect();
                known.extend(self.outside.function_names());
                suggest(name, known)
            }
        };
        fault.at(at)
    }

    fn arguments(&self, call: &FuncCall) -> Result<Given<'a>, Error> {
        let mut values = Vec::with_capacity(call.args.len());
        let mut spans = Vec::with_capacity(call.args.len());
        let last = call.args.len().wrapping_sub(1);
        for (i, argument) in call.args.iter().enumerate() {
            let value = self.expression(argument)?;
            let at = span::of(argument);
            if i != last || !call.args.expand_final() {
                values.push(value);
                spans.push(at);
                continue;
            }
            match value {
                Cow::Borrowed(Value::List(items)) => values.extend(items.iter().map(Cow::Borrowed)),
                Cow::Owned(Value::List(items)) => values.extend(items.into_iter().map(Cow::Owned)),
                other => {
                    return Err(
                        Fault::new(format!("a list is required before ..., but this is {}", other.kind())).at(at)
                    );
                }
            }
            spans.resize(values.len(), at);
        }
        Ok((values, spans))
    }

    fn call_fault(&self, name: &str, fault: Fault, spans: &[Range<usize>], around: Range<usize>) -> Error {
        let at = fault.argument.and_then(|index| spans.get(index).cloned()).unwrap_or(around);
        Fault { message: format!("{name}: {}", fault.message), ..fault }.at(at)
    }

    /// `try` returns the first argument that has a value; `can` says whether its one has.
    fn attempt(&self, call: &FuncCall, around: Range<usize>) -> Result<Value, Error> {
        let try_all = call.name.name.as_str() == "try";
        if call.args.is_empty() || (!try_all && call.args.len() > 1) {
            let wanted = if try_all { "try takes at least one argument" } else { "can takes one argument" };
            return Err(Fault::new(wanted).at(around));
        }
        let mut errors = Vec::new();
        for argument in call.args.iter() {
            match self.evaluate(argument) {
                Ok(value) => return Ok(if try_all { value } else { Value::Bool(true) }),
                Err(error) if self.budget.is_spent() => return Err(error),
                Err(error) => errors.push(error.message),
            }
        }
        if !try_all {
            return Ok(Value::Bool(false));
        }
        Err(Fault::new(format!("try: no argument has a value: {}", errors.join("; "))).at(around))
    }

    fn convert(&self, call: &FuncCall, around: Range<usize>) -> Result<Value, Error> {
        let arguments: Vec<&Expression> = call.args.iter().collect();
        let [value, of] = arguments[..] else {
            return Err(Fault::new("convert takes a value and a type")
                .help("Write convert(var.x, list(string)).")
                .at(around));
        };
        let of = parse_type(of)?;
        let converted = of.convert(self.evaluate(value)?);
        converted.map_err(|error| Fault::new(format!("convert: {error}")).at(span::of(value)))
    }

    /// Evaluates a file as a template that sees the given names only.
    fn templatefile(&self, call: &FuncCall, around: Range<usize>) -> Result<Value, Error> {
        let name = "templatefile";
        let (values, spans) = self.arguments(call)?;
        let fault = |fault: Fault| self.call_fault(name, fault, &spans, around.clone());
        if self.in_file {
            return Err(fault(Fault::new("this cannot be called within a file of templatefile")));
        }
        let [_, vars] = &values[..] else {
            return Err(fault(
                Fault::new("a path and a map are required").help("Write templatefile(\"x.tpl\", { a = 1 })."),
            ));
        };
        let Value::Map(vars) = &**vars else {
            return Err(fault(Fault::new(format!("a map is required, but this is {}", vars.kind())).argument(1)));
        };
        let text = functions::text_of_file(&Arguments::new(&values, self.outside, self.budget), 0).map_err(fault)?;
        let path = to_text(&values[0]).map(Cow::into_owned).unwrap_or_default();
        let located = |start: usize, message: &str, help: Option<String>| {
            let line = text[..text.floor_char_boundary(start)].matches('\n').count() + 1;
            fault(Fault { argument: None, message: format!("{path}, line {line}: {message}"), help })
        };
        let template = parse_template(&text).map_err(|error| located(error.span.start, &error.message, error.help))?;
        let scope = FileScope(vars);
        Evaluator { scope: &scope, in_file: true, ..*self }
            .evaluate_template(&template)
            .map_err(|error| located(error.span.start, &error.message, error.help))
    }
}

/// The names of a file of `templatefile`.
struct FileScope<'a>(&'a BTreeMap<String, Value>);

impl Scope for FileScope<'_> {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}
