//! Packer's template languages, where what reads the options must know which one it is.

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Json,
    Hcl,
}

impl Language {
    /// Returns what to write instead of a function of Go templates that the language does not have.
    pub(crate) fn instead_of(self, function: &str) -> Option<&'static str> {
        match (self, function) {
            (Self::Json, _) => None,
            (Self::Hcl, "user") => Some("Write ${var.NAME}."),
            (Self::Hcl, "env") => {
                Some("Write variable \"NAME\" { default = env(\"NAME\") } at the root, and ${var.NAME} here.")
            }
            (Self::Hcl, "template_dir") => Some("Write ${path.root}."),
            (Self::Hcl, "build") => Some("Write ${build.NAME}, in a provisioner or a post-processor."),
            (Self::Hcl, _) => None,
        }
    }
}

/// Returns a text about what to write with its examples in HCL's native syntax: `"owners": ["self"]` becomes
/// `owners = ["self"]`, and a list of objects becomes a block.
pub(crate) fn in_hcl(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('"') {
        let (before, quoted) = rest.split_at(at);
        out.push_str(before);
        let Some((name, after)) = key(quoted) else {
            out.push('"');
            rest = &quoted[1..];
            continue;
        };
        out.push_str(name);
        match after.strip_prefix("[{").and_then(|inner| inner.split_once("}]")) {
            Some((inner, after)) => {
                out.push_str(&format!(" {{ {} }}", in_hcl(inner)));
                rest = after;
            }
            None => {
                out.push_str(" = ");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Splits a text that begins with a JSON key into its name and what follows the colon.
fn key(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('"')?.split_once("\": ")?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    is_name.then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::in_hcl;

    #[test]
    fn examples_are_translated() {
        for (json, hcl) in [
            ("Write \"ami_name\": \"web {{timestamp}}\".", "Write ami_name = \"web {{timestamp}}\"."),
            ("Write \"a\": [\"…\"], \"b\": 8 or \"c\".", "Write a = [\"…\"], b = 8 or \"c\"."),
            ("Write \"filters\": {\"name\": \"…\"}.", "Write filters = {name = \"…\"}."),
            ("or write \"m\": [{\"device_name\": \"…\"}].", "or write m { device_name = \"…\" }."),
            ("Did you mean \"shell\"?", "Did you mean \"shell\"?"),
            ("\"unclosed", "\"unclosed"),
        ] {
            assert_eq!(in_hcl(json), hcl);
        }
    }
}
