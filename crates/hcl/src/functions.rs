//! Packer's functions that need no network, by their names in HCL. `try`, `can`, `convert` and `templatefile`, which
//! evaluate expressions, are with the evaluator.

mod arguments;
mod encoding;
mod files;
mod function;
mod glob;
mod hashes;
mod json;
mod lists;
mod maps;
mod network;
mod numbers;
mod patterns;
mod printf;
mod sets;
mod strings;
mod table;
mod times;
mod yaml;
mod yaml_reader;
mod yaml_writer;

pub(crate) use arguments::Arguments;
pub(crate) use files::text_of_file;
pub(crate) use table::find;
pub use table::names;
