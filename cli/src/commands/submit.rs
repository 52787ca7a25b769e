//! `bakehouse submit`.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_bundle::{Limits, Order, Packed, pack, sources};
use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_protocol::{BuildId, InboxMessage, Request, What};

use super::{Here, watch};
use crate::{
    args::{Submit, Variables},
    aws::{Session, StackDesk, trouble},
    desk::Desk,
    report::{Exit, Trouble, note},
    templates, text,
};

pub(super) fn run(asked: &Submit, here: &Here) -> Result<Exit, Trouble> {
    let (packed, builders) = bundle(&asked.template, &asked.variables, here)?;
    let session = here.session()?;
    upload(&session, &packed)?;
    let random = getrandom::u32().map_err(|error| Trouble::failed(format!("asking for random numbers: {error}")))?;
    let first = BuildId::from_parts(WallClock.now().0 / 1000, random);
    let request = Request { build: Some(first.clone()), what: What::Bundle(packed.reference()), vars: BTreeMap::new() };
    session.send(&InboxMessage::Request(request))?;
    let ids: Vec<BuildId> = (1..=builders).filter_map(|n| first.nth(n)).collect();
    if !asked.wait {
        ids.iter().for_each(|id| text::out(id.as_str()));
        note(&format!("`bakehouse watch {first}` follows it"));
        return Ok(Exit::Done);
    }
    let desk = StackDesk::new(session);
    let mut worst = Exit::Done;
    for id in &ids {
        text::err(&format!("Build {id} in {}", desk.name()));
        let build = taken_down(&desk, id)?;
        worst = worst.max(watch::follow(&desk, build)?);
    }
    Ok(worst)
}

/// The template and the files that it names, packed; and how many builders it has.
pub(super) fn bundle(
    template: &std::path::Path,
    variables: &Variables,
    here: &Here,
) -> Result<(Packed, usize), Trouble> {
    let read = templates::read_text(template, variables, &here.directory)?;
    let environment: BTreeSet<String> = read.loaded.environment.iter().cloned().collect();
    let order = Order {
        recipe: templates::recipe(template),
        template: read.path,
        text: read.text,
        working_directory: here.directory.clone(),
        vars: variables.vars.iter().cloned().collect(),
        var_files: variables.var_files.clone(),
        environment: environment
            .into_iter()
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)))
            .collect(),
        files: sources(&read.loaded.builds),
        limits: Limits::default(),
    };
    Ok((pack(&order)?, read.loaded.builds.len()))
}

/// Puts a bundle where the stack's parts find it.
pub(super) fn upload(session: &Session, packed: &Packed) -> Result<(), Trouble> {
    let (files, size) = (text::count(packed.entries.len(), "file"), text::bytes(packed.size));
    text::err(&format!("Bundle {} ({files}, {size})", &packed.sha256[..12]));
    session.wait(session.bundles.put(&packed.reference(), packed.bytes.clone())).map_err(trouble)
}

/// Waits until the controller has taken the request in.
fn taken_down(desk: &StackDesk, id: &BuildId) -> Result<bakehouse_machine::Build, Trouble> {
    loop {
        match desk.session.find(id)? {
            Some(build) => return Ok(build),
            None => std::thread::sleep(desk.pause()),
        }
    }
}
