//! Reads an HCL template: its files, what they define, and its builds as blocks.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use bakehouse_hcl::{Budget, Value};

use super::{
    blocks::{ROOT, Schema},
    builds::{self, Builds},
    definitions::{self, body_references},
    evaluation::{Evaluation, Shared},
    files::{self, Files},
    literal,
    names::Names,
    outside::Machine,
    syntax::{Block, Document, Item},
    values,
    variables::{self, Variables},
    version,
};
use crate::{
    blocks::ParsedTemplate,
    diagnostic::{Diagnostic, Diagnostics},
    inputs::{Inputs, Usage},
    language::Language,
    packer,
    request::LoadRequest,
    selection::Selection,
};

const PACKER: Schema =
    Schema { owner: "`packer`", attributes: &["required_version"], blocks: &[("required_plugins", &[])] };

/// Checks the syntax of a template's files.
pub(crate) fn check_syntax(request: &LoadRequest, diagnostics: &Diagnostics) {
    files::read(request, &Usage::default(), diagnostics);
}

/// What a template defines: everything but its builds.
pub(super) struct Defined<'a> {
    documents: &'a [Document],
    /// The blocks at the root of the files.
    blocks: &'a [Block<'a>],
    /// The `dynamic` blocks there.
    dynamic: Vec<Item<'a>>,
    variables: &'a Variables<'a>,
    pub(super) shared: &'a Shared<'a>,
    /// The variables, locals and data sources, with their values.
    pub(super) names: &'a Names,
    /// Values that must be masked.
    pub(super) sensitive: Vec<String>,
    /// Whether all files could be read.
    is_complete: bool,
    directory: &'a Path,
}

/// Evaluates what a template defines, and passes it to `then`. What can't be read is reported, and left out.
pub(super) fn evaluate<R>(
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
    then: impl FnOnce(Defined<'_>) -> R,
) -> R {
    let context = &request.context;
    let found = files::read(request, usage, diagnostics);
    let Files { template, variables: variable_files, about_variables, root, directory } = found;
    let is_complete = diagnostics.error_count() == 0;
    let (mut blocks, mut dynamic) = (Vec::new(), Vec::new());
    for document in &template {
        let items = document.body().items(&|name| ROOT.role(name), diagnostics);
        let is_dynamic = |item: &Item<'_>| matches!(item, Item::Block(block) if block.kind.value == "dynamic");
        let (made, written): (Vec<Item<'_>>, Vec<Item<'_>>) = items.into_iter().partition(is_dynamic);
        blocks.extend(ROOT.check(written, diagnostics).1);
        dynamic.extend(made);
    }
    check_packer(&blocks, diagnostics);

    let external = request.external.as_deref().filter(|_| !request.skip_data_sources);
    let machine =
        |is_for_defaults| Machine { context, usage, template_directory: &directory, is_for_defaults, external };
    let (of_defaults, outside) = (machine(true), machine(false));
    let shared = |outside| Shared {
        outside,
        budget: Budget::default(),
        diagnostics,
        external,
        unknown: RefCell::default(),
        blocks: Cell::default(),
        run_uuid: context.run_uuid(),
    };
    let mut names = Names::new([
        ("path", map([("root", root.as_str()), ("cwd", &context.working_directory.to_string_lossy())])),
        ("packer", map([("version", &packer::version())])),
    ]);
    let declared: Vec<Block<'_>> =
        blocks.iter().filter(|block| ["variable", "variables"].contains(&block.kind.value.as_str())).cloned().collect();
    let variables = variables::declare(&declared, &Evaluation::of_defaults(&shared(&of_defaults), &names));
    let hidden = variables.values().filter(|variable| variable.is_sensitive);
    let hidden: Vec<&str> = hidden.map(|variable| variable.name.value.as_str()).collect();
    diagnostics.hide_files_that_set(about_variables, &hidden);
    let mut sensitive = values::assign(&variables, &variable_files, request, usage, &mut names, diagnostics);

    let shared = shared(&outside);
    values::validate(&variables, &shared, &names);
    let (no_variables, none_invalid) = (BTreeMap::new(), BTreeSet::new());
    let inputs = Inputs {
        context,
        template_dir: &directory,
        language: Language::Hcl,
        variables: &no_variables,
        invalid: &none_invalid,
        external: request.external.as_deref(),
        usage,
        diagnostics,
    };
    sensitive.extend(definitions::evaluate(&blocks, &shared, &inputs, &mut names));
    then(Defined {
        documents: &template,
        blocks: &blocks,
        dynamic,
        variables: &variables,
        shared: &shared,
        names: &names,
        sensitive,
        is_complete,
        directory: &directory,
    })
}

/// Reads a template. Returns it with its directory. What can't be read is reported, and left out.
pub(crate) fn read(request: &LoadRequest, usage: &Usage, diagnostics: &Diagnostics) -> (ParsedTemplate, PathBuf) {
    evaluate(request, usage, diagnostics, |defined| {
        let evaluation = Evaluation::new(defined.shared, defined.names);
        let mut blocks = defined.blocks.to_vec();
        for item in defined.dynamic {
            let Item::Block(block) = item else { continue };
            let mut made = Vec::new();
            evaluation.expand(&block, &mut made);
            blocks.extend(ROOT.check(made, diagnostics).1);
        }
        let sources = builds::sources(&blocks, &evaluation);
        let Builds { selected, skipped } = builds::read(&blocks, &sources, &evaluation, &Selection::new(request));
        if defined.is_complete {
            if diagnostics.error_count() == 0 {
                warn_of_unused(defined.variables, defined.documents, diagnostics);
            }
            let has_builds = blocks.iter().any(|block| block.kind.value == "build");
            if !has_builds && diagnostics.error_count() == 0 {
                diagnostics.add(
                    Diagnostic::without_location("the template has no `build` block, so there is nothing to build")
                        .help("Write build { sources = [\"source.amazon-chroot.NAME\"] }."),
                );
            }
        }
        let parsed = ParsedTemplate {
            builds: selected,
            provisioners: Vec::new(),
            variables: BTreeMap::new(),
            invalid: BTreeSet::new(),
            sensitive: defined.sensitive,
            skipped,
            unknown: defined.shared.unknown.take(),
        };
        (parsed, defined.directory.to_path_buf())
    })
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect())
}

/// Checks the `packer` blocks. Plugins are not installed, so it does not matter which are required.
fn check_packer(blocks: &[Block<'_>], diagnostics: &Diagnostics) {
    for block in blocks.iter().filter(|block| block.kind.value == "packer") {
        let items = block.body.items(&|name| PACKER.role(name), diagnostics);
        for attribute in PACKER.check(items, diagnostics).0 {
            let Some(constraints) = literal::string(&attribute, diagnostics) else { continue };
            let (message, help) = match version::is_satisfied(&constraints.value) {
                Ok(true) => continue,
                Ok(false) => (
                    format!("the template needs another version of Packer: {}", constraints.value),
                    packer::version_help(),
                ),
                Err(why) => (why, "Write for instance \">= 1.8.0, < 2.0.0\".".to_owned()),
            };
            diagnostics.add(Diagnostic::error(&constraints.location, message).help(help));
        }
    }
}

/// Warns of variables that nothing refers to.
fn warn_of_unused(variables: &Variables<'_>, template: &[Document], diagnostics: &Diagnostics) {
    let mut used = BTreeSet::new();
    for document in template {
        for item in document.body().items(&|name| ROOT.role(name), diagnostics) {
            let Item::Block(block) = item else { continue };
            // The rules of a variable refer to it, but do not use it.
            if block.kind.value != "variable" {
                used.extend(
                    body_references(&block.body)
                        .into_iter()
                        .filter(|(path, _)| path[0] == "var")
                        .filter_map(|(path, _)| path.get(1).cloned()),
                );
            }
        }
    }
    for variable in variables.values().filter(|variable| !used.contains(&variable.name.value)) {
        let message = format!("the variable `{}` is not used", variable.name.value);
        diagnostics.add(
            Diagnostic::warning(&variable.name.location, message)
                .help(format!("Refer to it as var.{}, or remove it.", variable.name.value)),
        );
    }
}
