//! The state machine of one build: given the build's record, an event and the time, it decides the next record and the
//! commands to perform. It is pure: no I/O, no SDK, no runtime, no clock, no randomness. The crate is `no_std`, so the
//! compiler keeps it that way.
//!
//! ```text
//!             +------------- cancel, deadline or fault, from any phase -> Undoing -> Failed | Cancelled
//!             |                                           (a lost host:) `-> Queued, as the next attempt
//! Accepted -> Resolving -> Queued -> Creating -> Attaching -> Provisioning -> Snapshotting -> Registering
//!    -> Copying (each region on its own) -> Finishing -> Succeeded
//! ```
//!
//! A build that succeeds goes through these phases: *Resolving* looks up the source image and fixes the [`Plan`];
//! *Queued* leases a slot of a host and a device name; *Creating* creates the work volume; *Attaching* attaches it and
//! sends the agent its job; *Provisioning* waits for the agent's proof that the volume is clean; *Snapshotting* creates
//! the snapshot and meanwhile detaches the volume; *Registering* registers the image; *Copying* copies it to the other
//! regions; *Finishing* publishes the images, deletes the volume and releases the lease. See [`Phase`].
//!
//! [`decide()`] is level-triggered: it first writes what the event says into the record ([`apply_event`]), then
//! compares the record with what the phase requires ([`advance`], [`undo`]) and issues the commands that are missing
//! ([`schedule`]). So an event that is delivered twice, late or never costs time but does no harm.
//!
//! The caller must
//!
//! * save `next` before it performs `commands`, and perform nothing if the save was refused;
//! * perform each command at least once and return its result as [`Event::Result`];
//! * make every command safe to perform more than once, because a command without a result is issued again
//!   ([`InFlight`]);
//! * send [`Event::Tick`] at `next_tick` at the latest.
#![no_std]

extern crate alloc;

mod account_region;
pub mod advance;
pub mod apply_event;
mod apply_fault;
pub mod build;
pub mod command;
pub mod deadline;
mod decide;
pub mod event;
pub mod failing;
mod finishing;
mod imaging;
pub mod in_region;
mod old_records;
pub mod phase;
pub mod plan;
mod release;
pub mod resources;
mod retiring;
pub mod schedule;
pub mod tags;
#[cfg(test)]
mod tests;
pub mod timing;
mod token;
pub mod undo;

pub use account_region::AccountRegion;
pub use apply_fault::masked;
pub use bakehouse_protocol::{Fault, FaultKind};
pub use build::{Build, FailureReason, InFlight, Phase, UndoReason};
pub use command::{Command, CommandKey};
pub use decide::{Decision, decide};
pub use event::{Event, Output};
pub use failing::FailingCommand;
pub use plan::Plan;
pub use resources::{ImageRecord, ImageStage, JobStage, Resources, SnapshotStage, VolumeStage};
pub use timing::Timing;
