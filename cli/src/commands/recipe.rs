//! `bakehouse recipe`.

use std::collections::BTreeMap;

use bakehouse_controller::stack::{Recipe as StackRecipe, Registry as _};
use bakehouse_protocol::{BuildTarget, InboxMessage, Request};

use super::submit;
use crate::{
    args::{Listing, Recipe, RecipePut, RecipeVerb},
    context::CliContext,
    report::{CliError, Exit, note},
    table, text,
};

pub(super) fn run(args: &Recipe, cx: &CliContext) -> Result<Exit, CliError> {
    match &args.verb {
        RecipeVerb::Put(args) => put(args, cx),
        RecipeVerb::Ls(args) => list(args, cx),
        RecipeVerb::Build(args) => {
            let session = cx.session()?;
            check_exists(session.wait(session.table.recipe(&args.name))?.is_some(), &args.name)?;
            let request = Request {
                build: None,
                target: BuildTarget::Recipe(args.name.clone()),
                vars: BTreeMap::new(),
                scheduled: None,
            };
            session.send(&InboxMessage::Request(request))?;
            note("`bakehouse watch last` follows it");
            Ok(Exit::Done)
        }
        RecipeVerb::Rm(args) => {
            let session = cx.session()?;
            check_exists(session.wait(session.table.remove_recipe(&args.name))?, &args.name)?;
            Ok(Exit::Done)
        }
    }
}

fn check_exists(exists: bool, name: &str) -> Result<(), CliError> {
    let missing = || CliError::wrong(format!("there is no recipe {name}")).hint("`bakehouse recipe ls` lists them");
    if exists { Ok(()) } else { Err(missing()) }
}

fn put(args: &RecipePut, cx: &CliContext) -> Result<Exit, CliError> {
    let (packed, _) = submit::bundle(&args.template, &args.variables, cx)?;
    let session = cx.session()?;
    submit::upload(&session, &packed)?;
    let before = session.wait(session.table.recipe(&args.name))?;
    let recipe = StackRecipe {
        name: args.name.clone(),
        bundle: packed.reference(),
        vars: BTreeMap::new(),
        on_release: args.on_release,
        sources: BTreeMap::new(),
    };
    session.wait(session.table.put_recipe(&recipe))?;
    let done = if before.is_some() { "replaced" } else { "saved" };
    text::err(&format!("Recipe {} {done} in the stack {}", args.name, session.config.name));
    // EventBridge Scheduler inserts the time, which identifies repeated deliveries.
    let time = "<aws.scheduler.scheduled-time>";
    let input = serde_json::json!({ "bakehouse": 1, "kind": "request", "recipe": args.name, "scheduled": time });
    note(&format!("a schedule builds it with the input {input}"));
    Ok(Exit::Done)
}

fn list(args: &Listing, cx: &CliContext) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let recipes = session.wait(session.table.recipes())?;
    if args.json {
        text::out(&serde_json::to_string_pretty(&recipes)?);
        return Ok(Exit::Done);
    }
    if recipes.is_empty() {
        note(&format!("no recipes in the stack {}", session.config.name));
        return Ok(Exit::Done);
    }
    let row = |recipe: &StackRecipe| {
        let sources: Vec<&str> = recipe.sources.values().map(|image| image.as_str()).collect();
        vec![
            recipe.name.clone(),
            if recipe.on_release { "yes" } else { "no" }.to_owned(),
            recipe.bundle.sha256.chars().take(12).collect(),
            sources.join(" "),
        ]
    };
    let rows: Vec<Vec<String>> = recipes.iter().map(row).collect();
    table::render(&["recipe", "on release", "bundle", "last built from"], &rows)
        .iter()
        .for_each(|line| text::out(line));
    Ok(Exit::Done)
}
