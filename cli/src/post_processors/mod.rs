//! The post-processors of a template: what follows a successful build, on the machine that reads the template.
//!
//! Chains run one after the other; a failure ends its chain only. All three types pass the images on and keep them,
//! as Packer's do, whatever `keep_input_artifact` says.

mod artifact;
mod chain;
mod error;
mod manifest;
mod manifest_file;
mod process;
mod run_data;
mod script;
mod shell_local;

pub(crate) use artifact::Artifact;
pub(crate) use chain::{PostEvent, Run, run_chains};
pub(crate) use run_data::fields;
