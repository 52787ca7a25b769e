//! Metrics in CloudWatch's embedded metric format: lines of JSON in the log, from which CloudWatch makes metrics
//! without a call.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bakehouse_machine::build::PhaseName;
use bakehouse_protocol::{Millis, Timestamp};
use serde_json::{Map, Value, json};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Bakehouse";

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Builds that ended with all their images.
    BuildsSucceeded,
    /// Builds that failed.
    BuildsFailed,
    /// Builds that were cancelled.
    BuildsCancelled,
    /// Time from a build's acceptance to its end.
    BuildSeconds,
    /// Time that a build spent in a phase.
    PhaseSeconds(PhaseName),
    /// Hosts to which a build can be assigned.
    HostsReady,
    /// Builds that have not ended and do not wait for a host.
    BuildsRunning,
    /// Builds that wait for a host.
    BuildsQueued,
    /// Invalid messages.
    MessagesNotUnderstood,
    /// Requests and events that were rejected.
    MessagesRefused,
}

/// How the values of one invocation are combined.
enum Aggregation {
    Sum,
    Last,
    Each,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::BuildsSucceeded => "BuildsSucceeded",
            Self::BuildsFailed => "BuildsFailed",
            Self::BuildsCancelled => "BuildsCancelled",
            Self::BuildSeconds => "BuildSeconds",
            Self::PhaseSeconds(_) => "PhaseSeconds",
            Self::HostsReady => "HostsReady",
            Self::BuildsRunning => "BuildsRunning",
            Self::BuildsQueued => "BuildsQueued",
            Self::MessagesNotUnderstood => "MessagesNotUnderstood",
            Self::MessagesRefused => "MessagesRefused",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::BuildSeconds | Self::PhaseSeconds(_) => "Seconds",
            _ => "Count",
        }
    }

    fn aggregation(self) -> Aggregation {
        match self {
            Self::BuildSeconds | Self::PhaseSeconds(_) => Aggregation::Each,
            Self::HostsReady | Self::BuildsRunning | Self::BuildsQueued => Aggregation::Last,
            _ => Aggregation::Sum,
        }
    }

    fn phase(self) -> Option<PhaseName> {
        match self {
            Self::PhaseSeconds(phase) => Some(phase),
            _ => None,
        }
    }
}

/// The values of one invocation.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Vec<(Metric, f64)>>);

impl Metrics {
    /// Adds one.
    pub fn count(&self, metric: Metric) {
        self.add(metric, 1.0);
    }

    /// Adds a value.
    pub fn add(&self, metric: Metric, value: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((metric, value));
    }

    /// Adds a duration, in seconds.
    pub fn time(&self, metric: Metric, length: Millis) {
        self.add(metric, u32::try_from(length.0).map_or(f64::from(u32::MAX), f64::from) / 1000.0);
    }

    /// Takes the values that were added since the last call.
    pub fn take(&self) -> Vec<(Metric, f64)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// CloudWatch's limit of values of one metric in a line.
const MAX_VALUES: usize = 100;

/// Returns the lines for these values: one for the stack, and one for each phase.
pub fn lines(stack: &str, at: Timestamp, values: &[(Metric, f64)]) -> Vec<String> {
    let mut by_phase: BTreeMap<Option<PhaseName>, BTreeMap<Metric, Vec<f64>>> = BTreeMap::new();
    for (metric, value) in values {
        let kept = by_phase.entry(metric.phase()).or_default().entry(*metric).or_default();
        let full = kept.len() == MAX_VALUES;
        match (metric.aggregation(), kept.last_mut()) {
            (Aggregation::Sum, Some(sum)) => *sum += value,
            (Aggregation::Last, Some(last)) => *last = *value,
            (Aggregation::Each, _) if full => {}
            _ => kept.push(*value),
        }
    }
    by_phase.into_iter().map(|(phase, metrics)| line(stack, at, phase, &metrics)).collect()
}

fn line(stack: &str, at: Timestamp, phase: Option<PhaseName>, metrics: &BTreeMap<Metric, Vec<f64>>) -> String {
    let mut dimensions = vec!["stack"];
    let mut members = Map::new();
    members.insert("stack".into(), stack.into());
    if let Some(phase) = phase {
        dimensions.push("phase");
        members.insert("phase".into(), phase.as_str().into());
    }
    for (metric, values) in metrics {
        let value = if let [only] = values.as_slice() { Value::from(*only) } else { Value::from(values.clone()) };
        members.insert(metric.name().into(), value);
    }
    let names: Vec<_> = metrics.keys().map(|metric| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": names });
    members.insert("_aws".into(), json!({ "Timestamp": at.0, "CloudWatchMetrics": [directive] }));
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_in_cloudwatchs_format() {
        let values = [
            (Metric::BuildsSucceeded, 1.0),
            (Metric::BuildSeconds, 61.5),
            (Metric::BuildsSucceeded, 1.0),
            (Metric::BuildSeconds, 70.0),
            (Metric::HostsReady, 1.0),
            (Metric::HostsReady, 3.0),
            (Metric::PhaseSeconds(PhaseName::Provisioning), 30.0),
        ];
        let lines = lines("bakehouse", Timestamp(1_795_382_528_000), &values);
        assert_eq!(
            lines,
            [
                r#"{"BuildSeconds":[61.5,70.0],"BuildsSucceeded":2.0,"HostsReady":3.0,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"BuildsSucceeded","Unit":"Count"},{"Name":"BuildSeconds","Unit":"Seconds"},{"Name":"HostsReady","Unit":"Count"}],"Namespace":"Bakehouse"}],"Timestamp":1795382528000},"stack":"bakehouse"}"#,
                r#"{"PhaseSeconds":30.0,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack","phase"]],"Metrics":[{"Name":"PhaseSeconds","Unit":"Seconds"}],"Namespace":"Bakehouse"}],"Timestamp":1795382528000},"phase":"provisioning","stack":"bakehouse"}"#,
            ]
        );
    }

    #[test]
    fn no_values_make_no_line() {
        assert!(lines("bakehouse", Timestamp(0), &[]).is_empty());
    }

    #[test]
    fn values_are_taken_once() {
        let metrics = Metrics::default();
        metrics.count(Metric::MessagesRefused);
        metrics.time(Metric::BuildSeconds, Millis(1500));
        assert_eq!(metrics.take(), [(Metric::MessagesRefused, 1.0), (Metric::BuildSeconds, 1.5)]);
        assert!(metrics.take().is_empty());
    }
}
