//! Log lines of the three programs, on standard error: their formats, and the directives that filter them.
//!
//! Directives are those of [`tracing_subscriber::EnvFilter`]: `bakehouse=debug,aws=info`. A target is a module's path,
//! and `bakehouse` is the beginning of those of all of our packages.

mod journal;

use std::env;

use journal::Journal;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// The environment variable with the directives of the command line and the daemon.
pub const DIRECTIVES: &str = "BAKEHOUSE_LOG";

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object of JSON: the event's fields, `level`, `target`, `timestamp`, and `spans`, the outermost first.
    Json,
    /// `LEVEL span: message field=…`, those of the spans last.
    Journal {
        /// Whether the level is in front as journald reads it: `<4>`.
        has_prefix: bool,
    },
    /// `TIME LEVEL span: target: message field=…`, those of the spans last, for a terminal.
    Compact {
        /// Whether lines are coloured.
        ansi: bool,
    },
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The directives are wrong.
    #[error("reading the log directives \"{directives}\"")]
    Directives {
        /// What was given.
        directives: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// It was started before.
    #[error("the log was started before")]
    Started(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts the log of this process: from now on lines that the directives allow are written to standard error.
///
/// # Errors
/// [`LoggingError`].
pub fn start(format: Format, directives: &str) -> Result<(), LoggingError> {
    let subscriber = Registry::default().with(layer(format, directives, std::io::stderr)?);
    subscriber.try_init().map_err(LoggingError::Started)
}

/// Returns the directives that a variable of the environment has, else the default.
pub fn directives(variable: &str, default: &str) -> String {
    env::var(variable).ok().filter(|text| !text.trim().is_empty()).unwrap_or_else(|| default.to_owned())
}

/// Returns what writes lines to `writer`.
fn layer<W>(format: Format, directives: &str, writer: W) -> Result<Box<dyn Layer<Registry> + Send + Sync>, LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(directives);
    let filter = filter.map_err(|source| LoggingError::Directives { directives: directives.to_owned(), source })?;
    let lines = fmt::layer().with_writer(BoxMakeWriter::new(writer));
    Ok(match format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed(),
        Format::Journal { has_prefix } => {
            lines.with_ansi(false).event_format(Journal::new(has_prefix)).with_filter(filter).boxed()
        }
        Format::Compact { ansi } => lines.compact().with_ansi(ansi).with_filter(filter).boxed(),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing::{debug, info, info_span, subscriber::with_default, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, directives: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer(format, directives, move || writer.clone()).unwrap();
        with_default(Registry::default().with(layer), log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_has_the_fields_of_every_span() {
        let text = written(Format::Json, "info", || {
            let _invocation = info_span!("invocation", request_id = "r-1").entered();
            let _build = info_span!("build", build = "b-1", attempt = 2).entered();
            warn!(kind = "Throttled", "a call failed");
        });
        for part in [
            r#""level":"WARN""#,
            r#""kind":"Throttled""#,
            r#""message":"a call failed""#,
            r#"{"request_id":"r-1","name":"invocation"}"#,
            r#"{"attempt":2,"build":"b-1","name":"build"}"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn directives_filter_by_target_and_level() {
        let text = written(Format::Compact { ansi: false }, "bakehouse=debug,aws=info", || {
            debug!(target: "bakehouse_controller::drive", "shown");
            debug!(target: "aws_smithy_runtime", "hidden");
            info!(target: "aws_config", "shown, too");
            info!(target: "hyper", "hidden");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }

    #[test]
    fn wrong_directives_are_named() {
        let error = layer(Format::Json, "bakehouse=loud", io::stderr).err().unwrap();
        assert_eq!(error.to_string(), "reading the log directives \"bakehouse=loud\"");
    }

    #[test]
    fn a_line_for_the_journal_has_fields_and_no_time() {
        for (has_prefix, prefix) in [(false, ""), (true, "<6>")] {
            let text = written(Format::Journal { has_prefix }, "info", || {
                let _build = info_span!("job", build = "b-1").entered();
                info!(queue = "bakehouse-host-i-1", "polling");
            });
            assert_eq!(text, format!("{prefix} INFO job: polling queue=\"bakehouse-host-i-1\" build=\"b-1\"\n"));
        }
    }
}
