//! The rules of the provisioners: their options to the steps of a build.

mod file;
mod read;
mod shell;
mod step;

pub(crate) use read::read;
