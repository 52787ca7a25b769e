//! `bakehouse logs`.

use bakehouse_protocol::{Report, ReportBody};

use super::{Here, find};
use crate::{
    args::Logs,
    desk::Position,
    report::{Exit, Trouble},
    text,
};

pub(super) fn run(asked: &Logs, here: &Here) -> Result<Exit, Trouble> {
    let desk = here.desk()?;
    let id = find(&*desk, &asked.build)?;
    let mut position = Position::default();
    loop {
        // Looked at first: what was said before the end is then read for certain.
        let build = desk.load(&id)?;
        let over = build.phase.has_ended() || desk.is_left(&build);
        let said = desk.said(&id, &mut position)?;
        for report in &said {
            if let Some(line) = line(report, asked.json)? {
                text::out(&line);
            }
        }
        if !asked.follow && said.is_empty() || over && said.is_empty() {
            return Ok(Exit::Done);
        }
        if asked.follow && !over {
            std::thread::sleep(desk.pause());
        }
    }
}

/// A report as it is printed; `None`: it is nothing that a step printed.
fn line(report: &Report, json: bool) -> Result<Option<String>, Trouble> {
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
