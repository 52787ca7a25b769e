//! Metrics, as CloudWatch's embedded metric format has them: lines of JSON in the log, from which CloudWatch makes
//! metrics without a call. Pure, but for the collecting.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bakehouse_machine::build::PhaseName;
use bakehouse_protocol::{Millis, Timestamp};
use serde_json::{Map, Value, json};

/// The namespace of all of them.
pub const NAMESPACE: &str = "Bakehouse";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Builds that ended with every image asked for.
    BuildsSucceeded,
    /// Builds that ended without.
    BuildsFailed,
    /// Builds that were ended by somebody.
    BuildsCancelled,
    /// From a build's acceptance to its end.
    BuildSeconds,
    /// How long a build was in a phase.
    PhaseSeconds(PhaseName),
    /// Hosts to which a build may be given.
    HostsReady,
    /// Builds that are on their way.
    BuildsRunning,
    /// Builds that wait for a host.
    BuildsQueued,
    /// Messages that are no message to us.
    MessagesNotUnderstood,
    /// Requests, and words on builds, that were understood and refused.
    MessagesRefused,
}

/// How the values of one invocation become one.
enum Kind {
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

    fn kind(self) -> Kind {
        match self {
            Self::BuildSeconds | Self::PhaseSeconds(_) => Kind::Each,
            Self::HostsReady | Self::BuildsRunning | Self::BuildsQueued => Kind::Last,
            _ => Kind::Sum,
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
    /// One more of something.
    pub fn count(&self, metric: Metric) {
        self.add(metric, 1.0);
    }

    /// A value.
    pub fn add(&self, metric: Metric, value: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((metric, value));
    }

    /// A length of time.
    pub fn time(&self, metric: Metric, length: Millis) {
        self.add(metric, u32::try_from(length.0).map_or(f64::from(u32::MAX), f64::from) / 1000.0);
    }

    /// What has been measured since it was last asked.
    pub fn take(&self) -> Vec<(Metric, f64)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// More values of one metric than this are not read from one line.
const MOST: usize = 100;

/// The lines that say so.
pub fn lines(stack: &str, at: Timestamp, values: &[(Metric, f64)]) -> Vec<String> {
    let mut sorted: BTreeMap<Option<PhaseName>, BTreeMap<Metric, Vec<f64>>> = BTreeMap::new();
    for (metric, value) in values {
        let of = sorted.entry(metric.phase()).or_default().entry(*metric).or_default();
        let full = of.len() == MOST;
        match (metric.kind(), of.last_mut()) {
            (Kind::Sum, Some(sum)) => *sum += value,
            (Kind::Last, Some(last)) => *last = *value,
            (Kind::Each, _) if full => {}
            _ => of.push(*value),
        }
    }
    sorted.into_iter().map(|(phase, metrics)| line(stack, at, phase, &metrics)).collect()
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
    fn nothing_measured_is_no_line() {
        assert!(lines("bakehouse", Timestamp(0), &[]).is_empty());
    }

    #[test]
    fn values_are_given_once() {
        let metrics = Metrics::default();
        metrics.count(Metric::MessagesRefused);
        metrics.time(Metric::BuildSeconds, Millis(1500));
        assert_eq!(metrics.take(), [(Metric::MessagesRefused, 1.0), (Metric::BuildSeconds, 1.5)]);
        assert!(metrics.take().is_empty());
    }
}
