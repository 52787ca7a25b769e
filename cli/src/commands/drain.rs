//! `bakehouse drain`.

use bakehouse_controller::stack::Registry as _;
use bakehouse_protocol::InboxMessage;

use super::Here;
use crate::{
    args::Drain,
    report::{Exit, Trouble},
    text,
};

pub(super) fn run(asked: &Drain, here: &Here) -> Result<Exit, Trouble> {
    let session = here.session()?;
    let hosts = session.wait(session.table.hosts())?;
    if !hosts.iter().any(|host| host.report.host == asked.host) {
        let message = format!("there is no host {} in the stack {}", asked.host, session.config.name);
        return Err(Trouble::wrong(message).hint("`bakehouse hosts` lists them"));
    }
    session.send(&InboxMessage::Drain { host: asked.host.clone(), draining: !asked.undo })?;
    text::err(&if asked.undo {
        format!("host {} takes builds again", asked.host)
    } else {
        format!("host {} gets no new builds; `bakehouse hosts` shows when it is free", asked.host)
    });
    Ok(Exit::Done)
}
