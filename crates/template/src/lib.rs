//! Reads Packer templates into [`bakehouse_protocol::BuildSpec`], or reports all errors at once, each with its
//! location.
//!
//! The layers, from the file inwards; HCL2 will have a parser of its own that yields the same tree:
//!
//! ```text
//! json                    JSON -> tree
//! tree                    values with their locations, the same for every language
//! document, variables     the top level of the tree, and the values of the variables
//! options                 a table of the options of each kind of block; reads a block by its table
//! renderer                the Go templates inside the values: rendered now, or kept for when the build runs
//! builder, provisioner    the rules of each option -> BuildSpec
//! ```
//!
//! Nothing here reads a clock, the environment or randomness: they are passed in a [`Context`]. Of files, only the
//! template and its variable files are read; those that the template names are checked to exist.

mod builder;
mod builds;
mod context;
mod diagnostic;
mod document;
mod duration;
mod fields;
mod files;
mod functions;
mod inputs;
mod json;
mod load;
mod nearest;
mod options;
mod provisioner;
mod renderer;
mod snippet;
mod source;
mod tree;
mod variables;

pub use context::Context;
pub use diagnostic::{Diagnostic, Problems, limited};
pub use files::MAX_BYTES;
pub use load::{LoadRequest, Loaded, TemplateSource, load};
pub use options::reference;
