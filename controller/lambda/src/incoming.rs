//! What a message in the inbox is: ours, a notification of EC2, EventBridge or SNS, or nothing that we know. Pure.
//!
//! Only our own messages have the member `bakehouse`; EventBridge's events have `detail-type`; SNS's notifications have
//! `Type` and carry one of these, or a notice of a release, in `Message`. One sample of each is in `events/`.

use bakehouse_protocol::{
    BuildId, Envelope, ImageId, InboxMessage, InstanceId, SnapshotId, Timestamp, VERSION, VolumeId,
};
use serde_json::Value;

/// SQS's own limit of a message.
pub const LARGEST: usize = 1024 * 1024;
/// A request names things; what is larger than this is something else.
pub const LARGEST_REQUEST: usize = 256 * 1024;

/// A message, told apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// One of ours.
    Ours(Box<InboxMessage>),
    /// EC2 says that one of these has changed.
    Hint {
        /// Ids of volumes, snapshots and images.
        resources: Vec<String>,
    },
    /// An instance is going down or has gone: if it is a host, what runs there is lost.
    HostLost {
        /// Which.
        instance: InstanceId,
        /// EC2's word for its state.
        state: String,
        /// Since when, to the second; `None` if it does not say.
        at: Option<Timestamp>,
    },
    /// An instance is about to go: if it is a host, it gets no more builds.
    HostWarned {
        /// Which.
        instance: InstanceId,
        /// Who says so.
        why: String,
    },
    /// There may be new base images.
    Release {
        /// Who says so.
        from: String,
    },
    /// A parameter has a new value; it may name a source image.
    Parameter {
        /// Which.
        name: String,
    },
    /// A schedule without an input of its own. One that is called as a recipe builds it.
    Scheduled {
        /// The schedule's or rule's name.
        name: String,
        /// The event's own id: the same however often it is delivered.
        event: String,
        /// The event's own time.
        at: Option<Timestamp>,
    },
    /// Understood, and nothing follows.
    Aside {
        /// What it is.
        what: String,
    },
    /// A request that can't be carried out, for a build that it names: so it can be said there.
    Refused {
        /// Which build was to come of it.
        build: BuildId,
        /// Why none can.
        why: String,
    },
    /// It can't be understood, now or later.
    NotUnderstood(
        /// Why.
        String,
    ),
}

/// Tells what a message is.
pub fn read(body: &str) -> Incoming {
    if body.len() > LARGEST {
        return not(format!("it is {} bytes long, more than the {LARGEST} that a message may have", body.len()));
    }
    let value = match serde_json::from_str::<Value>(body) {
        Ok(value) => value,
        Err(error) => return not(format!("it is not JSON: {error}")),
    };
    match value_of(&value) {
        Incoming::Ours(message) if matches!(*message, InboxMessage::Request(_)) && body.len() > LARGEST_REQUEST => {
            let why =
                format!("it is a request of {} bytes, more than the {LARGEST_REQUEST} that one may have", body.len());
            of_build(&value, why)
        }
        Incoming::NotUnderstood(why) if text(&value, "/kind") == Some("request") => of_build(&value, why),
        incoming => incoming,
    }
}

/// A request that is refused: on the build that it names, if it names one.
fn of_build(request: &Value, why: String) -> Incoming {
    match text(request, "/build").and_then(|id| BuildId::new(id).ok()) {
        Some(build) => Incoming::Refused { build, why },
        None => Incoming::NotUnderstood(why),
    }
}

fn not(why: impl Into<String>) -> Incoming {
    Incoming::NotUnderstood(why.into())
}

fn value_of(value: &Value) -> Incoming {
    let Some(members) = value.as_object() else { return not("it is JSON, but no object") };
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
            not(format!("it is the {kind} of {topic}, which only a person should confirm: open its SubscribeURL"))
        }
        _ if is_release(value) => Incoming::Release { from: "a release notice".into() },
        _ => not("it has neither `bakehouse`, `detail-type` nor SNS's `Type`"),
    }
}

fn ours(value: &Value, version: &Value) -> Incoming {
    if version.as_u64() != Some(VERSION.into()) {
        return not(format!(
            "it is of version {}; this controller knows version {VERSION}",
            short(&version.to_string())
        ));
    }
    let kind = text(value, "/kind").unwrap_or("none");
    match serde_json::from_value::<Envelope<InboxMessage>>(value.clone()) {
        Ok(envelope) => Incoming::Ours(Box::new(envelope.message)),
        Err(error) => not(format!("it is of kind {}, but: {}", short(kind), short(&error.to_string()))),
    }
}

/// SNS: what it carries is looked at again.
fn notification(value: &Value) -> Incoming {
    let topic = text(value, "/TopicArn").unwrap_or("");
    let inner = text(value, "/Message").and_then(|message| serde_json::from_str::<Value>(message).ok());
    if let Some(inner) = &inner {
        let has = |member: &str| inner.get(member).is_some();
        // No notification in a notification: nobody sends one, and it could be nested without end.
        if has("bakehouse") || has("detail-type") {
            return value_of(inner);
        }
    }
    let name = topic.rsplit(':').next().unwrap_or("");
    if TOPICS.contains(&name) || inner.as_ref().is_some_and(is_release) {
        return Incoming::Release { from: short(topic) };
    }
    not(format!("it is a notification of {}, but carries neither one of our messages nor a release", short(topic)))
}

/// The topics on which Amazon tells of new images, by their last part. The text of what they send is documented for
/// some only, and it names one image of many: it only triggers a look at the recipes' own sources.
const TOPICS: &[&str] = &[
    "amazon-linux-ami-updates",
    "amazon-linux-2-ami-updates",
    "amazon-linux-2023-ami-updates",
    "ecs-optimized-amazon-ami-update",
    "ec2-windows-ami-update",
];

/// The notices whose form is known: Amazon Linux 2's and ECS's.
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
    let aside = || Incoming::Aside { what: short(kind) };
    match kind {
        "EBS Volume Notification"
        | "EBS Snapshot Notification"
        | "EBS Multi-Volume Snapshots Completion Status"
        | "EC2 AMI State Change" => hint(value, &detail, kind),
        "EC2 Instance State-change Notification" => {
            instance(&detail, "/instance-id", kind, |instance| match text(&detail, "/state").unwrap_or("") {
                state @ ("stopping" | "stopped" | "shutting-down" | "terminated") => {
                    Incoming::HostLost { instance, state: state.into(), at: time(value) }
                }
                _ => aside(),
            })
        }
        "EC2 Instance Terminate Successful" => instance(&detail, "/EC2InstanceId", kind, |instance| {
            Incoming::HostLost { instance, state: "terminated".into(), at: time(value) }
        }),
        "EC2 Spot Instance Interruption Warning" => {
            instance(&detail, "/instance-id", kind, |instance| Incoming::HostWarned { instance, why: short(kind) })
        }
        "EC2 Instance-terminate Lifecycle Action" => {
            instance(&detail, "/EC2InstanceId", kind, |instance| Incoming::HostWarned { instance, why: short(kind) })
        }
        "EC2 Instance Rebalance Recommendation"
        | "EC2 Instance-launch Lifecycle Action"
        | "EC2 Instance Launch Successful"
        | "EC2 Instance Launch Unsuccessful"
        | "EC2 Instance Terminate Unsuccessful" => aside(),
        "Parameter Store Change" => match (text(&detail, "/name"), text(&detail, "/operation")) {
            (Some(_), Some("Delete")) => aside(),
            (Some(name), _) => Incoming::Parameter { name: short(name) },
            (None, _) => not("it is a Parameter Store Change that names no parameter"),
        },
        "Scheduled Event" => {
            let name = value.pointer("/resources/0").and_then(Value::as_str).map_or("", last_part);
            let event = text(value, "/id").unwrap_or("");
            Incoming::Scheduled { name: short(name), event: short(event), at: time(value) }
        }
        _ => not(format!("it is an event of the type \"{}\", from which nothing follows here", short(kind))),
    }
}

/// The ids that a notification speaks of. In snapshots' events they are ARNs with the region in the account's place.
fn hint(value: &Value, detail: &Value, kind: &str) -> Incoming {
    let listed = value.get("resources").and_then(Value::as_array).into_iter().flatten();
    let several = detail.get("snapshots").and_then(Value::as_array).into_iter().flatten();
    let several = several.flat_map(|each| [each.get("snapshot_id"), each.get("source")]).flatten();
    // `source` of a copy is the snapshot that it is a copy of.
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
        not(format!("it is an {kind} that names no resource"))
    } else {
        Incoming::Hint { resources }
    }
}

fn is_resource(id: &str) -> bool {
    VolumeId::new(id).is_ok() || SnapshotId::new(id).is_ok() || ImageId::new(id).is_ok()
}

fn instance(detail: &Value, at: &str, kind: &str, then: impl FnOnce(InstanceId) -> Incoming) -> Incoming {
    match text(detail, at).and_then(|id| InstanceId::new(id).ok()) {
        Some(instance) => then(instance),
        None => not(format!("it is an {kind} that names no instance")),
    }
}

/// An event's own time.
fn time(value: &Value) -> Option<Timestamp> {
    text(value, "/time").and_then(moment)
}

/// A time as AWS writes it.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok().map(Timestamp)
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn text<'a>(value: &'a Value, at: &str) -> Option<&'a str> {
    value.pointer(at).and_then(Value::as_str)
}

/// The start of a text of unknown length, for logs.
pub fn short(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn why(body: &str) -> String {
        match read(body) {
            Incoming::NotUnderstood(why) => why,
            other => panic!("understood as {other:?}"),
        }
    }

    #[test]
    fn a_version_that_is_not_known_is_not_guessed_at() {
        assert_eq!(why(r#"{"bakehouse":2,"kind":"patrol"}"#), "it is of version 2; this controller knows version 1");
        assert_eq!(read(r#"{"bakehouse":1,"kind":"patrol"}"#), Incoming::Ours(Box::new(InboxMessage::Patrol)));
        assert!(why(r#"{"bakehouse":1,"kind":"dance"}"#).starts_with("it is of kind dance, but: unknown variant"));
    }

    #[test]
    fn what_is_too_long_is_refused_by_its_length() {
        let long = format!(r#"{{"bakehouse":1,"kind":"request","recipe":"{}"}}"#, "a".repeat(LARGEST_REQUEST));
        assert!(why(&long).contains("more than the 262144 that one may have"), "{}", why(&long));
        assert!(why(&" ".repeat(LARGEST + 1)).contains("more than the 1048576"));
    }

    #[test]
    fn a_request_that_is_refused_is_refused_on_the_build_that_it_names() {
        let refused = |body: &str| match read(body) {
            Incoming::Refused { build, why } => (build.to_string(), why),
            other => panic!("read as {other:?}"),
        };
        let long = "a".repeat(LARGEST_REQUEST);
        let (build, why) = refused(&format!(r#"{{"bakehouse":1,"kind":"request","build":"b-1","recipe":"{long}"}}"#));
        assert!(build == "b-1" && why.contains("more than the 262144"), "{why}");
        let (build, why) = refused(r#"{"bakehouse":1,"kind":"request","build":"b-2","recipe":"web","hurry":true}"#);
        assert!(build == "b-2" && why.contains("hurry"), "{why}");
        let (_, why) = refused(r#"{"bakehouse":2,"kind":"request","build":"b-3","recipe":"web"}"#);
        assert!(why.contains("version 2"), "{why}");
    }

    #[test]
    fn ids_that_no_build_could_have_are_refused_with_the_place() {
        let why = why(r#"{"bakehouse":1,"kind":"tick","build":"b-../../etc"}"#);
        assert_eq!(why, "it is of kind tick, but: \"b-../../etc\" is not a build id (b-…)");
    }

    #[test]
    fn one_of_ours_may_come_through_sns_or_eventbridge() {
        let tick = r#"{"bakehouse":1,"kind":"tick","build":"b-1"}"#;
        let expected = Incoming::Ours(Box::new(InboxMessage::Tick { build: BuildId::new("b-1").expect("an id") }));
        let sns = serde_json::json!({"Type":"Notification","TopicArn":"arn:aws:sns:us-east-1:1:mine","Message":tick});
        assert_eq!(read(&sns.to_string()), expected);
        let bus = format!(r#"{{"detail-type":"mine","source":"me","detail":{tick}}}"#);
        assert_eq!(read(&bus), expected);
    }

    #[test]
    fn a_notification_in_a_notification_leads_nowhere() {
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
            read(&body);
        }

        #[test]
        fn no_json_panics(value in json()) {
            read(&value.to_string());
        }
    }
}
