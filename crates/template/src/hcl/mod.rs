//! Packer's HCL2 templates, in the native syntax and in JSON.
//!
//! ```text
//! files                    which files a template has; each parsed
//! syntax                   bodies, blocks and attributes of both syntaxes
//! evaluation, names        expressions -> values; every mistake at its place
//! nodes, options           expressions -> the tree that options are read from
//! expand                   `dynamic`
//! variables, values        `variable`: declarations; their values
//! definitions, data        locals and data sources, in the order of what they depend on
//! builds, steps            `build` -> the blocks of each build
//! console                  single expressions, evaluated with all of these but the builds
//! ```

mod blocks;
mod builds;
mod console;
mod data;
mod definitions;
mod duplicates;
mod evaluation;
mod expand;
mod files;
mod graph;
mod inspect;
mod literal;
mod names;
mod nodes;
mod options;
mod outside;
mod steps;
mod syntax;
mod template;
mod values;
mod variables;
mod version;

pub(crate) use console::console;
pub(crate) use files::is_template;
pub(crate) use inspect::inspect;
pub(crate) use template::{check_syntax, read};
