//! Checks a builder's options and makes its [`BuildSpec`].

use bakehouse_protocol::{Access, BuildSpec, Timestamp};

use super::rules::Rules;
use crate::{diagnostic::Diagnostics, options::Values};

/// Checks a builder's options. `now` is when the template is read. The caller adds the provisioners. `None` only after
/// an error was reported.
pub(crate) fn spec(
    values: &Values,
    name: &str,
    now: Timestamp,
    diagnostics: &Diagnostics,
) -> Option<(BuildSpec, Access)> {
    let rules = Rules { values, diagnostics, now };
    let access = rules.access();
    let region = values.string("region").and_then(|text| rules.region(&text));
    let size = rules.size(values, "root_volume_size", 65_536, "GiB");
    let source = rules.source(size);
    let image = rules.image(region.as_ref());
    let volume = rules.volume();
    let chroot = rules.chroot();
    let polling = rules.polling();
    let minimal = BuildSpec::minimal("", source?);
    let spec = BuildSpec {
        name: name.to_owned(),
        region,
        root_volume_size: size,
        volume,
        image: image?,
        chroot,
        polling,
        ..minimal
    };
    Some((spec, access))
}
