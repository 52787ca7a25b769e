//! `bakehouse policy`.

use std::path::Path;

use bakehouse_controller::policy::{ArnScope, Caller, least_policy};

use crate::{
    args::Policy,
    report::{CliError, Exit},
    templates, text,
};

/// The stack that is meant if none is named.
const STACK: &str = "bakehouse";

pub(super) fn run(args: &Policy, stack: Option<&str>, here: &Path) -> Result<Exit, CliError> {
    if args.account.as_ref().is_some_and(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(CliError::wrong("--account is no account's id").hint("it has twelve digits"));
    }
    let loaded = templates::read(&args.template, &args.variables, here)?;
    let here = args.here || args.instance.is_some() || (stack.is_none() && !args.controller);
    let who = if here {
        Caller::Instance { instance: args.instance.clone() }
    } else {
        Caller::Controller { stack: stack.unwrap_or(STACK).to_owned() }
    };
    let place =
        ArnScope { partition: args.partition.clone(), account: args.account.clone(), region: args.region.clone() };
    let policy = least_policy(&loaded.builds, &who, &place);
    // What `{:#}` writes is two spaces a level, as AWS's own examples are.
    text::out(&format!("{policy:#}"));
    Ok(Exit::Done)
}
