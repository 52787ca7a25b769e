//! The exit codes, and what goes to which stream.

use serde_json::{Value, json};

use crate::common::Fixture;

#[test]
fn root_an_invalid_template_exits_with_2_and_starts_nothing() {
    let Some(fixture) = Fixture::open("root_an_invalid_template_exits_with_2_and_starts_nothing") else { return };
    let typo = fixture.template("typo.json", json!({ "ami_regoins": ["eu-central-1"] }), json!([]));
    let run = fixture.build(&typo).exits(2).says(&["typo.json", "ami_regoins", "ami_regions"]);
    assert_eq!(run.stdout, "");
    let script = json!([{ "type": "shell", "script": "no/such/script.sh" }]);
    let missing = fixture.template("missing.json", json!({}), script);
    fixture.build(&missing).exits(2).says(&["no/such/script.sh"]);
    let file = json!([{ "type": "file", "source": "no-such-file", "destination": "/x" }]);
    let missing = fixture.template("missing.json", json!({}), file);
    fixture.build(&missing).exits(2).says(&["no-such-file"]);
    fixture.run(["build", "no-such-template.json", "--local"]).exits(2).says(&["no-such-template.json"]);
    fixture.run(["build", &typo]).exits(2);
    assert!(fixture.builds().is_empty(), "a build was begun");
    fixture.nothing_left(0);
}

#[test]
fn root_messages_go_to_stderr_and_data_to_stdout() {
    let Some(fixture) = Fixture::open("root_messages_go_to_stderr_and_data_to_stdout") else { return };
    let template = fixture.shell(&["echo to-stdout", "echo to-stderr >&2"]);
    let run = fixture.build(&template).exits(0).says(&["to-stdout", "to-stderr", "provisioning"]);
    let [snapshot, image, line] = run.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{}", run.stdout) };
    assert!(snapshot.starts_with("Snapshot ID: snap-") && image.starts_with("AMI: ami-"), "{}", run.stdout);
    assert!(line.strip_prefix("us-east-1: ami-").is_some_and(|id| id.len() == 17), "{line}");
    // No colours and no moving lines where there is no terminal.
    assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains('\r'), "{}", run.stderr);

    let run = fixture.run(["build", &template, "--local", "--json"]).exits(0);
    let events: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "started");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["outcome"]), (&json!("finished"), &json!("succeeded")));
    for (stream, word) in [("stdout", "to-stdout"), ("stderr", "to-stderr")] {
        let is_it = |event: &&Value| event["event"] == "output" && event["line"] == word;
        assert_eq!(events.iter().find(is_it).unwrap()["stream"], stream);
    }
    fixture.nothing_left(2);
}

#[test]
fn root_a_failed_build_is_shown_by_json_and_exit_code() {
    let Some(fixture) = Fixture::open("root_a_failed_build_is_shown_by_json_and_exit_code") else { return };
    let template = fixture.shell(&["echo last words", "exit 9"]);
    let run = fixture.run(["build", &template, "--local", "--json"]).exits(1);
    let events: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed = events.iter().find(|event| event["event"] == "failed").unwrap();
    assert_eq!(failed["phase"], "provisioning");
    assert!(failed["tail"].to_string().contains("last words"), "{failed}");
    let last = events.last().unwrap();
    assert_eq!((&last["outcome"], &last["images"]), (&json!("failed"), &json!([])));
    fixture.nothing_left(0);
}

#[test]
fn root_sensitive_values_are_shown_nowhere() {
    let Some(fixture) = Fixture::open("root_sensitive_values_are_shown_nowhere") else { return };
    let template = fixture.file(
        "sensitive.json",
        &json!({
            "variables": { "password": "" },
            "sensitive-variables": ["password"],
            "builders": [{
                "type": "amazon-chroot", "region": "us-east-1", "ami_name": "{{user `password`}} {{uuid}}",
                "mount_path": fixture.mounts().join("{{.Device}}"),
                "source_ami_filter": { "filters": { "name": "base" }, "owners": ["self"] },
            }],
            "provisioners": [{ "type": "shell", "inline": ["echo the word is {{user `password`}}", "exit 1"] }],
        })
        .to_string(),
    );
    let run = fixture.run(["build", "-vv", &template, "--local", "--var", "password=op3n-sesame"]).exits(1);
    assert!(run.stderr.contains("the word is"), "{}", run.stderr);
    assert!(run.stderr.contains("command=resolve"), "{}", run.stderr);
    let shown = fixture.run(["show", "last"]).exits(0);
    for text in [&run.stdout, &run.stderr, &shown.stdout, &shown.stderr] {
        assert!(!text.contains("op3n-sesame"), "{text}");
    }
    fixture.nothing_left(0);
}

#[test]
fn root_sensitive_values_do_not_mask_our_own_messages() {
    let Some(fixture) = Fixture::open("root_sensitive_values_do_not_mask_our_own_messages") else { return };
    // Each is also a word of our own messages.
    let words = ["build", "Baked", "shell", "inline", "provisioning", "event", "output", "sensitive", "root"];
    let mut variables: serde_json::Map<String, Value> =
        words.iter().map(|word| ((*word).into(), json!(word))).collect();
    variables.insert("pem".into(), json!("-----BEGIN\nmiddle-of-the-key\n-----END"));
    let echo = words.map(|word| format!("echo 'say {{{{user `{word}`}}}}!'"));
    let template = fixture.file(
        "words.json",
        &json!({
            "variables": variables,
            "sensitive-variables": variables.keys().collect::<Vec<_>>(),
            "builders": [{
                "type": "amazon-chroot", "region": "us-east-1", "ami_name": "{{user `build`}} {{uuid}}",
                "mount_path": fixture.mounts().join("{{.Device}}"),
                "source_ami_filter": { "filters": { "name": "base" }, "owners": ["self"] },
            }],
            "provisioners": [{
                "type": "shell", "environment_vars": ["PEM={{user `pem`}}"],
                "inline": [echo.join("\n"), "echo \"$PEM\"; echo $PEM"],
            }],
        })
        .to_string(),
    );
    let run = fixture.build(&template).exits(0).says(&["Baked in ", "1/1 shell (inline)\n", "\n  provisioning "]);
    assert_eq!(run.stderr.matches("| say <sensitive>!\n").count(), words.len(), "{}", run.stderr);
    assert!(!run.stderr.contains("middle-of-the-key") && !run.stderr.contains("-----END"), "{}", run.stderr);
    let shown = fixture.run(["show", "last"]).exits(0).stdout;
    for words in ["build     b-", "image     <sensitive> ", "\n  provisioning "] {
        assert!(shown.contains(words), "no {words:?} in {shown}");
    }

    let run = fixture.run(["build", &template, "--local", "--json"]).exits(0);
    let events: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = events.iter().filter(|event| event["event"] == "output" && event["line"] == "say <sensitive>!");
    assert_eq!(said.count(), words.len());
    assert!(events.iter().any(|event| event["event"] == "phase" && event["phase"] == "provisioning"));
    let image = events.last().unwrap()["images"][0]["name"].as_str().unwrap();
    assert!(image.starts_with("<sensitive> "), "{image}");
    assert!(!run.stdout.contains("middle-of-the-key"), "{}", run.stdout);
    fixture.nothing_left(2);
}
