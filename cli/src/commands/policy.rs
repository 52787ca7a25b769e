//! `bakehouse policy`.

use std::path::Path;

use bakehouse_controller::policy::{For, Place, least};

use crate::{
    args::Policy,
    report::{Exit, Trouble},
    templates, text,
};

/// The stack that is meant if none is named.
const STACK: &str = "bakehouse";

pub(super) fn run(asked: &Policy, stack: Option<&str>, here: &Path) -> Result<Exit, Trouble> {
    if asked.account.as_ref().is_some_and(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Trouble::wrong("--account is no account's id").hint("it has twelve digits"));
    }
    let loaded = templates::read(&asked.template, &asked.variables, here)?;
    let here = asked.here || asked.instance.is_some() || (stack.is_none() && !asked.controller);
    let who = if here {
        For::Here { instance: asked.instance.clone() }
    } else {
        For::Controller { stack: stack.unwrap_or(STACK).to_owned() }
    };
    let place =
        Place { partition: asked.partition.clone(), account: asked.account.clone(), region: asked.region.clone() };
    let policy = least(&loaded.builds, &who, &place);
    // What `{:#}` writes is two spaces a level, as AWS's own examples are.
    text::out(&format!("{policy:#}"));
    Ok(Exit::Done)
}
