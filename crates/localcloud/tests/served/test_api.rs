//! The test API: the journal, faults, and notifications.

use bakehouse_localcloud::Delays;
use bakehouse_localcloud::http::{Effect, Fault};
use bakehouse_protocol::Millis;

use crate::client::Place;

const CREATE: &str = "AvailabilityZone=us-east-1a&Size=1";

#[test]
fn the_journal_tells_each_call() {
    let place = Place::new();
    place.call("CreateVolume", CREATE).ok();
    place.call("DeleteVolume", "VolumeId=vol-0123456789abcdef0");
    place.http("POST", "/", "", "Action=DescribeRegions");
    let calls = place.server.calls();
    let told: Vec<_> =
        calls.iter().map(|it| (it.action.as_str(), it.code.as_deref(), it.status, it.performed)).collect();
    assert_eq!(
        told,
        [
            ("CreateVolume", None, Some(200), true),
            ("DeleteVolume", Some("InvalidVolume.NotFound"), Some(400), false),
            ("DescribeRegions", Some("MissingAuthenticationToken"), Some(403), false),
        ]
    );
    assert_eq!(calls[0].region.as_ref().unwrap().as_str(), "us-east-1");
    assert_eq!(calls[0].access_key_id.as_deref(), Some("AKID"));
    assert_eq!(calls[0].user_agent.as_deref(), Some("test"));
    assert_eq!(calls[0].parameters["Size"], "1");
    let listed = place.http("GET", "/_bakehouse/calls", "", "").unwrap().ok().body;
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!((listed.len(), &listed[1]["code"]), (3, &"InvalidVolume.NotFound".into()));
    place.http("DELETE", "/_bakehouse/calls", "", "").unwrap().ok();
    assert_eq!(place.server.calls(), []);
}

#[test]
fn faults_strike_before_or_after_the_call() {
    let place = Place::new();
    let volumes = || place.call("DescribeVolumes", "").ok().texts("volumeId").len();
    let faults = place.server.faults();

    faults.add(Fault::once("CreateVolume", Effect::Error("RequestLimitExceeded".to_owned())));
    let answer = place.call("CreateVolume", CREATE);
    assert_eq!(answer.refused(), (503, "RequestLimitExceeded", "Request limit exceeded."));
    assert_eq!(volumes(), 0);

    faults.add(Fault::once("CreateVolume", Effect::Drop));
    assert!(place.try_call("us-east-1", "CreateVolume", CREATE).is_none());
    assert_eq!(volumes(), 0);

    faults.add(Fault::once("CreateVolume", Effect::DropAfter));
    assert!(place.try_call("us-east-1", "CreateVolume", CREATE).is_none());
    assert_eq!(volumes(), 1);

    faults.add(Fault::once("CreateVolume", Effect::ErrorAfter("InternalError".to_owned())));
    assert_eq!(place.call("CreateVolume", CREATE).refused().0, 500);
    assert_eq!(volumes(), 2);

    place.call("CreateVolume", CREATE).ok();
    assert_eq!(volumes(), 3);
    let told: Vec<_> = place.server.calls().into_iter().filter(|it| it.action == "CreateVolume").collect();
    let told: Vec<_> = told.iter().map(|it| (it.status, it.performed, it.fault)).collect();
    let wanted = [(Some(503), false), (None, false), (None, true), (Some(500), true), (Some(200), true)];
    assert_eq!(told, wanted.map(|(status, performed)| (status, performed, status != Some(200))));
}

#[test]
fn faults_can_be_set_over_http() {
    let place = Place::new();
    let rule = r#"{"action":"DeleteVolume","effect":{"error":"UnauthorizedOperation"}}"#;
    place.http("POST", "/_bakehouse/faults", "", rule).unwrap().ok();
    assert_eq!(place.call("DeleteVolume", "VolumeId=vol-00000001").refused().0, 403);
    assert_eq!(place.http("POST", "/_bakehouse/faults", "", "{}").unwrap().status, 400);
    place.http("DELETE", "/_bakehouse/faults", "", "").unwrap().ok();
    assert_eq!(place.call("DeleteVolume", "VolumeId=vol-00000001").refused().1, "InvalidVolume.NotFound");
    assert_eq!(place.http("GET", "/_bakehouse/nothing", "", "").unwrap().status, 404);
}

#[test]
fn without_the_setting_there_is_no_test_api() {
    let place = Place::with_test_api(false);
    for path in ["calls", "events", "faults"] {
        let answer = place.http("GET", &format!("/_bakehouse/{path}"), "", "").unwrap();
        assert_eq!(answer.refused().1, "MissingAuthenticationToken");
    }
    place.server.faults().add(Fault::each("CreateVolume", Effect::Drop));
    place.call("CreateVolume", CREATE).ok();
    assert_eq!(place.server.calls(), []);
}

#[test]
fn what_calls_begin_is_notified_as_by_eventbridge() {
    let place = Place::new();
    place.cloud.with(|model, _| {
        model.set_delays(Delays {
            create_volume: Millis::seconds(3),
            create_snapshot: Millis::minutes(3),
            register_image: Millis::seconds(30),
            ..Delays::default()
        });
    });
    let mut told = place.server.notifications();
    let volume = place.call("CreateVolume", CREATE).ok().text("volumeId").to_owned();
    assert!(told.try_recv().is_err(), "it is still being made");
    place.cloud.pass(Millis::seconds(3));
    let next = |told: &mut tokio::sync::broadcast::Receiver<_>| -> String {
        let next: bakehouse_localcloud::http::Notification = told.blocking_recv().unwrap();
        serde_json::to_string_pretty(&next.to_json()).unwrap()
    };
    insta::assert_snapshot!("event_volume", next(&mut told));

    let snapshot = place.call("CreateSnapshot", &format!("VolumeId={volume}")).ok().text("snapshotId").to_owned();
    place.cloud.pass(Millis::minutes(3));
    insta::assert_snapshot!("event_snapshot", next(&mut told));

    let register = format!(
        "Name=web&VirtualizationType=hvm&Architecture=x86_64&BlockDeviceMapping.1.DeviceName=/dev/sda1&\
         BlockDeviceMapping.1.Ebs.SnapshotId={snapshot}"
    );
    let image = place.call("RegisterImage", &register).ok().text("imageId").to_owned();
    place.cloud.pass(Millis::seconds(30));
    insta::assert_snapshot!("event_image", next(&mut told));

    place.call("DeregisterImage", &format!("ImageId={image}")).ok();
    assert!(next(&mut told).contains("\"State\": \"deregistered\""));
    place.call("DeleteVolume", &format!("VolumeId={volume}")).ok();
    assert!(next(&mut told).contains("\"event\": \"deleteVolume\""));
    let kept = place.http("GET", "/_bakehouse/events", "", "").unwrap().ok().body;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&kept).unwrap().len(), 5);
}
