//! A dry run: drives a build to its end on EC2's model, with the real machine and the real driver, in virtual time.
//! What it yields are the calls that the build would make, with everything that goes into them. Nothing is created.
//!
//! The plan must have been resolved before, on the real backend: looking up the source image changes nothing.

mod parameters;
mod place;
mod recorder;
mod simulate;
mod values;

pub use parameters::MemoryParameters;
pub use recorder::PlannedCall;
pub use simulate::{DryRun, DryRunError, dry_run};
