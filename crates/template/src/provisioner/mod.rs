//! The rules of the provisioners' options, which make the steps of a build.

mod file;
mod read;
mod shell;
mod step;

pub(crate) use read::read;
