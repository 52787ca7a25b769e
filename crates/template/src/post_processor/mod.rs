//! The rules of the post-processors' options.

mod read;

pub(crate) use read::{read, table};
