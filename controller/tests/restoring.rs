//! What a build puts back when it is undone: parameters, and images that it was to replace.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::sync::Mutex;

use bakehouse_controller::{
    cloud::Cloud,
    ports::{Key, Keys, Parameters},
};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_machine::{FaultKind, plan::ParameterPlan};
use bakehouse_protocol::{
    Fault, ImageId, Region, Timestamp,
    spec::{Architecture, CopyRole},
};
use pollster::block_on;

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const OURS: &str = "ami-01234567";
const THEIRS: &str = "ami-89abcdef";

/// Parameter Store with one parameter.
#[derive(Debug, Default)]
struct OneParameter(Mutex<Option<String>>);

impl Parameters for OneParameter {
    async fn find_parameter(&self, _: &Region, _: &str) -> Result<Option<String>, Fault> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn put_image(&self, _: &Region, _: &str, image: &str) -> Result<(), Fault> {
        *self.0.lock().unwrap() = Some(image.to_owned());
        Ok(())
    }

    async fn delete_parameter(&self, _: &Region, _: &str) -> Result<(), Fault> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }
}

impl Keys for OneParameter {
    async fn key(&self, _: &Region, _: Option<&CopyRole>, key: &str) -> Result<Key, Fault> {
        Err(Fault::new(FaultKind::NotFound, format!("no key {key}")))
    }
}

fn home() -> Region {
    Region::new("us-east-1").unwrap()
}

fn cloud(parameter: Option<&str>) -> Cloud<VirtualCloud, OneParameter> {
    let model = Model::new("111122223333", [home()], 7, Delays::default());
    Cloud(VirtualCloud::new(model, NOW), OneParameter(Mutex::new(parameter.map(str::to_owned))))
}

/// Returns what a parameter holds after it was restored to what it held before the build.
fn restored(now: Option<&str>, before: Option<&str>) -> Option<String> {
    let cloud = cloud(now);
    let plan = ParameterPlan { region: home(), name: "/web".to_owned(), previous: before.map(str::to_owned) };
    block_on(cloud.restore_parameter(&plan, Some(&ImageId::new(OURS).unwrap()))).unwrap();
    cloud.1.0.into_inner().unwrap()
}

#[test]
fn a_parameter_with_the_builds_image_is_restored() {
    assert_eq!(restored(Some(OURS), None), None);
    assert_eq!(restored(Some(OURS), Some("none")).as_deref(), Some("none"));
}

#[test]
fn what_another_build_has_written_meanwhile_stays() {
    assert_eq!(restored(Some(THEIRS), None).as_deref(), Some(THEIRS));
    assert_eq!(restored(Some(THEIRS), Some("none")).as_deref(), Some(THEIRS));
    // Deleted by somebody else.
    assert_eq!(restored(None, Some("none")), None);
}

#[test]
fn a_replaced_image_that_is_still_shown_after_it_was_deregistered_is_registered_again() {
    let cloud = cloud(None);
    let import = Import::new("web", 1, Architecture::X86_64);
    let image = cloud.0.with(|model, now| model.import_image(now, &home(), &import)).unwrap().image_id;
    let replaced = block_on(cloud.replaced_image(&home(), "web")).unwrap().unwrap();
    // It was never deregistered: it is there.
    assert_eq!(block_on(cloud.restore_image(&replaced, false)), Ok(None));
    // It was: what is shown is not to be trusted.
    assert_eq!(block_on(cloud.restore_image(&replaced, true)).unwrap_err().kind, FaultKind::NotReady);
    let again = block_on(cloud.restore_image(&replaced, true)).unwrap();
    assert!(again.is_some_and(|id| id != image));
}
