//! Images that stand before a build: those that it replaces, and those of its recipe that may be too old.

use bakehouse_localcloud::{
    Model,
    model::Import,
    request::{CreateTags, ModifyImageAttribute, PermissionChanges},
    resource::Image,
};
use bakehouse_machine::tags::{BUILD_TAG, BUILDER_TAG, EXPIRES_TAG, RECIPE_TAG};
use bakehouse_protocol::{InstanceId, Millis, Region, Timestamp, spec::Architecture};

use crate::script::Script;

/// An image that stood before the build.
#[derive(Clone, Debug)]
pub struct Older {
    pub region: Region,
    pub image: Image,
    pub fate: Fate,
}

/// What becomes of it if the build succeeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Stays,
    /// Replaced; whether its snapshot is deleted.
    Replaced(bool),
    /// Too old.
    Retired,
}

/// The build that made them.
pub const BUILD: &str = "b-00000001";

/// The builder of [`bakehouse_protocol::BuildSpec::minimal`], as output shows it.
const BUILDER: &str = "amazon-chroot";

/// The account that may launch them.
pub const SHARED_WITH: &str = "777788889999";

pub fn make(model: &mut Model, script: &Script, home: &Region, instance: &InstanceId, now: Timestamp) -> Vec<Older> {
    let mut all = vec![];
    for region in std::iter::once(home).chain(&script.regions) {
        let is_target = !(script.skips_home && region == home);
        if script.replaces && is_target {
            let fate = Fate::Replaced(script.deletes_replaced);
            all.push(image(model, region, "web-1", ("other", BUILDER), now, fate));
        }
        if script.keeps.is_some() && is_target {
            // The newest stays, and what an instance was launched from.
            for (n, fate) in [Fate::Retired, Fate::Retired, Fate::Stays].into_iter().enumerate() {
                let used = n == 0 && region == home;
                let fate = if used { Fate::Stays } else { fate };
                // One after the other: the model's clock never goes back.
                let at = Timestamp(now.0 + all.len() as u64 * 60_000);
                let older = image(model, region, &format!("older-{n}"), ("web", BUILDER), at, fate);
                if used {
                    model.set_instance_image(home, instance, older.image.image_id.clone()).expect("an instance");
                }
                all.push(older);
            }
            // Another builder of the same template: its images are not this build's to remove.
            for n in 0..3 {
                let at = Timestamp(now.0 + all.len() as u64 * 60_000);
                let of_another = ("web", "amazon-chroot.arm");
                all.push(image(model, region, &format!("arm-{n}"), of_another, at, Fate::Stays));
            }
        }
    }
    all
}

fn image(
    model: &mut Model,
    region: &Region,
    name: &str,
    (recipe, builder): (&str, &str),
    now: Timestamp,
    fate: Fate,
) -> Older {
    let image = model.import_image(now, region, &Import::new(name, 8, Architecture::X86_64)).expect("an image");
    let snapshot = image.root_snapshot().expect("its snapshot");
    let tags = [(BUILD_TAG, BUILD), (RECIPE_TAG, recipe), (BUILDER_TAG, builder), (EXPIRES_TAG, "never")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let resources = vec![image.image_id.to_string(), snapshot.to_string()];
    model.create_tags(now, region, &CreateTags { resources, tags }).expect("its tags");
    let launch_permission = PermissionChanges { add_users: vec![SHARED_WITH.into()], ..PermissionChanges::default() };
    let modify = ModifyImageAttribute { launch_permission, ..ModifyImageAttribute::new(image.image_id.clone()) };
    model.modify_image_attribute(now + Millis(1), region, &modify).expect("its permission");
    Older { region: region.clone(), image, fate }
}
