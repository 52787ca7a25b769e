//! Standard error with a status line: permanent lines, and on a terminal a spinner below them.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bakehouse_protocol::Timestamp;
use console::{Color, Term, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use tracing::level_filters::LevelFilter;

use crate::text;

/// The interval at which the status line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// The colours of the builds' names, in turn.
const COLORS: [Color; 5] = [Color::Green, Color::Cyan, Color::Magenta, Color::Yellow, Color::Blue];

/// Standard error. Clones share the status line, so that any thread may print.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    /// What the status line says of each build, by its name; of the only one, by an empty name.
    statuses: Arc<Mutex<BTreeMap<String, String>>>,
    /// The build whose lines are printed, if there are several: its name, and with colours.
    label: Option<(String, String)>,
    /// The clock whose time stands before each line, if that is wanted.
    clock: Option<fn() -> Timestamp>,
    /// Where permanent lines go in tests.
    #[cfg(test)]
    collected: Option<std::sync::Arc<std::sync::Mutex<Vec<String>>>>,
}

impl Screen {
    /// Has a status line only if standard error is a terminal and no log is written to it, which would break the line.
    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() || LevelFilter::current() != LevelFilter::OFF {
            return Self::with(None);
        }
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like(Box::new(Narrower(Term::stderr()))));
        // The template is ours and fixed; should indicatif ever refuse it, its own default will do.
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
            bar.set_style(style.tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "]));
        }
        Self::with(Some(bar))
    }

    fn with(bar: Option<ProgressBar>) -> Self {
        Self {
            bar,
            statuses: Arc::default(),
            label: None,
            clock: None,
            #[cfg(test)]
            collected: None,
        }
    }

    /// Returns the same screen for one of several builds, the number `index` of them: its name stands before its lines.
    pub(crate) fn labelled(&self, name: &str, index: usize) -> Self {
        let shown = style(name).fg(COLORS[index % COLORS.len()]).bold().for_stderr().to_string();
        Self { label: Some((name.to_owned(), shown)), ..self.clone() }
    }

    /// Returns the same screen with the time before each line.
    pub(crate) fn with_times(&self, clock: fn() -> Timestamp) -> Self {
        Self { clock: Some(clock), ..self.clone() }
    }

    /// Keeps its lines for a test.
    #[cfg(test)]
    pub(crate) fn collecting() -> Self {
        Self { collected: Some(Default::default()), ..Self::with(None) }
    }

    /// What was kept, without colours.
    #[cfg(test)]
    pub(crate) fn collected(&self) -> String {
        let lines = self.collected.as_ref().unwrap().lock().unwrap().join("\n");
        console::strip_ansi_codes(&lines).into_owned()
    }

    /// Prints a permanent line.
    pub(crate) fn line(&self, line: &str) {
        let mut prefix = self.clock.map_or_else(String::new, |now| format!("{}: ", text::zoned(now())));
        if let Some((_, shown)) = &self.label {
            prefix.push_str(&format!("{shown}: "));
        }
        // Several lines in one text each have the prefix.
        let text = line.lines().map(|line| format!("{prefix}{line}")).collect::<Vec<_>>().join("\n");
        let text = if line.is_empty() { prefix } else { text };
        #[cfg(test)]
        if let Some(collected) = &self.collected {
            return collected.lock().unwrap().push(text);
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| text::err(&text)),
            None => text::err(&text),
        }
    }

    /// Sets the text of the status line, or of its part about this screen's build.
    pub(crate) fn status(&self, what: &str) {
        if let Some(bar) = &self.bar {
            let message = {
                let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
                statuses.insert(self.name().to_owned(), what.to_owned());
                joined(&statuses)
            };
            if bar.is_finished() {
                bar.reset();
            }
            if self.label.is_none() {
                bar.reset_elapsed();
            }
            bar.set_message(message);
            bar.enable_steady_tick(TICK);
        }
    }

    /// Removes the status line, or its part about this screen's build.
    pub(crate) fn clear_status(&self) {
        if let Some(bar) = &self.bar {
            let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
            statuses.remove(self.name());
            if statuses.is_empty() {
                bar.disable_steady_tick();
                bar.finish_and_clear();
            } else {
                bar.set_message(joined(&statuses));
            }
        }
    }

    fn name(&self) -> &str {
        self.label.as_ref().map_or("", |(name, _)| name)
    }
}

/// Returns the text of the status line.
fn joined(statuses: &BTreeMap<String, String>) -> String {
    let one = |(name, what): (&String, &String)| if name.is_empty() { what.clone() } else { format!("{name}: {what}") };
    statuses.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A terminal that reports less than its width. The status line is padded to the full width, and the `^C` that the
/// kernel echoes at its end would wrap.
#[derive(Debug)]
struct Narrower(Term);

impl TermLike for Narrower {
    fn width(&self) -> u16 {
        self.0.size().1.saturating_sub(4)
    }
    fn height(&self) -> u16 {
        self.0.size().0
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }
    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.write_line(line)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }
    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_of_several_builds_begin_with_its_name() {
        let screen = Screen::collecting();
        screen.labelled("one", 0).line("a\nb");
        screen.labelled("two", 6).with_times(|| Timestamp(0)).line("c");
        screen.line("");
        let lines = screen.collected();
        let (first, time) = lines.split_once("19").unwrap();
        assert_eq!(first, "one: a\none: b\n");
        assert!(time.ends_with(": two: c\n"), "{time}");
    }

    #[test]
    fn the_status_line_names_each_build() {
        let statuses = [("one", "creating"), ("two", "copying")].map(|(name, what)| (name.to_owned(), what.to_owned()));
        assert_eq!(joined(&BTreeMap::from(statuses)), "one: creating, two: copying");
        assert_eq!(joined(&BTreeMap::from([(String::new(), "creating".to_owned())])), "creating");
    }
}
