//! What evaluates single expressions with what a template defines.

use bakehouse_protocol::mask::Mask;

use crate::diagnostic::{Diagnostic, Diagnostics};

/// The name of the text that an expression is, in messages.
pub(crate) const NAME: &str = "console";

/// What a template defines, to evaluate expressions with.
pub trait Session {
    /// Evaluates an expression: in HCL an expression, with a JSON template a text with `{{…}}`.
    fn evaluate(&self, expression: &str) -> Evaluated;

    /// Returns the names and values of the variables, and in HCL of the locals, as Packer's console lists them.
    fn variables(&self) -> String;
}

/// What an expression evaluates to.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The value as text, sensitive values hidden; `None` if there is an error.
    pub text: Option<String>,
    /// The errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

impl Evaluated {
    /// Returns the value with sensitive values hidden, there and in the diagnostics.
    pub(crate) fn hiding(text: Option<String>, diagnostics: Diagnostics, sensitive: &[String]) -> Self {
        diagnostics.mask(sensitive);
        let text = text.map(|text| Mask::new(sensitive).apply(&text).into_owned());
        let (errors, warnings) = diagnostics.into_parts();
        let text = text.filter(|_| errors.is_empty());
        Self { text, diagnostics: [errors, warnings].concat() }
    }
}
