//! Reads Packer templates into [`bakehouse_protocol::BuildSpec`], or reports all errors at once, each with its
//! location.
//!
//! The layers, from the file inwards:
//!
//! ```text
//! json                    JSON -> tree; the top level of a template, the values of the variables -> blocks
//! hcl                     HCL2 in both syntaxes; its files, variables, locals and data sources -> blocks
//! selection               which builds and post-processors -only and -except leave
//! tree                    values with their locations, the same for every language
//! blocks                  a build as blocks whose options have not been read, the same for every language
//! options                 a table of the options of each kind of block; reads a block by its table
//! renderer                the Go templates inside the values: rendered now, or kept for when the build runs
//! build                   a build's blocks -> BuildSpec
//! builder, provisioner, post_processor    the rules of each option
//! inspect, console        what is in a template, without evaluating it; single expressions, without its builders
//! ```
//!
//! Nothing here reads a clock, the environment or randomness: they are passed in a [`Context`]; other services are
//! asked through [`External`]. Of files, only the template, its variable files and those that HCL's functions name are
//! read; the others that the template names are checked to exist.

mod blocks;
mod build;
mod builder;
mod console;
mod context;
mod diagnostic;
mod duration;
mod external;
mod fields;
mod files;
mod functions;
mod hcl;
mod inputs;
mod inspect;
mod inspection;
mod json;
mod language;
mod load;
mod options;
mod packer;
mod post_processor;
mod provisioner;
mod renamed;
mod renderer;
mod request;
mod secrets;
mod selection;
mod session;
mod snippet;
mod source;
mod tree;

pub use console::console;
pub use context::Context;
pub use diagnostic::{Diagnostic, Problems, limited};
pub use external::{External, ImageData, ParameterData, Place, SecretData, SecretVersion};
pub use files::MAX_BYTES;
pub use functions::json_functions;
pub use inspect::inspect;
pub use inspection::{InspectedVariable, Inspection};
pub use load::{check_syntax, load};
pub use options::{builder_options, reference};
pub use request::{LoadRequest, Loaded, TemplateSource};
pub use session::{Evaluated, Session};
