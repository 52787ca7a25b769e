//! `bakehouse logs`.

use bakehouse_protocol::{Report, ReportBody};

use super::find::find;
use crate::{
    args::Logs,
    build_source::Position,
    context::CliContext,
    report::{CliError, Exit},
    text,
};

pub(super) fn run(args: &Logs, here: &CliContext) -> Result<Exit, CliError> {
    let source = here.source()?;
    let id = find(&*source, &args.build)?;
    let mut position = Position::default();
    loop {
        // Looked at first: what was said before the end is then read for certain.
        let build = source.load(&id)?;
        let over = build.phase.has_ended() || source.is_left(&build);
        let said = source.said(&id, &mut position)?;
        for report in &said {
            if let Some(line) = line(report, args.json)? {
                text::out(&line);
            }
        }
        if !args.follow && said.is_empty() || over && said.is_empty() {
            return Ok(Exit::Done);
        }
        if args.follow && !over {
            std::thread::sleep(source.pause());
        }
    }
}

/// A report as it is printed; `None`: it is nothing that a step printed.
fn line(report: &Report, json: bool) -> Result<Option<String>, CliError> {
    if json {
        return Ok(Some(serde_json::to_string(report)?));
    }
    Ok(match &report.body {
        ReportBody::Output { line, .. } => Some(text::plain(line)),
        ReportBody::Provisioner { index, of, title } => Some(format!("==> {}/{of} {title}", index + 1)),
        ReportBody::Note(note) => Some(format!("note: {note}")),
        ReportBody::Phase(_) | ReportBody::Heartbeat | ReportBody::Ended(_) => None,
    })
}
