//! [`LocalCloud`]: the model on real disks, kept in a directory that several processes share.
//!
//! ```text
//! DIR/state.json       the model; replaced as a whole (temporary file, fsync, rename, fsync)
//! DIR/state.json.1     the model before the last change, to restore by hand if state.json is damaged or lost
//! DIR/lock             flock: one process at a time changes the state
//! DIR/volumes/         vol-….raw: a sparse file for each volume, of exactly its size
//! DIR/snapshots/       snap-….raw: never written again; a copy in another region is a hard link
//! DIR/by-id/           nvme-Amazon_Elastic_Block_Store_vol… -> /dev/loopN, as udev makes them on EC2
//! /dev/xvdf            -> DIR/by-id/…, if the settings ask for it (see `names`)
//! ```
//!
//! Copying a disk takes time, so it is not done under the lock:
//!
//! ```text
//! reserve (lock: the model's record, held by this process)
//!    -> copy (no lock: NAME.raw.PID.START.N.partial, then NAME.raw as a second name)
//!       -> finish (lock: the record is no longer held; then the temporary name is removed)
//!                                                              or, if copying failed, the record is removed
//! ```
//! A process that dies in between leaves a record that it held. The next process removes such a volume with its client
//! token, and sets such a snapshot to `error`. Loop devices are kept open by their process and detach themselves when
//! it ends.
//!
//! That the state does not know a disk is no reason to remove it: the state may be new, or an older one that was
//! restored. A file is removed
//!
//! - with its resource, when a change deletes that from a state which knew it: the change records which files to
//!   remove;
//! - as unfinished: it still has the temporary name with the process that writes it, which is dead (or has failed), and
//!   the state does not know it as finished;
//! - by [`LocalCloud::remove_unknown`], on request.
//!
//! No id is generated twice, and no file replaces another one, whichever state was restored.

mod attach;
mod changed;
mod cloud;
mod copy;
mod device;
mod ec2;
mod error;
mod holders;
mod images;
mod ioctl;
mod names;
mod open;
mod partial;
mod process;
mod reconcile;
mod settings;
mod state;
mod sweep;
#[cfg(test)]
mod tests;

pub use changed::changed_bytes;
pub use cloud::LocalCloud;
pub use error::LocalError;
pub use settings::Settings;
pub use sweep::Leftover;
