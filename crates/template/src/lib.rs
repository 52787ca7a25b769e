//! Templates to [`bakehouse_protocol::BuildSpec`]: every mistake at once, each with the place in the template.
//!
//! The layers, from the file inwards; HCL2 will bring its own first layer and end in the same tree:
//!
//! ```text
//! json      syntax: text -> tree, or one diagnostic
//! tree      values with places, the same for every language
//! options   one table a block: each option with its name, kind and what it does; reads a block by its table
//! engine    the Go templates inside the values: what is known now, and what stays for the run
//! builder, provisioner    the rules of each option -> BuildSpec
//! ```
//!
//! Nothing here reads a clock, the environment or randomness: they come in with [`Context`]. Files are read only to
//! get the template and its variables, and looked at to see that what the template names is there.

mod builder;
mod context;
mod diagnostic;
mod duration;
mod engine;
mod files;
mod inputs;
mod json;
mod known;
mod load;
mod nearest;
mod options;
mod provisioner;
mod root;
mod snippet;
mod source;
mod tree;
mod variables;

pub use context::Context;
pub use diagnostic::{Diagnostic, Problems, shown};
pub use files::LARGEST;
pub use load::{Loaded, Request, TemplateSource, load};
pub use options::reference;
