//! Builds of one template at once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::common::{Fixture, image_in};

/// Runs this many builds of one template at once; each must make an image of its own.
fn at_once(test: &str, count: usize) {
    let Some(fixture) = Fixture::open(test) else { return };
    let inline = ["id=$(head -c 8 /proc/sys/kernel/random/uuid)", "echo $id > /id", "sleep 0.5", "grep $id /id"];
    let options = json!({ "ami_name": "same-{{uuid}}", "ami_regions": ["eu-central-1"] });
    let template = fixture.template("t.json", options, json!([{ "type": "shell", "inline": inline }]));
    let runs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(|| fixture.build(&template))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().exits(0)).collect()
    });
    let (mut ids, mut contents) = (BTreeSet::new(), BTreeSet::new());
    for run in &runs {
        let id = image_in(&run.stdout, "us-east-1");
        contents.insert(fixture.look_into(id).read("/id"));
        ids.insert(id.to_owned());
        ids.insert(image_in(&run.stdout, "eu-central-1").to_owned());
    }
    assert_eq!((ids.len(), contents.len()), (2 * count, count));
    fixture.nothing_left(2 * count);
}

#[test]
fn root_two_builds_of_one_template_at_once() {
    at_once("root_two_builds_of_one_template_at_once", 2);
}

#[test]
fn root_eight_builds_of_one_template_at_once() {
    at_once("root_eight_builds_of_one_template_at_once", 8);
}

#[test]
fn root_one_of_two_builds_of_the_same_image_name_fails() {
    let Some(fixture) = Fixture::open("root_one_of_two_builds_of_the_same_image_name_fails") else {
        return;
    };
    let inline = json!([{ "type": "shell", "inline": ["sleep 0.5"] }]);
    let template = fixture.template("t.json", json!({ "ami_name": "only-one" }), inline);
    let runs: Vec<_> = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| fixture.build(&template)));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let codes: BTreeSet<_> = runs.iter().map(|run| run.code).collect();
    assert_eq!(codes, BTreeSet::from([Some(0), Some(1)]), "{runs:?}");
    assert!(runs.iter().any(|run| run.code == Some(1) && run.stderr.contains("only-one")), "{runs:?}");
    fixture.nothing_left(1);
}
