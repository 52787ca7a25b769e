//! EC2's semantics, pure: no I/O, no clock, no randomness. The time is an argument; ids come from a seeded generator
//! in the state. What a resource's state is at a moment is worked out from the times that its record keeps, so nothing
//! needs to tick.
//!
//! ```text
//! volume      creating -> available -> in-use -> available -> deleting -> (gone)
//!                 \-> error ----------------------------------/
//! attachment  attaching -> attached -> detaching -> (gone; its name is free a little later)
//!                               \-> busy -/          busy: still mounted when asked
//! snapshot    pending -> completed -> (gone)         deleted while pending: gone when it completes
//!                 \-> error ---------/
//! instance    stopped -> pending -> running -> stopping -> stopped
//! image       pending -> available -> (deregistered; its name is free a little later)
//!                 \-> failed --------/
//! ```
//! What needs what: a volume or an image needs a completed snapshot; attaching needs an available volume in the
//! instance's zone and a free name; deleting a volume needs it attached to nothing; deleting a snapshot needs that no
//! image holds it; a copy needs an available image; attributes change on an available image only.
//!
//! Where the documents are silent the model takes the stricter reading: CopyImage refuses a name that is taken,
//! `/dev/sdf` and `/dev/xvdf` exclude each other, deleting a volume twice is `IncorrectState` until it is gone.

mod attach;
mod check;
mod copy;
mod delays;
mod describe;
mod errors;
mod filter;
mod ids;
mod image;
mod instance;
mod pending;
mod permissions;
mod record;
mod snapshot;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod volume;
mod world;

pub use delays::Delays;
pub use pending::{Held, KeptAttachment};
pub use record::{DeviceHold, Owner};
pub use state::Model;
pub use world::{Everything, Import};
