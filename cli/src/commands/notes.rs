//! Notes on what earlier runs have left.

use bakehouse_localcloud::LocalCloud;

use crate::{
    build_source::BuildSource,
    report::{CliError, note},
    text,
};

/// Prints a note on builds that killed runs have left.
pub(super) fn note_left(source: &dyn BuildSource) {
    for id in source.left() {
        note(&format!("build {id} was left by a killed run: `bakehouse sweep` shows what is left"));
    }
}

/// Prints a note on disks that the embedded cloud's state does not know: the state was created anew, or an older one
/// was put back.
pub(super) fn note_unknown(cloud: &LocalCloud) -> Result<(), CliError> {
    let unknown = cloud.unknown_disks()?.len();
    if unknown > 0 {
        let (disks, dir) = (text::count(unknown, "disk"), cloud.dir().display());
        note(&format!("{disks} in {dir} that the state there does not know: kept, and listed by `bakehouse sweep`"));
    }
    Ok(())
}
