//! The rules of the provisioners' options, which make the steps of a build.

mod ansible;
mod environment;
mod file;
mod pauses;
mod read;
mod scripts;
mod shell;
mod shell_local;
mod step;

pub(crate) use read::{read, table};
pub(crate) use shell_local::shell_local;
pub(crate) use step::Step;
