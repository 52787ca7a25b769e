//! Requests that are refused are recorded, with the reason, as builds that have failed.

use bakehouse_lambda::metrics::Metric;
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{BuildId, BuildTarget, BundleRef, InboxMessage, Request};

use crate::world::World;

/// What became of a request for a bundle, with the reason.
fn refusal(world: &std::sync::Arc<World>, target: BuildTarget) -> (String, Option<String>) {
    let id = BuildId::from_parts(1, 1);
    world.send(InboxMessage::Request(Request {
        build: Some(id.clone()),
        target,
        vars: Default::default(),
        scheduled: None,
    }));
    world.work(1);
    world.check();
    assert!(world.state().dead.is_empty());
    assert_eq!((world.measured(Metric::MessagesRefused), world.measured(Metric::BuildsFailed)), (1.0, 1.0));
    match world.phase(&id) {
        Phase::Failed(reason) => {
            assert_eq!(reason.phase, PhaseName::Accepted);
            (reason.message, reason.hint)
        }
        other => panic!("{other:?}"),
    }
}

fn bundle(template: &str) -> (std::sync::Arc<World>, BundleRef) {
    let world = World::new(1);
    let bundle = world.bundle(template);
    (world, bundle)
}

#[test]
fn a_template_with_mistakes_is_refused_with_all_of_them() {
    let (world, bundle) = bundle(r#"{"builders": [{"type": "amazon-chroot", "ami_nam": "x"}], "provisioner": []}"#);
    let (message, _) = refusal(&world, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("the template has "), "{message}");
    assert!(
        message.contains("/recipes/web.json:1:") && message.contains("ami_nam") && message.contains("provisioner"),
        "{message}"
    );
}

#[test]
fn what_reaches_the_host_is_refused_by_the_options_names() {
    let world = World::new(1);
    let template = world.template_from(&format!(
        r#""source_ami": "{}", "pre_mount_commands": ["ls"], "copy_files": ["/etc/hosts"]"#,
        world.base
    ));
    let bundle = world.bundle(&template);
    let (message, hint) = refusal(&world, BuildTarget::Bundle(bundle));
    assert_eq!(message, "amazon-chroot reaches the build host by pre_mount_commands, copy_files");
    assert!(hint.expect("a hint").contains("AllowHostAccess"));
}

#[test]
fn a_bundle_that_is_another_is_refused() {
    let (world, bundle) = bundle("{}");
    world.state().bundles.insert(bundle.key.clone(), b"something else".to_vec());
    let (message, _) = refusal(&world, BuildTarget::Bundle(bundle));
    assert!(message.contains("is not the bundle that was asked for"), "{message}");
}

#[test]
fn a_bundle_that_is_not_there_is_refused() {
    let (world, bundle) = bundle("{}");
    world.state().bundles.clear();
    let (message, _) = refusal(&world, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("there is no bundle bundles/"), "{message}");
}

/// An archive with one entry of this name, as nothing of ours would write it.
fn archive(name: &str) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, b"00000000000\0");
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend([0u8; 1024]);
    gzip(&tar)
}

/// A gzip file of one stored block: enough for an archive of less than 64 KiB.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short archive");
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
    let crc = !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    out.extend(crc.to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

#[test]
fn an_entry_that_climbs_out_is_refused() {
    let world = World::new(1);
    let bytes = archive("../../etc/cron.d/evil");
    let sha256 = bakehouse_bundle::sha256(&bytes);
    let bundle = BundleRef { key: "bundles/evil.tar.gz".into(), sha256, size: bytes.len() as u64 };
    world.state().bundles.insert(bundle.key.clone(), bytes);
    let (message, _) = refusal(&world, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("the bundle cannot be unpacked: "), "{message}");
    assert!(message.contains("..") || message.contains("manifest"), "{message}");
}

#[test]
fn a_recipe_that_is_not_kept_is_refused() {
    let world = World::new(1);
    let (message, _) = refusal(&world, BuildTarget::Recipe("web".into()));
    assert_eq!(message, "there is no recipe \"web\" in this stack");
}

#[test]
fn an_id_too_long_to_be_numbered_is_refused_if_it_must_be() {
    let world = World::new(1);
    let base = &world.base;
    let bundle = world.bundle(&format!(
        r#"{{"builders": [
            {{"name": "a", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-a"}},
            {{"name": "b", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-b"}}]}}"#
    ));
    let id = BuildId::new(format!("b-{}", "a".repeat(62))).expect("an id");
    let target = BuildTarget::Bundle(bundle);
    world.send(InboxMessage::Request(Request {
        build: Some(id.clone()),
        target,
        vars: Default::default(),
        scheduled: None,
    }));
    world.work(1);
    let Phase::Failed(reason) = world.phase(&id) else { panic!("{:?}", world.phase(&id)) };
    assert!(reason.message.contains("leaves no room"), "{}", reason.message);
    assert_eq!(world.state().records.len(), 1);
}

#[test]
fn a_request_that_is_malformed_or_too_long_is_refused_on_the_build_that_it_names() {
    let long = "a".repeat(300 * 1024);
    for (more, why) in
        [("\"hurry\": true", "hurry".to_owned()), (&format!("\"vars\": {{\"a\": \"{long}\"}}"), "262144".to_owned())]
    {
        let world = World::new(1);
        let id = BuildId::from_parts(1, 1);
        world.send_text(format!(r#"{{"bakehouse": 1, "kind": "request", "build": "{id}", "recipe": "web", {more}}}"#));
        world.work(1);
        assert!(world.state().dead.is_empty());
        let Phase::Failed(reason) = world.phase(&id) else { panic!("{:?}", world.phase(&id)) };
        assert!(reason.message.contains(&why), "{}", reason.message);
    }
}

#[test]
fn a_build_that_no_record_can_hold_is_refused() {
    let world = World::new(1);
    world.state().largest = Some(20_000);
    let script = "x".repeat(30_000);
    let template = world.template().replace("\"true\"", &format!("\"{script}\""));
    let bundle = world.bundle(&template);
    let (message, hint) = refusal(&world, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("the build is too large to be kept: "), "{message}");
    assert!(hint.expect("a hint").contains("files beside the template"));
}
