//! Parses a message of the inbox: one of ours, a notification of EC2, EventBridge or SNS, or invalid. Pure.
//!
//! Only our own messages have the member `bakehouse`; EventBridge's events have `detail-type`; SNS's notifications have
//! `Type` and carry one of these, or a notice of a release, in `Message`. One sample of each is in `events/`.

use bakehouse_protocol::{
    BuildId, Envelope, ImageId, InboxMessage, InstanceId, SnapshotId, Timestamp, VERSION, VolumeId,
};
use serde_json::Value;

/// SQS's limit of a message.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// The limit of a request, which only names things.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// A parsed message.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// One of ours.
    Message(Box<InboxMessage>),
    /// A notification that these resources have changed.
    ResourcesChanged {
        /// Ids of volumes, snapshots and images.
        resources: Vec<String>,
    },
    /// An instance stops or has stopped: if it is a host, its builds are lost.
    HostLost {
        /// The instance.
        instance: InstanceId,
        /// EC2's name of its state.
        state: String,
        /// Since when, to the second, if the notification says so.
        at: Option<Timestamp>,
    },
    /// An instance is about to be terminated: if it is a host, it is drained.
    HostDraining {
        /// The instance.
        instance: InstanceId,
        /// The type of the notification.
        why: String,
    },
    /// There may be new base images.
    Release {
        /// The source of the notice.
        from: String,
    },
    /// A parameter has a new value; it may name a source image.
    ParameterChanged {
        /// The parameter.
        name: String,
    },
    /// A schedule without an input. If a recipe has its name, the recipe is built.
    Scheduled {
        /// The schedule's or rule's name.
        name: String,
        /// The event's id: the same at each delivery.
        event: String,
        /// The event's time.
        at: Option<Timestamp>,
    },
    /// A valid message without any effect.
    Ignored {
        /// Its type.
        what: String,
    },
    /// An invalid request that names its build, so that the reason can be recorded there.
    RejectedRequest {
        /// The build.
        build: BuildId,
        /// Why it is invalid.
        why: String,
    },
    /// An invalid message.
    Invalid(
        /// Why.
        String,
    ),
}

/// Parses the body of a message.
pub fn parse(body: &str) -> Incoming {
    if body.len() > MAX_MESSAGE_BYTES {
        return invalid(format!(
            "it is {} bytes long, more than the {MAX_MESSAGE_BYTES} that a message may have",
            body.len()
        ));
    }
    let value = match serde_json::from_str::<Value>(body) {
        Ok(value) => value,
        Err(error) => return invalid(format!("it is not JSON: {error}")),
    };
    match parse_value(&value) {
        Incoming::Message(message)
            if matches!(*message, InboxMessage::Request(_)) && body.len() > MAX_REQUEST_BYTES =>
        {
            let why =
                format!("it is a request of {} bytes, more than the {MAX_REQUEST_BYTES} that one may have", body.len());
            reject_request(&value, why)
        }
        Incoming::Invalid(why) if text(&value, "/kind") == Some("request") => reject_request(&value, why),
        incoming => incoming,
    }
}

/// Returns the rejection of a request, for the build that it names, if it names one.
fn reject_request(request: &Value, why: String) -> Incoming {
    match text(request, "/build").and_then(|id| BuildId::new(id).ok()) {
        Some(build) => Incoming::RejectedRequest { build, why },
        None => Incoming::Invalid(why),
    }
}

fn invalid(why: impl Into<String>) -> Incoming {
    Incoming::Invalid(why.into())
}

fn parse_value(value: &Value) -> Incoming {
    let Some(members) = value.as_object() else { return invalid("it is JSON, but no object") };
    if let Some(version) = members.get("bakehouse") {
        return ours(value, version);
    }
    if let Some(kind) = text(value, "/detail-type") {
        return event(value, kind);
    }
    match text(value, "/Type") {
        Some("Notification") => notification(value),
        Some(kind @ ("SubscriptionConfirmation" | "UnsubscribeConfirmation")) => {
            let topic = text(value, "/TopicArn").unwrap_or("a topic");
            invalid(format!("it is the {kind} of {topic}, which only a person should confirm: open its SubscribeURL"))
        }
        _ if is_release(value) => Incoming::Release { from: "a release notice".into() },
        _ => invalid("it has neither `bakehouse`, `detail-type` nor SNS's `Type`"),
    }
}

fn ours(value: &Value, version: &Value) -> Incoming {
    if version.as_u64() != Some(VERSION.into()) {
        return invalid(format!(
            "it is of version {}; this controller knows version {VERSION}",
            excerpt(&version.to_string())
        ));
    }
    let kind = text(value, "/kind").unwrap_or("none");
    match serde_json::from_value::<Envelope<InboxMessage>>(value.clone()) {
        Ok(envelope) => Incoming::Message(Box::new(envelope.message)),
        Err(error) => invalid(format!("it is of kind {}, but: {}", excerpt(kind), excerpt(&error.to_string()))),
    }
}

/// Parses a notification of SNS by the message that it carries.
fn notification(value: &Value) -> Incoming {
    let topic = text(value, "/TopicArn").unwrap_or("");
    let inner = text(value, "/Message").and_then(|message| serde_json::from_str::<Value>(message).ok());
    if let Some(inner) = &inner {
        let has = |member: &str| inner.get(member).is_some();
        // A notification in a notification is invalid, as nobody sends one and it could be nested without end.
        if has("bakehouse") || has("detail-type") {
            return parse_value(inner);
        }
    }
    let name = topic.rsplit(':').next().unwrap_or("");
    if RELEASE_TOPICS.contains(&name) || inner.as_ref().is_some_and(is_release) {
        return Incoming::Release { from: excerpt(topic) };
    }
    invalid(format!(
        "it is a notification of {}, but carries neither one of our messages nor a release",
        excerpt(topic)
    ))
}

/// The topics on which Amazon announces new images, by their last part. The format of the notices is documented for
/// some only, and each names one image of many: they only trigger a look-up of the recipes' own sources.
const RELEASE_TOPICS: &[&str] = &[
    "amazon-linux-ami-updates",
    "amazon-linux-2-ami-updates",
    "amazon-linux-2023-ami-updates",
    "ecs-optimized-amazon-ami-update",
    "ec2-windows-ami-update",
];

/// Whether this is a release notice of a known format: Amazon Linux 2's or ECS's.
fn is_release(value: &Value) -> bool {
    let linux = value.pointer("/v1/ReleaseVersion").is_some() || value.pointer("/v1/Regions").is_some();
    linux || value.get("ECSAmis").is_some()
}

fn event(value: &Value, kind: &str) -> Incoming {
    // EventBridge Scheduler sends `detail` as a string.
    let detail = match value.get("detail") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
        Some(detail) => detail.clone(),
        None => Value::Null,
    };
    if let Some(version) = detail.get("bakehouse") {
        return ours(&detail, version);
    }
    let ignored = || Incoming::Ignored { what: excerpt(kind) };
    match kind {
        "EBS Volume Notification"
        | "EBS Snapshot Notification"
        | "EBS Multi-Volume Snapshots Completion Status"
        | "EC2 AMI State Change" => changed_resources(value, &detail, kind),
        "EC2 Instance State-change Notification" => {
            instance(&detail, "/instance-id", kind, |instance| match text(&detail, "/state").unwrap_or("") {
                state @ ("stopping" | "stopped" | "shutting-down" | "terminated") => {
                    Incoming::HostLost { instance, state: state.into(), at: time(value) }
                }
                _ => ignored(),
            })
        }
        "EC2 Instance Terminate Successful" => instance(&detail, "/EC2InstanceId", kind, |instance| {
            Incoming::HostLost { instance, state: "terminated".into(), at: time(value) }
        }),
        "EC2 Spot Instance Interruption Warning" => {
            instance(&detail, "/instance-id", kind, |instance| Incoming::HostDraining { instance, why: excerpt(kind) })
        }
        "EC2 Instance-terminate Lifecycle Action" => instance(&detail, "/EC2InstanceId", kind, |instance| {
            Incoming::HostDraining { instance, why: excerpt(kind) }
        }),
        "EC2 Instance Rebalance Recommendation"
        | "EC2 Instance-launch Lifecycle Action"
        | "EC2 Instance Launch Successful"
        | "EC2 Instance Launch Unsuccessful"
        | "EC2 Instance Terminate Unsuccessful" => ignored(),
        "Parameter Store Change" => match (text(&detail, "/name"), text(&detail, "/operation")) {
            (Some(_), Some("Delete")) => ignored(),
            (Some(name), _) => Incoming::ParameterChanged { name: excerpt(name) },
            (None, _) => invalid("it is a Parameter Store Change that names no parameter"),
        },
        "Scheduled Event" => {
            let name = value.pointer("/resources/0").and_then(Value::as_str).map_or("", last_part);
            let event = text(value, "/id").unwrap_or("");
            Incoming::Scheduled { name: excerpt(name), event: excerpt(event), at: time(value) }
        }
        _ => invalid(format!("it is an event of the type \"{}\", which is not handled", excerpt(kind))),
    }
}

/// Returns the ids that a notification names. In snapshots' events they are ARNs with the region in the account's
/// place.
fn changed_resources(value: &Value, detail: &Value, kind: &str) -> Incoming {
    let listed = value.get("resources").and_then(Value::as_array).into_iter().flatten();
    let several = detail.get("snapshots").and_then(Value::as_array).into_iter().flatten();
    let several = several.flat_map(|each| [each.get("snapshot_id"), each.get("source")]).flatten();
    // For a copy, `source` is the snapshot that was copied.
    let named = ["snapshot_id", "source", "ImageId"].into_iter().filter_map(|member| detail.get(member));
    let mut resources: Vec<String> = listed
        .chain(named)
        .chain(several)
        .filter_map(Value::as_str)
        .map(last_part)
        .filter(|id| is_resource(id))
        .map(str::to_owned)
        .collect();
    resources.sort();
    resources.dedup();
    if resources.is_empty() {
        invalid(format!("it is an {kind} that names no resource"))
    } else {
        Incoming::ResourcesChanged { resources }
    }
}

fn is_resource(id: &str) -> bool {
    VolumeId::new(id).is_ok() || SnapshotId::new(id).is_ok() || ImageId::new(id).is_ok()
}

fn instance(detail: &Value, at: &str, kind: &str, then: impl FnOnce(InstanceId) -> Incoming) -> Incoming {
    match text(detail, at).and_then(|id| InstanceId::new(id).ok()) {
        Some(instance) => then(instance),
        None => invalid(format!("it is an {kind} that names no instance")),
    }
}

/// Returns an event's time.
fn time(value: &Value) -> Option<Timestamp> {
    text(value, "/time").and_then(parse_time)
}

/// Parses a time as AWS writes it.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok().map(Timestamp)
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn text<'a>(value: &'a Value, at: &str) -> Option<&'a str> {
    value.pointer(at).and_then(Value::as_str)
}

/// Returns the start of a text of unknown length, for logs.
pub fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    match text.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn why(body: &str) -> String {
        match parse(body) {
            Incoming::Invalid(why) => why,
            other => panic!("understood as {other:?}"),
        }
    }

    #[test]
    fn an_unknown_version_is_invalid() {
        assert_eq!(why(r#"{"bakehouse":2,"kind":"patrol"}"#), "it is of version 2; this controller knows version 1");
        assert_eq!(parse(r#"{"bakehouse":1,"kind":"patrol"}"#), Incoming::Message(Box::new(InboxMessage::Patrol)));
        assert!(why(r#"{"bakehouse":1,"kind":"dance"}"#).starts_with("it is of kind dance, but: unknown variant"));
    }

    #[test]
    fn a_message_that_is_too_long_is_invalid() {
        let long = format!(r#"{{"bakehouse":1,"kind":"request","recipe":"{}"}}"#, "a".repeat(MAX_REQUEST_BYTES));
        assert!(why(&long).contains("more than the 262144 that one may have"), "{}", why(&long));
        assert!(why(&" ".repeat(MAX_MESSAGE_BYTES + 1)).contains("more than the 1048576"));
    }

    #[test]
    fn an_invalid_request_is_rejected_on_the_build_that_it_names() {
        let refused = |body: &str| match parse(body) {
            Incoming::RejectedRequest { build, why } => (build.to_string(), why),
            other => panic!("read as {other:?}"),
        };
        let long = "a".repeat(MAX_REQUEST_BYTES);
        let (build, why) = refused(&format!(r#"{{"bakehouse":1,"kind":"request","build":"b-1","recipe":"{long}"}}"#));
        assert!(build == "b-1" && why.contains("more than the 262144"), "{why}");
        let (build, why) = refused(r#"{"bakehouse":1,"kind":"request","build":"b-2","recipe":"web","hurry":true}"#);
        assert!(build == "b-2" && why.contains("hurry"), "{why}");
        let (_, why) = refused(r#"{"bakehouse":2,"kind":"request","build":"b-3","recipe":"web"}"#);
        assert!(why.contains("version 2"), "{why}");
    }

    #[test]
    fn an_invalid_build_id_is_reported() {
        let why = why(r#"{"bakehouse":1,"kind":"tick","build":"b-../../etc"}"#);
        assert_eq!(why, "it is of kind tick, but: \"b-../../etc\" is not a build id (b-…)");
    }

    #[test]
    fn a_message_may_come_through_sns_or_eventbridge() {
        let tick = r#"{"bakehouse":1,"kind":"tick","build":"b-1"}"#;
        let expected = Incoming::Message(Box::new(InboxMessage::Tick { build: BuildId::new("b-1").expect("an id") }));
        let sns = serde_json::json!({"Type":"Notification","TopicArn":"arn:aws:sns:us-east-1:1:mine","Message":tick});
        assert_eq!(parse(&sns.to_string()), expected);
        let bus = format!(r#"{{"detail-type":"mine","source":"me","detail":{tick}}}"#);
        assert_eq!(parse(&bus), expected);
    }

    #[test]
    fn a_notification_in_a_notification_is_invalid() {
        let mut body = r#"{"bakehouse":1,"kind":"patrol"}"#.to_owned();
        for _ in 0..3 {
            body = serde_json::json!({"Type":"Notification","TopicArn":"t","Message":body}).to_string();
        }
        assert!(why(&body).contains("neither one of our messages nor a release"));
    }

    fn json() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "bakehouse",
            "kind",
            "detail-type",
            "detail",
            "resources",
            "Type",
            "Message",
            "TopicArn",
            "build",
            "report",
            "host",
            "snapshot_id",
            "source",
            "state",
            "instance-id",
            "snapshots",
            "recipe",
            "v1",
            "id",
            "name",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0u64..3).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,30}".prop_map(Value::from),
            prop::sample::select(vec![
                "request",
                "report",
                "tick",
                "EBS Snapshot Notification",
                "Scheduled Event",
                "Notification",
                "{}",
                "EC2 Instance State-change Notification",
                "Parameter Store Change",
                "arn:aws:ec2::r:snapshot/snap-01234567",
                "{\"bakehouse\":1}",
                "b-1",
            ])
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_panics(body in "\\PC{0,200}") {
            parse(&body);
        }

        #[test]
        fn no_json_panics(value in json()) {
            parse(&value.to_string());
        }
    }
}
