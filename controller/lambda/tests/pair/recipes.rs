//! Recipes: built by a schedule, and when their base image has a new release.

use std::sync::Arc;

use bakehouse_controller::stack::Recipe;
use bakehouse_localcloud::model::Import;
use bakehouse_machine::{Build, Phase};
use bakehouse_protocol::{BuildTarget, ImageId, InboxMessage, Millis, Request, spec::Architecture};
use serde_json::json;

use crate::simulation::{Simulation, region};

fn keep(simulation: &Simulation, name: &str, template: &str, on_release: bool) {
    let bundle = simulation.bundle(template);
    let recipe =
        Recipe { name: name.into(), bundle, vars: Default::default(), on_release, sources: Default::default() };
    simulation.state().recipes.insert(name.into(), recipe);
}

/// A stack with a recipe that follows the newest image of this name.
fn following(seed: u64) -> Arc<Simulation> {
    let simulation = Simulation::new(seed);
    simulation.add_host(1);
    let newest = r#""source_ami_filter": {"filters": {"name": "base*"}, "owners": ["self"], "most_recent": true}"#;
    keep(&simulation, "web", &simulation.template_from(newest), true);
    simulation
}

fn release(simulation: &Simulation, name: &str) -> ImageId {
    let import = Import::new(name, 8, Architecture::X86_64);
    let now = simulation.time.now();
    simulation.cloud.with(|model, _| model.import_image(now, &region(), &import)).expect("an image").image_id
}

fn sources(build: &[Build]) -> Vec<ImageId> {
    build.iter().map(|build| build.plan.clone().expect("a plan").data.source_ami.expect("a source")).collect()
}

#[test]
fn a_new_release_is_built_once_despite_repeated_triggers() {
    let simulation = following(1);
    simulation.state().twice = true;
    let mut second = None;
    simulation.work_with(3, async {
        // The first trigger records the present release.
        for _ in 0..3 {
            simulation.send(InboxMessage::Release);
        }
        simulation.time.sleep(Millis::minutes(15)).await;
        assert_eq!(simulation.state().records.len(), 1);
        second = Some(release(&simulation, "base-2"));
        // EC2 shows new things only after a while.
        simulation.time.sleep(Millis::minutes(2)).await;
        for topic in ["amazon-linux-2-ami-updates", "amazon-linux-2023-ami-updates"] {
            let notice = json!({ "Type": "Notification", "TopicArn": format!("arn:aws:sns:us-east-1:1:{topic}"), "Message": "new" });
            simulation.send_text(notice.to_string());
        }
        simulation.send(InboxMessage::Release);
        simulation.time.sleep(Millis::minutes(20)).await;
        simulation.send(InboxMessage::Release);
    });
    simulation.check();
    let second = second.expect("an image");
    let builds = simulation.state().builds();
    let mut from = sources(&builds);
    from.sort();
    let mut wanted = vec![simulation.base.clone(), second.clone()];
    wanted.sort();
    assert_eq!(from, wanted);
    assert!(builds.iter().all(|build| build.phase == Phase::Succeeded && build.recipe == "web"));
    assert_eq!(simulation.state().recipes["web"].sources["amazon-chroot"], second);
}

#[test]
fn the_function_may_die_at_any_call_of_a_release_check() {
    for n in 0..60 {
        let simulation = following(n);
        simulation.state().kill = Some(usize::try_from(n).expect("small"));
        simulation.send(InboxMessage::Release);
        simulation.work(2);
        // The trigger may come after the last run; then it is handled now.
        simulation.work_with(2, async { simulation.time.sleep(Millis::minutes(5)).await });
        simulation.check();
        let builds = simulation.state().builds();
        assert_eq!(sources(&builds), std::slice::from_ref(&simulation.base), "after call {n}");
        assert_eq!(builds[0].phase, Phase::Succeeded);
    }
}

#[test]
fn a_broken_recipe_does_not_block_the_others() {
    let simulation = following(2);
    keep(&simulation, "broken", "{", true);
    keep(&simulation, "quiet", &simulation.template(), false);
    simulation.send(InboxMessage::Release);
    simulation.work(1);
    simulation.check();
    let builds = simulation.state().builds();
    assert_eq!(builds.iter().map(|build| build.recipe.as_str()).collect::<Vec<_>>(), ["web"]);
    assert!(simulation.state().dead.is_empty());
}

#[test]
fn a_changed_parameter_triggers_the_recipes_that_use_it() {
    let simulation = following(3);
    simulation.send_text(
        json!({ "detail-type": "Parameter Store Change", "detail": { "name": "/golden", "operation": "Update" } })
            .to_string(),
    );
    simulation.work(1);
    assert!(simulation.state().records.is_empty());
    assert!(simulation.state().dead.is_empty());
}

#[test]
fn a_schedule_builds_a_recipe_by_its_input_or_by_its_name() {
    let simulation = Simulation::new(4);
    simulation.add_host(1);
    keep(&simulation, "web", &simulation.template(), false);
    simulation.state().twice = true;
    let by_name = |id: &str| {
        json!({
            "id": id, "detail-type": "Scheduled Event", "source": "aws.scheduler", "time": "2026-11-22T09:42:08Z",
            "resources": ["arn:aws:scheduler:us-east-1:1:schedule/bakehouse/web"], "detail": "{}",
        })
    };
    simulation.send_text(by_name("one").to_string());
    // EventBridge, too, may deliver twice: as another message.
    simulation.send_text(by_name("one").to_string());
    // And so may Scheduler, with an input that says what it is for.
    for _ in 0..2 {
        simulation.send(InboxMessage::Request(Request {
            build: None,
            target: BuildTarget::Recipe("web".into()),
            vars: [("name".to_owned(), "by-input".to_owned())].into(),
            scheduled: Some("2026-11-22T09:42:08Z".into()),
        }));
    }
    simulation.work(2);
    simulation.check();
    let builds = simulation.state().builds();
    let mut names: Vec<_> =
        builds.iter().map(|build| build.spec.image.name.split('-').next().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["by", "web"]);
    for build in builds {
        assert_eq!((build.phase, build.recipe.as_str()), (Phase::Succeeded, "web"), "{}", build.spec.image.name);
    }
}
