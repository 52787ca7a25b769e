//! Which jobs are started, and with which files.

use std::{fs, path::Path};

use bakehouse_bundle::{PackRequest, pack};
use bakehouse_protocol::{BundleRef, DeferredTemplate, HostMessage, Outcome, ReportBody};

use super::values::{build, job, proof, with_script};
use crate::fakes::{DaemonFixture, fake};

fn bundle(dir: &Path) -> (Vec<u8>, BundleRef, String) {
    let author = dir.join("author");
    fs::create_dir_all(&author).unwrap();
    fs::write(author.join("t.json"), "{}").unwrap();
    fs::write(author.join("setup.sh"), "#!/bin/sh\n").unwrap();
    let request = PackRequest {
        template: "t.json".into(),
        files: vec!["setup.sh".into()],
        working_directory: author.clone(),
        ..PackRequest::default()
    };
    let packed = pack(&request).unwrap();
    let inside = bakehouse_bundle::path_in_bundle(&author.join("setup.sh")).unwrap();
    (packed.bytes.clone(), packed.reference(), inside)
}

#[tokio::test(start_paused = true)]
async fn templates_have_no_access_to_the_host() {
    let fixture = DaemonFixture::new();
    let mut reaching = job(1);
    reaching.chroot.copy_files = Some(vec!["/etc/shadow".into()]);
    reaching.chroot.pre_mount_commands = vec![DeferredTemplate("id".into())];
    fixture.fake.send(HostMessage::Job { job: reaching });
    fixture.fake.send(HostMessage::Job { job: with_script(job(2), "/etc/setup.sh", None) });
    let climbing = BundleRef { key: "bundles/x".into(), sha256: "x".into(), size: 1 };
    fixture.fake.send(HostMessage::Job { job: with_script(job(3), "../../setup.sh", Some(climbing)) });
    fixture.until("all are refused", |fake| fake.outcomes().len() == 3).await;
    for report in fixture.fake.reports() {
        let ReportBody::Ended(Outcome::Failed { failure, proof: Some(_) }) = report.body else { panic!() };
        if report.build == build(1) {
            assert!(failure.message.ends_with("pre_mount_commands, copy_files"), "{}", failure.message);
        } else {
            assert!(failure.message.starts_with("setup.sh is a file of this host"), "{}", failure.message);
        }
    }
    fixture.until("no message is left", |fake| fake.undeleted() == 0).await;
    assert_eq!(fixture.fake.state().started.len(), 0);
    // Unless the operator allows it.
    let fixture = DaemonFixture::with(fake(), tempfile::tempdir().unwrap(), |settings| {
        settings.stack.allow_host_access = true;
    });
    fixture.fake.send(HostMessage::Job { job: with_script(job(2), "/etc/setup.sh", None) });
    fixture.started_job(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_with_a_bundle() {
    let fixture = DaemonFixture::new();
    let (bytes, reference, inside) = bundle(fixture.dir.path());
    fixture.fake.state().objects.insert(reference.key.clone(), bytes);
    fixture.fake.send(HostMessage::Job { job: with_script(job(1), &inside, Some(reference)) });
    let started = fixture.started_job(0).await;
    let script = Path::new(&started.job.files).join(&inside);
    assert_eq!(fs::read_to_string(&script).unwrap(), "#!/bin/sh\n");
    started.end(Outcome::Done(proof())).await;
    fixture.until("its outcome is reported", |fake| fake.outcomes().len() == 1).await;
    assert!(!script.exists());
}

#[tokio::test(start_paused = true)]
async fn bundles_that_cannot_be_used() {
    let fixture = DaemonFixture::new();
    let (bytes, good, inside) = bundle(fixture.dir.path());
    fixture.fake.state().objects.insert(good.key.clone(), bytes);
    let garbage = b"garbage".to_vec();
    let none = BundleRef { key: "bundles/y".into(), sha256: bakehouse_bundle::sha256(&garbage), size: 7 };
    fixture.fake.state().objects.insert(none.key.clone(), garbage);
    let cases = [
        (BundleRef { sha256: "0".repeat(64), ..good.clone() }, "is not the bundle that was asked for: its SHA-256"),
        (BundleRef { size: good.size + 1, ..good.clone() }, "is not the bundle that was asked for: it has"),
        (BundleRef { size: 1 << 40, ..good.clone() }, "more than the limit of 67108864"),
        (BundleRef { key: "bundles/none".into(), ..good.clone() }, "there is no bundles/none"),
        (none, "bundles/y: the bundle cannot be unpacked: "),
    ];
    for (n, (reference, what)) in (1..).zip(cases) {
        fixture.fake.send(HostMessage::Job { job: with_script(job(n), &inside, Some(reference)) });
        fixture.until("it is refused", |fake| fake.outcomes().len() == n as usize).await;
        let Some((_, Outcome::Failed { failure, proof: Some(_) })) = fixture.fake.outcomes().pop() else { panic!() };
        assert!(failure.message.contains(what), "{}", failure.message);
    }
    assert_eq!(fixture.fake.state().started.len(), 0);
    assert_eq!(fs::read_dir(fixture.dir.path().join("lib/bundles")).unwrap().count(), 0);
}
