//! Recipes: built by a schedule, and when their base image has a new release.

use std::sync::Arc;

use bakehouse_controller::stack::Recipe;
use bakehouse_localcloud::model::Import;
use bakehouse_machine::{Build, Phase};
use bakehouse_protocol::{BuildTarget, ImageId, InboxMessage, Millis, Request, spec::Architecture};
use serde_json::json;

use crate::world::{World, region};

fn keep(world: &World, name: &str, template: &str, on_release: bool) {
    let bundle = world.bundle(template);
    let recipe =
        Recipe { name: name.into(), bundle, vars: Default::default(), on_release, sources: Default::default() };
    world.state().recipes.insert(name.into(), recipe);
}

/// A stack with a recipe that follows the newest image of this name.
fn following(seed: u64) -> Arc<World> {
    let world = World::new(seed);
    world.add_host(1);
    let newest = r#""source_ami_filter": {"filters": {"name": "base*"}, "owners": ["self"], "most_recent": true}"#;
    keep(&world, "web", &world.template_from(newest), true);
    world
}

fn release(world: &World, name: &str) -> ImageId {
    let import = Import::new(name, 8, Architecture::X86_64);
    let now = world.time.now();
    world.cloud.with(|model, _| model.import_image(now, &region(), &import)).expect("an image").image_id
}

fn sources(build: &[Build]) -> Vec<ImageId> {
    build.iter().map(|build| build.plan.clone().expect("a plan").data.source_ami.expect("a source")).collect()
}

#[test]
fn a_new_release_is_built_once_however_often_the_bells_ring() {
    let world = following(1);
    world.state().twice = true;
    let mut second = None;
    world.work_with(3, async {
        // The first bell: what is there now.
        for _ in 0..3 {
            world.send(InboxMessage::Release);
        }
        world.time.sleep(Millis::minutes(15)).await;
        assert_eq!(world.state().records.len(), 1);
        second = Some(release(&world, "base-2"));
        // EC2 shows new things only after a while.
        world.time.sleep(Millis::minutes(2)).await;
        for topic in ["amazon-linux-2-ami-updates", "amazon-linux-2023-ami-updates"] {
            let notice = json!({ "Type": "Notification", "TopicArn": format!("arn:aws:sns:us-east-1:1:{topic}"), "Message": "new" });
            world.send_text(notice.to_string());
        }
        world.send(InboxMessage::Release);
        world.time.sleep(Millis::minutes(20)).await;
        world.send(InboxMessage::Release);
    });
    world.check();
    let second = second.expect("an image");
    let builds = world.state().builds();
    let mut from = sources(&builds);
    from.sort();
    let mut wanted = vec![world.base.clone(), second.clone()];
    wanted.sort();
    assert_eq!(from, wanted);
    assert!(builds.iter().all(|build| build.phase == Phase::Succeeded && build.recipe == "web"));
    assert_eq!(world.state().recipes["web"].sources["amazon-chroot"], second);
}

#[test]
fn a_bell_may_be_cut_off_anywhere() {
    for n in 0..60 {
        let world = following(n);
        world.state().kill = Some(usize::try_from(n).expect("small"));
        world.send(InboxMessage::Release);
        world.work(2);
        // The bell may ring after all was quiet; then it is heard now.
        world.work_with(2, async { world.time.sleep(Millis::minutes(5)).await });
        world.check();
        let builds = world.state().builds();
        assert_eq!(sources(&builds), std::slice::from_ref(&world.base), "after call {n}");
        assert_eq!(builds[0].phase, Phase::Succeeded);
    }
}

#[test]
fn a_recipe_that_is_broken_holds_up_no_other() {
    let world = following(2);
    keep(&world, "broken", "{", true);
    keep(&world, "quiet", &world.template(), false);
    world.send(InboxMessage::Release);
    world.work(1);
    world.check();
    let builds = world.state().builds();
    assert_eq!(builds.iter().map(|build| build.recipe.as_str()).collect::<Vec<_>>(), ["web"]);
    assert!(world.state().dead.is_empty());
}

#[test]
fn a_parameter_rings_for_those_who_use_it() {
    let world = following(3);
    world.send_text(
        json!({ "detail-type": "Parameter Store Change", "detail": { "name": "/golden", "operation": "Update" } })
            .to_string(),
    );
    world.work(1);
    assert!(world.state().records.is_empty());
    assert!(world.state().dead.is_empty());
}

#[test]
fn a_schedule_builds_a_recipe_by_its_input_or_by_its_name() {
    let world = World::new(4);
    world.add_host(1);
    keep(&world, "web", &world.template(), false);
    world.state().twice = true;
    let by_name = |id: &str| {
        json!({
            "id": id, "detail-type": "Scheduled Event", "source": "aws.scheduler", "time": "2026-11-22T09:42:08Z",
            "resources": ["arn:aws:scheduler:us-east-1:1:schedule/bakehouse/web"], "detail": "{}",
        })
    };
    world.send_text(by_name("one").to_string());
    // EventBridge, too, may deliver twice: as another message.
    world.send_text(by_name("one").to_string());
    // And so may Scheduler, with an input that says what it is for.
    for _ in 0..2 {
        world.send(InboxMessage::Request(Request {
            build: None,
            target: BuildTarget::Recipe("web".into()),
            vars: [("name".to_owned(), "by-input".to_owned())].into(),
            scheduled: Some("2026-11-22T09:42:08Z".into()),
        }));
    }
    world.work(2);
    world.check();
    let builds = world.state().builds();
    let mut names: Vec<_> =
        builds.iter().map(|build| build.spec.image.name.split('-').next().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["by", "web"]);
    for build in builds {
        assert_eq!((build.phase, build.recipe.as_str()), (Phase::Succeeded, "web"), "{}", build.spec.image.name);
    }
}
