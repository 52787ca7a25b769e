//! `bakehouse drain`.

use bakehouse_controller::stack::Registry as _;
use bakehouse_protocol::InboxMessage;

use crate::{
    args::Drain,
    context::CliContext,
    report::{CliError, Exit},
    text,
};

pub(super) fn run(args: &Drain, cx: &CliContext) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let hosts = session.wait(session.table.hosts())?;
    if !hosts.iter().any(|host| host.report.host == args.host) {
        let message = format!("there is no host {} in the stack {}", args.host, session.config.name);
        return Err(CliError::wrong(message).hint("`bakehouse hosts` lists them"));
    }
    session.send(&InboxMessage::Drain { host: args.host.clone(), draining: !args.undo })?;
    text::err(&if args.undo {
        format!("host {} takes builds again", args.host)
    } else {
        format!("host {} gets no new builds; `bakehouse hosts` shows when it is free", args.host)
    });
    Ok(Exit::Done)
}
