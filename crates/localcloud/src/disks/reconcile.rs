//! Copies of disks that died with their process.

use bakehouse_protocol::Timestamp;

use super::process;
use crate::{
    Model,
    model::{DiskId, Owner},
};

/// Removes volumes, with their client tokens, that a dead process was copying, and sets such snapshots to `error`.
/// `current` is this process.
pub(super) fn end_dead_copies(model: &mut Model, now: Timestamp, current: &Owner) {
    for (region, disk, owner) in model.held() {
        if owner == *current || process::is_alive(&owner) {
            continue;
        }
        match &disk {
            DiskId::Volume(_) => model.drop_disk(&region, &disk),
            DiskId::Snapshot(id) => {
                let reason = format!("Process {} ended while it was copying the volume", owner.pid);
                // It exists: it was listed just now.
                let _ = model.fail_snapshot(now, &region, id, reason);
            }
        }
    }
}
