//! Names that templates of old versions of Packer use, and that `packer fix` replaces: functions, and the field
//! `.CreateTime`.

use std::borrow::Cow;

use bakehouse_gotemplate::{Span, Template};

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    functions::Section,
    tree::SourceString,
};

/// Old names of functions, each with the name of today.
const FUNCTIONS: [(&str, &str); 2] =
    [("clean_ami_name", "clean_resource_name"), ("clean_image_name", "clean_resource_name")];

/// The time of the build in builders, before Packer 0.5.
const CREATE_TIME: &str = "CreateTime";

/// Returns the text with the names of today. Old names are told.
pub(crate) fn current<'t>(
    text: &'t SourceString,
    section: Section,
    diagnostics: &Diagnostics,
) -> Cow<'t, SourceString> {
    let is_old = |name: &str| text.value.contains(name);
    if !FUNCTIONS.iter().any(|(old, _)| is_old(old)) && !is_old(CREATE_TIME) {
        return Cow::Borrowed(text);
    }
    // What can't be parsed is reported where it is rendered.
    let Ok(template) = Template::parse(&text.value) else {
        return Cow::Borrowed(text);
    };
    let mut changes: Vec<(Span, &str, String)> = Vec::new();
    for call in template.functions() {
        if let Some((old, new)) = FUNCTIONS.iter().find(|(old, _)| *old == call.name) {
            changes.push((call.span, new, format!("`{old}` is the old name of `{new}`")));
        }
    }
    for field in template.fields() {
        if section == Section::Builder && field.path == [CREATE_TIME] {
            changes.push((field.span, "isotime", "`.CreateTime` is the old form of `isotime`".to_owned()));
        }
    }
    changes.sort_by_key(|(span, _, _)| *span);
    let mut result = text.clone();
    // From the back, so that the spans of earlier changes stay valid.
    for (span, new, message) in changes.into_iter().rev() {
        let location = text.part(span.start, span.end);
        diagnostics.add(Diagnostic::warning(&location, message).help(format!("Write `{new}`.")));
        result = result.with(span.start, span.end, new);
    }
    Cow::Owned(result)
}
