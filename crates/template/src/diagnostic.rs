//! What is wrong with a template, where, and what to write instead.

use std::{cell::RefCell, collections::BTreeSet, fmt, sync::OnceLock};

use miette::{LabeledSpan, Severity, SourceCode};

use crate::{snippet::Snippet, source::Place};

/// How many mistakes, or warnings, of a template are shown at most; of the others only how many there are.
const SHOWN: usize = 50;

/// How many bytes a message, a label or an advice has at most. They quote names and values, of any length.
const LONGEST: usize = 600;

/// One mistake or warning. Print it with [`miette`]; [`Diagnostic::position`] is for machines.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    label: Option<String>,
    help: Option<String>,
    place: Option<Place>,
    /// What is shown of the text, once somebody looks.
    snippet: OnceLock<Option<Snippet>>,
}

impl Diagnostic {
    pub(crate) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self { place: Some(place.clone()), ..Self::nowhere(message) }
    }

    pub(crate) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    /// A mistake that is in no text, such as a file that cannot be read.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        let message = shortened(message.into());
        Self { severity: Severity::Error, message, label: None, help: None, place: None, snippet: OnceLock::new() }
    }

    /// A warning that is about no text.
    pub(crate) fn nowhere_warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::nowhere(message) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(shortened(label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shortened(help.into()));
        self
    }

    pub(crate) fn help_maybe(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// The file's name, the line and the column (both from 1, in characters), if it is in a text.
    pub fn position(&self) -> Option<(&str, usize, usize)> {
        let place = self.place.as_ref()?;
        let (line, column) = place.line_column();
        Some((place.source.name(), line, column))
    }

    /// The text that it points at.
    pub fn excerpt(&self) -> Option<&str> {
        let place = self.place.as_ref()?;
        place.source.text().get(place.start..place.end)
    }

    /// What to write instead.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether it is only a warning.
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }

    fn snippet(&self) -> Option<&Snippet> {
        self.snippet.get_or_init(|| self.place.as_ref().map(Snippet::of)).as_ref()
    }
}

/// Returns the text as it can be printed: not too long, its beginning and its end kept, and without control characters.
fn shortened(text: String) -> String {
    let text = if text.len() > LONGEST {
        let (begins, ends) =
            (text.floor_char_boundary(LONGEST * 3 / 4), text.ceil_char_boundary(text.len() - LONGEST / 4));
        format!("{} … {}", &text[..begins], &text[ends..])
    } else {
        text
    };
    if text.chars().any(is_unprintable) { text.replace(is_unprintable, "\u{fffd}") } else { text }
}

fn is_unprintable(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// Returns the first ones, as many as are to be shown, and a line that says how many more there are of this `thing`.
pub fn shown<'a>(all: &'a [Diagnostic], thing: &str) -> (&'a [Diagnostic], Option<String>) {
    let (shown, rest) = all.split_at(all.len().min(SHOWN));
    let plural = if rest.len() == 1 { "" } else { "s" };
    (shown, (!rest.is_empty()).then(|| format!("and {} more {thing}{plural}", rest.len())))
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet().map(|snippet| snippet as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let marked = self.snippet()?.marked();
        let span = LabeledSpan::new(self.label.clone(), marked.start, marked.len());
        Some(Box::new(std::iter::once(span)))
    }
}

/// All that is wrong with a template. Warnings are kept apart.
#[derive(Clone, Debug)]
pub struct Problems {
    /// The mistakes, in the template's order; at least one.
    pub errors: Vec<Diagnostic>,
    /// What works but should be looked at.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.len() {
            1 => f.write_str("the template has a mistake"),
            n => write!(f, "the template has {n} mistakes"),
        }
    }
}

impl std::error::Error for Problems {}

impl miette::Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.errors.iter().map(|error| error as &dyn miette::Diagnostic)))
    }
}

/// Collects diagnostics while the template is read: reading goes on after a mistake.
#[derive(Default)]
pub(crate) struct Notes {
    all: RefCell<Vec<Diagnostic>>,
}

impl Notes {
    pub(crate) fn add(&self, diagnostic: Diagnostic) {
        self.all.borrow_mut().push(diagnostic);
    }

    /// Errors and warnings in the order of their places. What several builders say alike is said once.
    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let mut all = self.all.into_inner();
        all.sort_by_key(|d| d.place.as_ref().map(|place| (place.source.name().to_owned(), place.start)));
        let mut seen = BTreeSet::new();
        all.retain(|d| {
            let place = d.place.as_ref().map(|place| (place.source.name().to_owned(), place.start, place.end));
            seen.insert((place, d.message.clone()))
        });
        all.into_iter().partition(|d| !d.is_warning())
    }
}
