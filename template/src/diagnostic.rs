//! What is wrong with a template, where, and what to write instead.

use std::{cell::RefCell, collections::BTreeSet, fmt, sync::Arc};

use miette::{LabeledSpan, NamedSource, Severity, SourceCode};

/// A range of bytes in a named text.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) source: Arc<NamedSource<String>>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.source.name(), self.start, self.end)
    }
}

impl Place {
    /// Line and column, from 1, in characters.
    fn line_column(&self) -> (usize, usize) {
        let text = self.source.inner();
        let before = text.get(..self.start.min(text.len())).unwrap_or(text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        (line, before.rsplit('\n').next().unwrap_or("").chars().count() + 1)
    }

    /// Its line, for a message that speaks of a second place.
    pub(crate) fn line(&self) -> usize {
        self.line_column().0
    }
}

/// One mistake or warning. Print it with [`miette`]; [`Diagnostic::position`] is for machines.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    label: Option<String>,
    help: Option<String>,
    place: Option<Place>,
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
        Self { severity: Severity::Error, message: message.into(), label: None, help: None, place: None }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn help_maybe(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
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
        place.source.inner().get(place.start..place.end)
    }

    /// What to write instead.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether it is only a warning.
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }
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
        self.place.as_ref().map(|place| place.source.as_ref() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let span = LabeledSpan::new(self.label.clone(), place.start, place.end.saturating_sub(place.start));
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
