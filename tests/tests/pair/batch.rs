//! The response and the log of the function for a batch as Lambda sends it.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    fixture::Fixture,
    options::Options,
    runtime::{Answer, Environment},
    triggers::event,
};

#[test]
fn root_pair_a_batch_response_names_the_failed_messages() {
    let test = "root_pair_a_batch_response_names_the_failed_messages";
    let Some(fixture) = Fixture::start(test, Options { environments: 0, ..Options::default() }) else { return };
    let log = fixture.dir.path().join("controller.log");
    let mut environment = Environment::new(log.clone(), Duration::from_secs(60), fixture.function());
    let batch = event("sqs-batch.json");
    let Answer::Done(answer) = environment.invoke(&batch, None) else { panic!("{}", fixture.logs()) };
    // The second is not a valid message; the patrol, and the tick of a build that no longer exists, count as handled.
    let second = "2e1424d4-f796-459a-8184-9c92662be6da";
    assert_eq!(batch["Records"][1]["messageId"], second);
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": second }] }));

    // Each line of the log is an object.
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?} of\n{text}")))
        .collect();
    let about = |member: &str, value: &str| lines.iter().find(|line| line[member] == value);
    let refused = about("message_id", second).unwrap_or_else(|| panic!("{text}"));
    assert_eq!((&refused["level"], &refused["body"]), (&json!("ERROR"), &json!("hello?")), "{refused}");
    assert!(refused["why"].as_str().is_some_and(|why| why.starts_with("it is not JSON")), "{refused}");
    assert_eq!(refused.get("build"), None);
    let ticked = about("build", "b-6a0f1c2d-5e77a9b1").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(ticked["message"], "message for an unknown build");
    assert_eq!(ticked["message_id"], batch["Records"][2]["messageId"]);

    // The metrics, in CloudWatch's embedded metric format.
    let metrics: Vec<&Value> = lines.iter().filter(|line| line.get("_aws").is_some()).collect();
    let [metrics] = metrics[..] else { panic!("{text}") };
    let metric = |name: &str| (metrics[name].as_f64(), metrics["stack"].as_str());
    for (name, value) in
        [("MessagesNotUnderstood", 1.0), ("BuildsRunning", 0.0), ("BuildsQueued", 0.0), ("HostsReady", 0.0)]
    {
        assert_eq!(metric(name), (Some(value), Some("bakehouse")), "{name} in {metrics}");
        let directive = &metrics["_aws"]["CloudWatchMetrics"][0];
        let named = directive["Metrics"].as_array().unwrap().iter().any(|metric| metric["Name"] == name);
        assert!(named && directive["Namespace"] == "Bakehouse" && directive["Dimensions"] == json!([["stack"]]));
    }
    assert!(metrics["_aws"]["Timestamp"].is_u64(), "{metrics}");

    // The same batch again has the same result.
    let Answer::Done(again) = environment.invoke(&batch, None) else { panic!("{}", fixture.logs()) };
    assert_eq!(again, answer);
    assert!(fixture.builds().is_empty());
}
