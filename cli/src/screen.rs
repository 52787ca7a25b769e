//! Standard error with a status line: permanent lines, and on a terminal a spinner below them.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use tracing::level_filters::LevelFilter;

use crate::text;

/// The interval at which the status line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Standard error. Clones share the status line, so that any thread may print.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
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
            #[cfg(test)]
            collected: None,
        }
    }

    /// Keeps its lines for a test.
    #[cfg(test)]
    pub(crate) fn collecting() -> Self {
        Self { bar: None, collected: Some(Default::default()) }
    }

    /// What was kept, without colours.
    #[cfg(test)]
    pub(crate) fn collected(&self) -> String {
        let lines = self.collected.as_ref().unwrap().lock().unwrap().join("\n");
        console::strip_ansi_codes(&lines).into_owned()
    }

    /// Prints a permanent line.
    pub(crate) fn line(&self, line: &str) {
        #[cfg(test)]
        if let Some(collected) = &self.collected {
            return collected.lock().unwrap().push(line.to_owned());
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| text::err(line)),
            None => text::err(line),
        }
    }

    /// Sets the text of the status line.
    pub(crate) fn status(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.reset_elapsed();
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(TICK);
        }
    }

    /// Removes the status line.
    pub(crate) fn clear_status(&self) {
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.finish_and_clear();
        }
    }
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
