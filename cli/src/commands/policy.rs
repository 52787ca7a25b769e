//! `bakehouse policy`.

use std::path::Path;

use bakehouse_controller::policy::{ArnScope, Caller, least_policy};

use crate::{
    args::Policy,
    report::{CliError, Exit},
    templates, text,
};

/// The default stack.
const STACK: &str = "bakehouse";

pub(super) fn run(args: &Policy, stack: Option<&str>, directory: &Path) -> Result<Exit, CliError> {
    if args.account.as_ref().is_some_and(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(CliError::wrong("--account is not an account id").hint("it has twelve digits"));
    }
    let loaded = templates::read(&args.template, &args.variables, directory)?;
    let on_instance = args.here || args.instance.is_some() || (stack.is_none() && !args.controller);
    let caller = if on_instance {
        Caller::Instance { instance: args.instance.clone() }
    } else {
        Caller::Controller { stack: stack.unwrap_or(STACK).to_owned() }
    };
    let arn_scope =
        ArnScope { partition: args.partition.clone(), account: args.account.clone(), region: args.region.clone() };
    let policy = least_policy(&loaded.builds, &caller, &arn_scope);
    // `{:#}` indents by two spaces, as AWS's examples do.
    text::out(&format!("{policy:#}"));
    Ok(Exit::Done)
}
