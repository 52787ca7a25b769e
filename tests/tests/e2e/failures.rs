//! Failures inside a build: the message is clear, and nothing is left.

use serde_json::{Value, json};

use crate::common::{Fixture, image_in, sh};

fn shell(lines: &[&str]) -> Value {
    json!({ "type": "shell", "inline": lines })
}

#[test]
fn root_a_daemon_that_stays_is_killed_and_the_build_succeeds() {
    let Some(fixture) = Fixture::open("root_a_daemon_that_stays_is_killed_and_the_build_succeeds") else { return };
    // Double-forked, with a session of its own, deaf to signals; it keeps a file open and a mount in use.
    let daemon = fixture.file(
        "daemon.sh",
        "#!/bin/sh\ntrap '' TERM HUP INT\nmkdir -p /held\nmount -t tmpfs held /held\ncd /held\n\
         exec 9> /held/file 8> /root/open\necho up > /daemon.up\nwhile :; do echo x >&8; sleep 0.05; done\n",
    );
    let provisioners = json!([
        { "type": "file", "source": daemon, "destination": "/daemon.sh" },
        shell(&[
            "(setsid sh /daemon.sh < /dev/null > /dev/null 2>&1 &)",
            "for i in 1 2 3 4 5 6 7 8 9; do test -e /daemon.up && break; sleep 0.2; done",
            "test -e /daemon.up",
        ]),
        shell(&["echo after > /after"]),
    ]);
    let run = fixture.build(&fixture.template("t.json", json!({}), provisioners)).exits(0);
    let image = fixture.look_into(image_in(&run.stdout, "us-east-1"));
    assert_eq!(image.read("/after"), "after\n");
    assert_eq!(image.read("/daemon.up"), "up\n");
    assert!(!image.at("/held/file").exists());
    fixture.nothing_left(1);
}

#[test]
fn root_a_failed_provisioner_is_reported_with_its_last_lines() {
    let Some(fixture) = Fixture::open("root_a_failed_provisioner_is_reported_with_its_last_lines") else { return };
    let options = json!({ "ami_regions": ["eu-central-1"] });
    let lines = ["for i in $(seq 1 200); do echo line $i; done", "echo the disk is on fire >&2", "exit 7"];
    let run = fixture.build(&fixture.template("t.json", options, json!([shell(&lines)]))).exits(1);
    assert_eq!(run.stdout, "");
    // Once live, once in the message at the end.
    assert!(run.stderr.matches("the disk is on fire").count() >= 2, "{}", run.stderr);
    let message = &run.stderr[run.stderr.find("error").unwrap()..];
    assert!(message.contains('7') && message.contains("line 200"), "{message}");
    let shown = fixture.last();
    assert_eq!((&shown["state"], &shown["reason"]["phase"]), (&json!("failed"), &json!("provisioning")));
    assert!(shown["reason"]["tail"].to_string().contains("the disk is on fire"), "{shown}");
    fixture.nothing_left(0);
}

#[test]
fn root_exit_codes_and_retries_are_as_the_template_says() {
    let Some(fixture) = Fixture::open("root_exit_codes_and_retries_are_as_the_template_says") else { return };
    let provisioners = json!([
        { "type": "shell", "inline": ["exit 3"], "valid_exit_codes": [0, 3] },
        { "type": "shell", "inline": ["echo try >> /tries", "test $(wc -l < /tries) -eq 3"], "max_retries": 2 },
    ]);
    let run = fixture.build(&fixture.template("t.json", json!({}), provisioners)).exits(0);
    assert_eq!(fixture.look_into(image_in(&run.stdout, "us-east-1")).read("/tries"), "try\ntry\ntry\n");
    fixture.nothing_left(1);
}

#[test]
fn root_a_provisioner_that_times_out_is_killed() {
    let Some(fixture) = Fixture::open("root_a_provisioner_that_times_out_is_killed") else { return };
    let provisioners = json!([{ "type": "shell", "inline": ["sleep 300 & sleep 300"], "timeout": "1s" }]);
    let began = std::time::Instant::now();
    fixture.build(&fixture.template("t.json", json!({}), provisioners)).exits(1).says(&["provisioner 1", "timeout"]);
    assert!(began.elapsed().as_secs() < 30);
    fixture.nothing_left(0);
}

#[test]
fn root_an_image_without_a_file_system_is_refused() {
    let Some(fixture) = Fixture::open("root_an_image_without_a_file_system_is_refused") else { return };
    let raw = fixture.path().join("noise.raw");
    sh(&format!("head -c 4M /dev/urandom > {}", raw.display()));
    fixture.run(["local", "import", raw.to_str().unwrap(), "--name", "noise"]).exits(0);
    let options = json!({ "source_ami_filter": { "filters": { "name": "noise" } } });
    let run = fixture.build(&fixture.template("t.json", options, json!([shell(&["true"])]))).exits(1);
    assert!(run.stderr.contains("file system"), "{}", run.stderr);
    fixture.nothing_left(1);
}

#[test]
fn root_a_missing_partition_is_named() {
    let Some(fixture) = Fixture::open("root_a_missing_partition_is_named") else { return };
    let template = fixture.template("t.json", json!({ "mount_partition": "7" }), json!([shell(&["true"])]));
    fixture.build(&template).exits(1).says(&["partition 7"]);
    fixture.nothing_left(0);
}

#[test]
fn root_writing_to_a_read_only_mount_fails_clearly() {
    let Some(fixture) = Fixture::open("root_writing_to_a_read_only_mount_fails_clearly") else { return };
    let options = json!({ "mount_options": ["ro"] });
    let template = fixture.template("t.json", options, json!([shell(&["echo x > /x"])]));
    let run = fixture.build(&template).exits(1);
    assert!(run.stderr.to_lowercase().contains("read-only"), "{}", run.stderr);
    fixture.nothing_left(0);
}

#[test]
fn root_a_missing_source_is_named() {
    let Some(fixture) = Fixture::open("root_a_missing_source_is_named") else { return };
    let options = json!({ "source_ami_filter": null, "source_ami": "ami-0123456789abcdef0" });
    fixture.build(&fixture.template("t.json", options, json!([]))).exits(1).says(&["ami-0123456789abcdef0"]);
    let options = json!({ "source_ami_filter": { "filters": { "name": "no-such-*" } } });
    fixture.build(&fixture.template("t.json", options, json!([]))).exits(1).says(&["no-such-*"]);
    fixture.nothing_left(0);
}

#[test]
fn root_a_full_file_system_in_the_image_is_reported() {
    let Some(fixture) = Fixture::open("root_a_full_file_system_in_the_image_is_reported") else { return };
    let template = fixture.shell(&["dd if=/dev/zero of=/fill bs=1M count=2000"]);
    fixture.build(&template).exits(1).says(&["No space left on device"]);
    fixture.nothing_left(0);
}
