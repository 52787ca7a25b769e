//! The roles of the stack's template against what is really called: none missing, none unused. And what a build costs.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bakehouse_localcloud::Delays;
use bakehouse_localcloud::http::{Effect, Fault};
use bakehouse_protocol::Millis;
use bakehouse_tests::roles;
use serde_json::json;

use crate::{
    fixture::Fixture,
    names::{CONTROLLER_KEY, HOST_KEY, USER_KEY},
    options::Options,
    programs,
    triggers::{LONG, event},
};

/// How EC2 takes its time where ours is measured.
fn slow() -> Delays {
    Delays {
        create_volume: Millis(2500),
        attach: Millis(2000),
        detach: Millis(2000),
        create_snapshot: Millis(5000),
        register_image: Millis(3000),
        ..Delays::default()
    }
}

/// What [`slow`] takes one after the other, at the least: the volume is detached beside the snapshot.
const EC2: Duration = Duration::from_millis(2500 + 2000 + 5000 + 3000);

/// What is called by the function, by its key.
pub(crate) fn called(fixture: &Fixture, key: &str) -> BTreeSet<String> {
    let ec2 = fixture.ec2.calls();
    let ec2 = ec2.iter().filter(|call| call.access_key_id.as_deref() == Some(key));
    let mut called: BTreeSet<String> = ec2.map(|call| format!("ec2:{}", call.action)).collect();
    called.extend(
        fixture.recorder.actions(key).into_iter().map(|action| action.replace("s3:HeadObject", "s3:GetObject")),
    );
    called
}

#[test]
fn root_pair_a_build_takes_few_calls_and_little_time() {
    let test = "root_pair_a_build_takes_few_calls_and_little_time";
    let Some(mut fixture) = Fixture::start(test, Options { delays: slow(), patrol: false, ..Options::default() })
    else {
        return;
    };
    fixture.start_host();
    fixture.until("the host is known", |fixture| fixture.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");
    let idle = programs::memory(&programs::agent());
    let template = fixture.template("web.json", json!({}), json!([{ "type": "shell", "inline": ["true"] }]));
    let invocations = || fixture.invocations().count.load(std::sync::atomic::Ordering::SeqCst);
    let (before, began) = (invocations(), Instant::now());
    let run = fixture.bakehouse(&["submit", &template]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let build = fixture.ended(run.stdout.trim(), LONG);
    let took = began.elapsed();
    assert_eq!(build["phase"], "succeeded", "{}", fixture.logs());
    let calls: Vec<String> = fixture.ec2.calls().into_iter().map(|call| call.action).collect();
    println!("{} calls of EC2: {}", calls.len(), calls.join(" "));
    println!("{} invocations", invocations() - before);
    // For people to look at, not to be held to: machines differ.
    println!("{took:?} from the command to the end, of which EC2 {EC2:?}");
    println!(
        "the agent's daemon, KiB held and at most: idle {idle:?}, after a build {:?}",
        programs::memory(&programs::agent())
    );
    println!("the function's processes: {:?}", programs::memory(&programs::bootstrap()));
    assert!(calls.len() <= 20, "{} calls of EC2: {calls:?}", calls.len());
    fixture.nothing_left(1);
}

#[test]
fn root_pair_the_roles_allow_exactly_the_calls_made() {
    let test = "root_pair_the_roles_allow_exactly_the_calls_made";
    let Some(mut fixture) = Fixture::start(test, Options::default()) else { return };
    let host = fixture.start_host();
    std::fs::write(fixture.dir.path().join("motd"), "baked\n").unwrap();
    let steps = json!([
        { "type": "file", "source": "motd", "destination": "/etc/motd" },
        { "type": "shell", "inline": ["true"] },
    ]);
    let bake = |fixture: &Fixture, name: &str, options: serde_json::Value| {
        let template = fixture.template(name, options, steps.clone());
        let run = fixture.bakehouse(&["submit", &template]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        fixture.ended(run.stdout.trim(), LONG)
    };

    // All that a template can ask for; its source is named by a parameter.
    let base = find_base(&fixture).unwrap();
    fixture.services.ssm("PutParameter", json!({ "Name": "/bakehouse/base", "Type": "String", "Value": base }));
    let options = json!({
        "source_ami": "resolve:ssm:/bakehouse/base", "source_ami_filter": null,
        "ami_regions": ["eu-west-1"], "ami_users": ["123456789013"], "tags": { "role": "web" },
    });
    let build = bake(&fixture, "all.json", options);
    assert_eq!(build["phase"], "succeeded", "{}", fixture.logs());

    // What is done with an image later, and to the one that has its name.
    let managed = json!({
        "ami_name": "managed", "force_deregister": true, "bakehouse_keep": 1, "snapshot_users": ["123456789013"],
        "bakehouse_watermarks": ["hardened"], "bakehouse_deprecate_in": "720h",
    });
    // The one before it is of the same recipe: it is retired.
    let protected = json!({
        "ami_name": "protected", "bakehouse_keep": 1, "deregistration_protection": { "enabled": true },
    });
    for (name, options) in [("managed.json", managed.clone()), ("managed.json", managed), ("managed.json", protected)] {
        let build = bake(&fixture, name, options);
        assert_eq!(build["phase"], "succeeded", "{build:#}\n{}", fixture.logs());
    }

    // One that must undo an image and its snapshot: the copy is refused.
    let refused = Effect::Error("UnauthorizedOperation".to_owned());
    fixture.ec2.faults().add(Fault::each("CopyImage", refused));
    let build = bake(&fixture, "undone.json", json!({ "ami_regions": ["eu-west-1"] }));
    let reason = build["phase"]["failed"]["message"].as_str().unwrap_or_default();
    assert!(reason.contains("ec2:CopyImage"), "it does not name the permission: {build:#}");
    fixture.ec2.faults().clear();

    // A recipe that follows its source.
    let template = fixture.template("web.json", json!({}), steps.clone());
    let put = fixture.bakehouse(&["recipe", "put", "web", &template, "--on-release"]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    fixture.services.send(&fixture.inbox, &event("sns-amazon-linux-2023.json"));
    fixture.services.send(&fixture.inbox, &json!({ "bakehouse": 1, "kind": "patrol" }));
    fixture.until("the recipe is built", |fixture| fixture.builds().len() == 6);
    let ids = fixture.builds();
    ids.iter().for_each(|id| drop(fixture.ended(id, LONG)));

    // A host that goes for good.
    let id = fixture.hosts[host].id.clone();
    fixture.bakehouse(&["drain", &id]);
    fixture.kill_agent(host);
    fixture.services.send(&fixture.inbox, &event_of_instance(&id, "terminated"));
    fixture.until("the messages are handled", |fixture| fixture.services.depth(&fixture.inbox) == (0, 0));

    // What else people do.
    for arguments in [&["ls"][..], &["hosts"], &["show", "last"], &["logs", "last"], &["recipe", "rm", "web"]] {
        let run = fixture.bakehouse(arguments);
        assert_eq!(run.code, Some(0), "{arguments:?}: {}", run.stderr);
    }

    for (key, role) in [(CONTROLLER_KEY, roles::CONTROLLER), (HOST_KEY, roles::HOST), (USER_KEY, roles::USER)] {
        let called = called(&fixture, key);
        let mut allowed = roles::actions(role).unwrap();
        let missing = {
            // Its own queue lets the host read it; no role does.
            let own = roles::OWN_QUEUE.iter().map(|action| (*action).to_owned());
            let reach: BTreeSet<String> = allowed.iter().cloned().chain(own.filter(|_| role == roles::HOST)).collect();
            called.difference(&reach).cloned().collect::<Vec<_>>()
        };
        allowed.retain(|action| !is_needed_all_the_same(action));
        if role == roles::HOST {
            // A build's stream is made by whoever writes first; here that is always the function.
            allowed.remove("logs:CreateLogStream");
        }
        let unused: Vec<_> = allowed.difference(&called).collect();
        assert!(missing.is_empty(), "{role} is called for and not allowed: {missing:?}\n{called:?}");
        assert!(unused.is_empty(), "{role} is allowed and not called for: {unused:?}\n{called:?}");
    }
    let ec2 = called(&fixture, HOST_KEY).into_iter().find(|action| action.starts_with("ec2:"));
    assert_eq!(ec2, None, "the host has called EC2");
}

/// What the service does in the role's name, or only when it can't be shown here, with the reason.
fn is_needed_all_the_same(action: &str) -> bool {
    matches!(
        action,
        // Only if a build is undone after it has protected its image (the scenario `managed-undone`).
        "ec2:DisableImageDeregistrationProtection" |
        // The event source mapping reads the inbox by the function's role; here the test's own poller does.
        "sqs:ReceiveMessage" | "sqs:DeleteMessage" | "sqs:GetQueueAttributes" | "sqs:ChangeMessageVisibility"
        // Asked of whoever makes a queue with tags, beside sqs:CreateQueue.
        | "sqs:TagQueue"
        // For a queue that is there with other attributes, after an update of the stack (controller/stack's tests do
        // it).
        | "sqs:SetQueueAttributes"
        // S3 asks it of whoever reads what is not there, to tell that it is not.
        | "s3:ListBucket"
        // The SSM agent of the hosts' image calls these (SessionManager).
        | "ssm:UpdateInstanceInformation"
        | "ssmmessages:CreateControlChannel"
        | "ssmmessages:CreateDataChannel"
        | "ssmmessages:OpenControlChannel"
        | "ssmmessages:OpenDataChannel"
    )
}

fn find_base(fixture: &Fixture) -> Option<String> {
    let everything = fixture.cloud.everything().unwrap();
    let images = everything.iter().flat_map(|place| &place.images);
    images.into_iter().find(|image| image.name == "base").map(|image| image.image_id.to_string())
}

pub(crate) fn event_of_instance(id: &str, state: &str) -> serde_json::Value {
    json!({
        "version": "0", "id": "1", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": [format!("arn:aws:ec2:us-east-1:123456789012:instance/{id}")],
        "detail": { "instance-id": id, "state": state },
    })
}
