//! EC2's semantics, pure: no I/O, no clock, no randomness. The time is an argument; ids come from a seeded generator
//! in the state. The state of a resource at a moment is computed from the times in its record, so no timer is needed.
//!
//! ```text
//! volume      creating -> available -> in-use -> available -> deleting -> (deleted)
//!                 \-> error ----------------------------------/
//! attachment  attaching -> attached -> detaching -> (detached; its device name is free a little later)
//!                               \-> busy -/          busy: mounted at the time of the call
//! snapshot    pending -> completed -> (deleted)      deleted while pending: when it completes
//!                 \-> error ---------/
//! instance    stopped -> pending -> running -> stopping -> stopped
//! image       pending -> available -> (deregistered, unless it is protected; its name is free a little later)
//!                 \-> failed --------/
//! ```
//! Preconditions: a volume or an image needs a completed snapshot; attaching needs an available volume in the
//! instance's zone and a free device name; deleting a volume needs it detached; deleting a snapshot needs that no image
//! uses it; a copy needs an available image; attributes change on an available image only.
//!
//! Where the documentation is silent, the model is strict: CopyImage refuses a name that is taken,
//! `/dev/sdf` and `/dev/xvdf` exclude each other, deleting a volume twice is `IncorrectState` until it is gone.

mod admin;
mod attach;
mod check;
mod copy;
mod copying;
mod delays;
mod describe;
mod encryption;
mod errors;
mod filter;
mod ids;
mod image;
mod import;
mod instance;
mod inventory;
mod lifecycle;
mod permissions;
mod protection;
mod record;
mod snapshot;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod volume;

pub use copying::{AttachmentOwner, DiskId};
pub use delays::Delays;
pub use import::Import;
pub use inventory::RegionResources;
pub use record::{DeviceHold, Owner};
pub use state::Model;
