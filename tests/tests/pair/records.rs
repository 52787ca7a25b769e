//! The records of builds, and waiting for what they show.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{fixture::Fixture, names::STACK};

impl Fixture {
    /// The record of a build, if it exists.
    pub(crate) fn build(&self, id: &str) -> Option<Value> {
        let key = json!({ "pk": { "S": format!("build#{id}") }, "sk": { "S": "record" } });
        let item = self.services.dynamodb("GetItem", json!({ "TableName": STACK, "Key": key, "ConsistentRead": true }));
        serde_json::from_str(item["Item"]["record"]["S"].as_str()?).ok()
    }

    /// The ids of all builds.
    pub(crate) fn builds(&self) -> Vec<String> {
        let all = self.services.dynamodb("Scan", json!({ "TableName": STACK }));
        let items = all["Items"].as_array().cloned().unwrap_or_default();
        let ids = items.iter().filter_map(|item| item["pk"]["S"].as_str()?.strip_prefix("build#").map(str::to_owned));
        ids.collect()
    }

    /// Waits until a build has ended; returns its record.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str, within: Duration) -> Value {
        let began = Instant::now();
        loop {
            let build = self.build(id);
            if let Some(build) = &build
                && has_ended(build)
            {
                return build.clone();
            }
            assert!(began.elapsed() < within, "{id} has not ended: {build:#?}\n{}", self.logs());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the only build exists and has ended; returns its id and its record.
    #[track_caller]
    pub(crate) fn only_build(&self, within: Duration) -> (String, Value) {
        let began = Instant::now();
        while self.builds().is_empty() {
            assert!(began.elapsed() < within, "no build was created\n{}", self.logs());
            thread::sleep(Duration::from_millis(50));
        }
        let ids = self.builds();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let build = self.ended(&ids[0], within);
        (ids[0].clone(), build)
    }

    /// Waits until something holds.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(120), "never: {what}\n{}", self.logs());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

pub(crate) fn has_ended(build: &Value) -> bool {
    let phase = &build["phase"];
    phase == "succeeded" || phase == "cancelled" || phase.get("failed").is_some()
}
