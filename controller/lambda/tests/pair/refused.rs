//! Requests that are refused are recorded, with the reason, as builds that have failed.

use bakehouse_lambda::metrics::Metric;
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{BuildId, BuildTarget, BundleRef, InboxMessage, Request};

use crate::simulation::Simulation;

/// Submits a request for a bundle; returns why it was refused, and the hint.
fn refusal(simulation: &std::sync::Arc<Simulation>, target: BuildTarget) -> (String, Option<String>) {
    let id = BuildId::from_parts(1, 1);
    simulation.send(InboxMessage::Request(Request {
        build: Some(id.clone()),
        target,
        vars: Default::default(),
        scheduled: None,
    }));
    simulation.work(1);
    simulation.check();
    assert!(simulation.state().dead.is_empty());
    assert_eq!((simulation.measured(Metric::MessagesRefused), simulation.measured(Metric::BuildsFailed)), (1.0, 1.0));
    match simulation.phase(&id) {
        Phase::Failed(reason) => {
            assert_eq!(reason.phase, PhaseName::Accepted);
            (reason.message, reason.hint)
        }
        other => panic!("{other:?}"),
    }
}

fn bundle(template: &str) -> (std::sync::Arc<Simulation>, BundleRef) {
    let simulation = Simulation::new(1);
    let bundle = simulation.bundle(template);
    (simulation, bundle)
}

#[test]
fn an_invalid_template_is_refused_with_all_its_errors() {
    let (simulation, bundle) =
        bundle(r#"{"builders": [{"type": "amazon-chroot", "ami_nam": "x"}], "provisioner": []}"#);
    let (message, _) = refusal(&simulation, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("the template has "), "{message}");
    assert!(
        message.contains("/recipes/web.json:1:") && message.contains("ami_nam") && message.contains("provisioner"),
        "{message}"
    );
}

#[test]
fn options_with_host_access_are_refused_by_name() {
    let simulation = Simulation::new(1);
    let template = simulation.template_from(&format!(
        r#""source_ami": "{}", "pre_mount_commands": ["ls"], "copy_files": ["/etc/hosts"]"#,
        simulation.base
    ));
    let bundle = simulation.bundle(&template);
    let (message, hint) = refusal(&simulation, BuildTarget::Bundle(bundle));
    assert_eq!(message, "amazon-chroot reaches the build host by pre_mount_commands, copy_files");
    assert!(hint.expect("a hint").contains("AllowHostAccess"));
}

#[test]
fn a_bundle_with_another_digest_is_refused() {
    let (simulation, bundle) = bundle("{}");
    simulation.state().bundles.insert(bundle.key.clone(), b"something else".to_vec());
    let (message, _) = refusal(&simulation, BuildTarget::Bundle(bundle));
    assert!(message.contains("is not the bundle that was asked for"), "{message}");
}

#[test]
fn a_missing_bundle_is_refused() {
    let (simulation, bundle) = bundle("{}");
    simulation.state().bundles.clear();
    let (message, _) = refusal(&simulation, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("there is no bundle bundles/"), "{message}");
}

/// An archive with one entry of this name, as this project never writes it.
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
fn an_entry_outside_the_bundle_is_refused() {
    let simulation = Simulation::new(1);
    let bytes = archive("../../etc/cron.d/evil");
    let sha256 = bakehouse_bundle::sha256(&bytes);
    let bundle = BundleRef { key: "bundles/evil.tar.gz".into(), sha256, size: bytes.len() as u64 };
    simulation.state().bundles.insert(bundle.key.clone(), bytes);
    let (message, _) = refusal(&simulation, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("the bundle cannot be unpacked: "), "{message}");
    assert!(message.contains("..") || message.contains("manifest"), "{message}");
}

#[test]
fn an_unknown_recipe_is_refused() {
    let simulation = Simulation::new(1);
    let (message, _) = refusal(&simulation, BuildTarget::Recipe("web".into()));
    assert_eq!(message, "there is no recipe \"web\" in this stack");
}

#[test]
fn an_id_too_long_for_several_builds_is_refused() {
    let simulation = Simulation::new(1);
    let base = &simulation.base;
    let bundle = simulation.bundle(&format!(
        r#"{{"builders": [
            {{"name": "a", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-a"}},
            {{"name": "b", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-b"}}]}}"#
    ));
    let id = BuildId::new(format!("b-{}", "a".repeat(62))).expect("an id");
    let target = BuildTarget::Bundle(bundle);
    simulation.send(InboxMessage::Request(Request {
        build: Some(id.clone()),
        target,
        vars: Default::default(),
        scheduled: None,
    }));
    simulation.work(1);
    let Phase::Failed(reason) = simulation.phase(&id) else { panic!("{:?}", simulation.phase(&id)) };
    assert!(reason.message.contains("is too long to number"), "{}", reason.message);
    assert_eq!(simulation.state().records.len(), 1);
}

#[test]
fn a_malformed_request_fails_the_build_that_it_names() {
    let long = "a".repeat(300 * 1024);
    for (more, why) in
        [("\"hurry\": true", "hurry".to_owned()), (&format!("\"vars\": {{\"a\": \"{long}\"}}"), "262144".to_owned())]
    {
        let simulation = Simulation::new(1);
        let id = BuildId::from_parts(1, 1);
        simulation
            .send_text(format!(r#"{{"bakehouse": 1, "kind": "request", "build": "{id}", "recipe": "web", {more}}}"#));
        simulation.work(1);
        assert!(simulation.state().dead.is_empty());
        let Phase::Failed(reason) = simulation.phase(&id) else { panic!("{:?}", simulation.phase(&id)) };
        assert!(reason.message.contains(&why), "{}", reason.message);
    }
}

#[test]
fn a_build_too_large_for_a_record_is_refused() {
    let simulation = Simulation::new(1);
    simulation.state().largest = Some(20_000);
    let script = "x".repeat(30_000);
    let template = simulation.template().replace("\"true\"", &format!("\"{script}\""));
    let bundle = simulation.bundle(&template);
    let (message, hint) = refusal(&simulation, BuildTarget::Bundle(bundle));
    assert!(message.starts_with("the build is too large to store: "), "{message}");
    assert!(hint.expect("a hint").contains("files beside the template"));
}
