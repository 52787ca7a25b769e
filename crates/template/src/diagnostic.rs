//! Errors and warnings about a template: what is wrong, where, and what to write instead.

use std::{borrow::Cow, cell::RefCell, collections::BTreeSet, fmt, ops::Range, sync::OnceLock};

use bakehouse_protocol::mask::Mask;
use miette::{LabeledSpan, Severity, SourceCode};

use crate::{language::in_hcl, snippet::Snippet, source::Location};

/// How many errors, or warnings, of a template are shown; the others are only counted.
const MAX_SHOWN: usize = 50;

/// How many warnings are kept, and at least how many errors.
const MAX_KEPT: usize = 5000;

/// How many bytes a message, a label or a help text has at most. They quote names and values, which may be of any
/// length.
const MAX_LENGTH: usize = 600;

/// An error or a warning. Print it with [`miette`], or get its parts.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    label: Option<String>,
    help: Option<String>,
    location: Option<Location>,
    /// The part of the text to show; made when it is needed.
    snippet: OnceLock<Option<Snippet>>,
}

impl Diagnostic {
    pub(crate) fn error(location: &Location, message: impl Into<String>) -> Self {
        Self { location: Some(location.clone()), ..Self::without_location(message) }
    }

    pub(crate) fn warning(location: &Location, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(location, message) }
    }

    /// Returns an error that is not about a text, such as that a file cannot be read.
    pub(crate) fn without_location(message: impl Into<String>) -> Self {
        let message = printable(message.into());
        Self { severity: Severity::Error, message, label: None, help: None, location: None, snippet: OnceLock::new() }
    }

    /// Returns a warning that is not about a text.
    pub(crate) fn warning_without_location(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::without_location(message) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(printable(label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(printable(help.into()));
        self
    }

    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Returns the file's name, the line and the column (both from 1, in characters), if it has a location.
    pub fn position(&self) -> Option<(&str, usize, usize)> {
        let location = self.location.as_ref()?;
        let (line, column) = location.line_column();
        Some((location.source.name(), line, column))
    }

    /// Returns the text at its location.
    pub fn excerpt(&self) -> Option<&str> {
        let location = self.location.as_ref()?;
        location.source.text().get(location.start..location.end)
    }

    /// Returns what to write instead.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether it is a warning.
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }

    /// Hides sensitive values. If one is in the lines around the location, these are not shown.
    fn mask(&mut self, mask: &Mask) {
        for text in [Some(&mut self.message), self.label.as_mut(), self.help.as_mut()].into_iter().flatten() {
            if let Cow::Owned(masked) = mask.apply(text) {
                *text = masked;
            }
        }
        if self.snippet().is_some_and(|snippet| snippet.shows(mask)) {
            if let Some((name, line, column)) = self.position() {
                let place = format!("It is at {name}:{line}:{column}, beside a sensitive value.");
                self.help = Some(self.help.take().map_or_else(|| place.clone(), |help| format!("{help} {place}")));
            }
            self.snippet = OnceLock::from(None);
        }
    }

    fn snippet(&self) -> Option<&Snippet> {
        self.snippet.get_or_init(|| self.location.as_ref().map(Snippet::of)).as_ref()
    }
}

/// Returns the text without control characters and, if it is too long, without its middle.
fn printable(text: String) -> String {
    let text = if text.len() > MAX_LENGTH {
        let (head, tail) =
            (text.floor_char_boundary(MAX_LENGTH * 3 / 4), text.ceil_char_boundary(text.len() - MAX_LENGTH / 4));
        format!("{} … {}", &text[..head], &text[tail..])
    } else {
        text
    };
    if text.chars().any(is_unprintable) { text.replace(is_unprintable, "\u{fffd}") } else { text }
}

fn is_unprintable(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// Returns the first diagnostics, as many as are shown, and a line such as "and 3 more mistakes" about the others.
/// `noun` is the singular of what they are.
pub fn limited<'a>(all: &'a [Diagnostic], noun: &str) -> (&'a [Diagnostic], Option<String>) {
    let (shown, rest) = all.split_at(all.len().min(MAX_SHOWN));
    let plural = if rest.len() == 1 { "" } else { "s" };
    (shown, (!rest.is_empty()).then(|| format!("and {} more {noun}{plural}", rest.len())))
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

/// Why a template could not be loaded.
#[derive(Clone, Debug)]
pub struct Problems {
    /// The errors, in the template's order; at least one.
    pub errors: Vec<Diagnostic>,
    /// Warnings about what works but is probably not meant.
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

/// Collects errors and warnings while a template is read: reading goes on after an error.
#[derive(Default)]
pub(crate) struct Diagnostics {
    all: RefCell<Vec<Diagnostic>>,
}

impl Diagnostics {
    /// Adds one. Of very many, the last are dropped.
    pub(crate) fn add(&self, diagnostic: Diagnostic) {
        let mut all = self.all.borrow_mut();
        // However many warnings there are, errors find room.
        let room = if diagnostic.is_warning() { MAX_KEPT } else { 2 * MAX_KEPT };
        if all.len() < room {
            all.push(diagnostic);
        }
    }

    /// Hides sensitive values in all of them.
    pub(crate) fn mask(&self, sensitive: &[String]) {
        if !sensitive.is_empty() {
            let mask = Mask::new(sensitive);
            self.all.borrow_mut().iter_mut().for_each(|diagnostic| diagnostic.mask(&mask));
        }
    }

    /// Replaces those of this range that are about a file which sets one of these variables: a line or a message about
    /// a syntax error there may show its value.
    pub(crate) fn hide_files_that_set(&self, range: Range<usize>, sensitive: &[&str]) {
        for diagnostic in self.all.borrow_mut().iter_mut().take(range.end).skip(range.start) {
            let text = diagnostic.location.as_ref().map_or("", |location| location.source.text());
            if let (Some((name, line, column)), true) =
                (diagnostic.position(), sensitive.iter().any(|variable| text.contains(variable)))
            {
                let message = format!("{name} cannot be read: there is a mistake at line {line}, column {column}");
                *diagnostic = Diagnostic::without_location(message)
                    .help("The line is not shown, because the file sets a sensitive variable.");
            }
        }
    }

    /// Returns the number of errors.
    pub(crate) fn error_count(&self) -> usize {
        self.all.borrow().iter().filter(|diagnostic| !diagnostic.is_warning()).count()
    }

    /// Returns how many errors and warnings there are.
    pub(crate) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// Translates what to write to HCL, in those after the first `kept` that are not about JSON.
    pub(crate) fn help_in_hcl(&self, kept: usize) {
        for diagnostic in self.all.borrow_mut().iter_mut().skip(kept) {
            let is_json = diagnostic.location.as_ref().is_some_and(|it| it.source.name().ends_with(".json"));
            if !is_json {
                diagnostic.help = diagnostic.help.as_deref().map(in_hcl);
            }
        }
    }

    /// Drops those after the first `kept` that are about one of these places.
    pub(crate) fn drop_about(&self, kept: usize, places: &[Location]) {
        let is_in = |location: &Location, place: &Location| {
            location.source.name() == place.source.name() && place.start <= location.start && location.end <= place.end
        };
        let is_about = |diagnostic: &Diagnostic| {
            diagnostic.location.as_ref().is_some_and(|location| places.iter().any(|place| is_in(location, place)))
        };
        let mut all = self.all.borrow_mut();
        let kept = kept.min(all.len());
        let later = all.split_off(kept);
        all.extend(later.into_iter().filter(|diagnostic| !is_about(diagnostic)));
    }

    /// Whether there are so many that no more of them will be shown: what takes time to find out can be left out.
    pub(crate) fn are_many(&self) -> bool {
        self.all.borrow().len() > 20 * MAX_SHOWN
    }

    /// Returns the errors and the warnings, each in the order of their locations and without duplicates, which steps
    /// that several builders share would have.
    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let mut all = self.all.into_inner();
        all.sort_by_key(|d| d.location.as_ref().map(|location| (location.source.name().to_owned(), location.start)));
        let mut seen = BTreeSet::new();
        all.retain(|d| {
            let location =
                d.location.as_ref().map(|location| (location.source.name().to_owned(), location.start, location.end));
            seen.insert((location, d.message.clone()))
        });
        all.into_iter().partition(|d| !d.is_warning())
    }
}
