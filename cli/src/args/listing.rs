//! The options of commands that list.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// A JSON array on standard output, in place of a table.
    #[arg(long)]
    pub(crate) json: bool,
}
