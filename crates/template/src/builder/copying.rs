//! How the image is copied, and which older images it replaces.

use bakehouse_protocol::{
    Region,
    spec::{Copying, Replacement},
};

use super::rules::Rules;

impl Rules<'_> {
    /// Returns `ami_regions`, each once and without the build region.
    pub(super) fn regions(&self, build_region: Option<&Region>) -> Vec<Region> {
        let regions = self.elements(self.values, "ami_regions");
        let regions = regions.iter().filter_map(|text| self.region(text));
        regions.filter(|region| Some(region) != build_region).collect()
    }

    pub(super) fn copying(&self, regions: &[Region]) -> Copying {
        let values = self.values;
        if values.flag("skip_save_build_region")
            && regions.is_empty()
            && values.location("ami_regions").is_none()
            && values.location("bakehouse_account_copies").is_none()
            && let Some(location) = values.location("skip_save_build_region")
        {
            let message = "`skip_save_build_region` leaves no image, as there are no copies";
            self.error(location, message, "Write \"ami_regions\": [\"…\"], or remove it.");
        }
        Copying {
            skip_save_build_region: values.flag("skip_save_build_region"),
            skip_region_validation: values.flag("skip_region_validation"),
            snapshot_copy_duration_minutes: self.copy_duration(),
        }
    }

    /// EC2 takes 15 minutes to 48 hours, in steps of 15 minutes.
    fn copy_duration(&self) -> Option<u32> {
        let minutes = self.values.integer("snapshot_copy_duration_minutes").filter(|minutes| minutes.value != 0)?;
        match u32::try_from(minutes.value) {
            Ok(valid @ 15..=2880) if valid % 15 == 0 => Some(valid),
            _ => {
                let message = format!("`snapshot_copy_duration_minutes` is {}", minutes.value);
                self.error(&minutes.location, message, "Write 15 to 2880, a multiple of 15.");
                None
            }
        }
    }

    pub(super) fn replacement(&self) -> Replacement {
        let values = self.values;
        if let Some(location) = values.location("force_delete_snapshot")
            && !values.flag("force_deregister")
        {
            let message = "`force_delete_snapshot` has an effect only with `force_deregister` or -force";
            self.warning(location, message, "Write \"force_deregister\": true, or remove it.");
        }
        Replacement {
            force_deregister: values.flag("force_deregister"),
            force_delete_snapshot: values.flag("force_delete_snapshot"),
            keep: self.size(values, "bakehouse_keep", 10_000, "images"),
        }
    }
}
