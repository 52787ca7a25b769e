//! The machine: what to do next for one build. Pure: no I/O, no SDK, no runtime, no clock, no randomness; the crate is
//! `no_std`, so the compiler keeps it that way. Time is an argument, what happened is an [`Event`], what to do is a list
//! of [`Command`]s.
//!
//! ```text
//!             +------------- cancel, deadline or fault, from any phase -> Undoing -> Failed | Cancelled
//! Accepted -> Resolving -> Queued -> Creating -> Attaching -> Provisioning -> Snapshotting -> Registering
//!    -> Copying (each region on its own) -> Finishing -> Succeeded
//! ```
//!
//! The happy path: *Resolving* finds the source and fixes the whole [`Plan`]; *Queued* leases a host's slot and a device
//! name; *Creating* makes the work volume; *Attaching* attaches it and sends the agent its job; *Provisioning* waits for
//! the agent's proof that the volume is clean; *Snapshotting* takes the snapshot while the volume is detached beside it;
//! *Registering* and *Copying* make the images; *Finishing* shares them and lets go of volume and lease.
//!
//! [`decide`] works by levels, not edges: it first takes in what the event says ([`apply_event`]), then asks what
//! the build, as it now is, still lacks ([`advance`], [`undo`]). A message that comes twice, late or never changes
//! nothing but the time it takes: whatever is still lacking is asked for again.
//!
//! What the caller must uphold: save `next` before performing `commands`, and perform nothing if the save was refused;
//! perform each command at least once and give its result back as [`Event::Result`]; every command may be performed
//! again ([`InFlight`]), so each adapter method must be safe to repeat; call again with [`Event::Tick`] at `look_again`.
#![no_std]

extern crate alloc;

pub mod advance;
pub mod apply_event;
pub mod build;
pub mod command;
pub mod deadline;
mod decide;
pub mod event;
pub mod failing;
pub mod in_region;
mod old_records;
pub mod phase;
pub mod plan;
pub mod resources;
pub mod schedule;
#[cfg(test)]
mod tests;
pub mod timing;
pub mod undo;

pub use bakehouse_protocol::{Fault, FaultKind};
pub use build::{Build, InFlight, Phase, Reason, UndoReason};
pub use command::{Command, Step};
pub use decide::{Decision, decide};
pub use event::{Event, Output};
pub use failing::Failing;
pub use plan::Plan;
pub use resources::{ImageRecord, ImageStage, JobStage, Resources, SnapshotStage, VolumeStage};
pub use timing::Timing;
