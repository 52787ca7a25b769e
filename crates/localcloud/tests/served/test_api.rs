//! The test API: the journal, faults, and notifications.

use bakehouse_localcloud::Delays;
use bakehouse_localcloud::http::{Effect, Fault};
use bakehouse_protocol::Millis;

use crate::client::Fixture;

const CREATE: &str = "AvailabilityZone=us-east-1a&Size=1";

#[test]
fn the_journal_has_each_call() {
    let fixture = Fixture::new();
    fixture.call("CreateVolume", CREATE).ok();
    fixture.call("DeleteVolume", "VolumeId=vol-0123456789abcdef0");
    fixture.http("POST", "/", "", "Action=DescribeRegions");
    let calls = fixture.server.calls();
    let results: Vec<_> =
        calls.iter().map(|it| (it.action.as_str(), it.code.as_deref(), it.status, it.performed)).collect();
    assert_eq!(
        results,
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
    let listed = fixture.http("GET", "/_bakehouse/calls", "", "").unwrap().ok().body;
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!((listed.len(), &listed[1]["code"]), (3, &"InvalidVolume.NotFound".into()));
    fixture.http("DELETE", "/_bakehouse/calls", "", "").unwrap().ok();
    assert_eq!(fixture.server.calls(), []);
}

#[test]
fn faults_affect_a_call_before_or_after_it_is_performed() {
    let fixture = Fixture::new();
    let volumes = || fixture.call("DescribeVolumes", "").ok().texts("volumeId").len();
    let faults = fixture.server.faults();

    faults.add(Fault::once("CreateVolume", Effect::Error("RequestLimitExceeded".to_owned())));
    let answer = fixture.call("CreateVolume", CREATE);
    assert_eq!(answer.refused(), (503, "RequestLimitExceeded", "Request limit exceeded."));
    assert_eq!(volumes(), 0);

    faults.add(Fault::once("CreateVolume", Effect::Drop));
    assert!(fixture.try_call("us-east-1", "CreateVolume", CREATE).is_none());
    assert_eq!(volumes(), 0);

    faults.add(Fault::once("CreateVolume", Effect::DropAfter));
    assert!(fixture.try_call("us-east-1", "CreateVolume", CREATE).is_none());
    assert_eq!(volumes(), 1);

    faults.add(Fault::once("CreateVolume", Effect::ErrorAfter("InternalError".to_owned())));
    assert_eq!(fixture.call("CreateVolume", CREATE).refused().0, 500);
    assert_eq!(volumes(), 2);

    fixture.call("CreateVolume", CREATE).ok();
    assert_eq!(volumes(), 3);
    let results: Vec<_> = fixture.server.calls().into_iter().filter(|it| it.action == "CreateVolume").collect();
    let results: Vec<_> = results.iter().map(|it| (it.status, it.performed, it.fault)).collect();
    let wanted = [(Some(503), false), (None, false), (None, true), (Some(500), true), (Some(200), true)];
    assert_eq!(results, wanted.map(|(status, performed)| (status, performed, status != Some(200))));
}

#[test]
fn faults_can_be_set_over_http() {
    let fixture = Fixture::new();
    let rule = r#"{"action":"DeleteVolume","effect":{"error":"UnauthorizedOperation"}}"#;
    fixture.http("POST", "/_bakehouse/faults", "", rule).unwrap().ok();
    assert_eq!(fixture.call("DeleteVolume", "VolumeId=vol-00000001").refused().0, 403);
    assert_eq!(fixture.http("POST", "/_bakehouse/faults", "", "{}").unwrap().status, 400);
    fixture.http("DELETE", "/_bakehouse/faults", "", "").unwrap().ok();
    assert_eq!(fixture.call("DeleteVolume", "VolumeId=vol-00000001").refused().1, "InvalidVolume.NotFound");
    assert_eq!(fixture.http("GET", "/_bakehouse/nothing", "", "").unwrap().status, 404);
}

#[test]
fn without_the_setting_there_is_no_test_api() {
    let fixture = Fixture::with_test_api(false);
    for path in ["calls", "events", "faults"] {
        let answer = fixture.http("GET", &format!("/_bakehouse/{path}"), "", "").unwrap();
        assert_eq!(answer.refused().1, "MissingAuthenticationToken");
    }
    fixture.server.faults().add(Fault::each("CreateVolume", Effect::Drop));
    fixture.call("CreateVolume", CREATE).ok();
    assert_eq!(fixture.server.calls(), []);
}

#[test]
fn the_end_of_a_transition_is_notified_as_by_eventbridge() {
    let fixture = Fixture::new();
    fixture.cloud.with(|model, _| {
        model.set_delays(Delays {
            create_volume: Millis::seconds(3),
            create_snapshot: Millis::minutes(3),
            register_image: Millis::seconds(30),
            ..Delays::default()
        });
    });
    let mut notifications = fixture.server.notifications();
    let volume = fixture.call("CreateVolume", CREATE).ok().text("volumeId").to_owned();
    assert!(notifications.try_recv().is_err(), "the volume is still being created");
    fixture.cloud.pass(Millis::seconds(3));
    let next = |notifications: &mut tokio::sync::broadcast::Receiver<_>| -> String {
        let next: bakehouse_localcloud::http::Notification = notifications.blocking_recv().unwrap();
        serde_json::to_string_pretty(&next.to_json()).unwrap()
    };
    insta::assert_snapshot!("event_volume", next(&mut notifications));

    let snapshot = fixture.call("CreateSnapshot", &format!("VolumeId={volume}")).ok().text("snapshotId").to_owned();
    fixture.cloud.pass(Millis::minutes(3));
    insta::assert_snapshot!("event_snapshot", next(&mut notifications));

    let register = format!(
        "Name=web&VirtualizationType=hvm&Architecture=x86_64&BlockDeviceMapping.1.DeviceName=/dev/sda1&\
         BlockDeviceMapping.1.Ebs.SnapshotId={snapshot}"
    );
    let image = fixture.call("RegisterImage", &register).ok().text("imageId").to_owned();
    fixture.cloud.pass(Millis::seconds(30));
    insta::assert_snapshot!("event_image", next(&mut notifications));

    fixture.call("DeregisterImage", &format!("ImageId={image}")).ok();
    assert!(next(&mut notifications).contains("\"State\": \"deregistered\""));
    fixture.call("DeleteVolume", &format!("VolumeId={volume}")).ok();
    assert!(next(&mut notifications).contains("\"event\": \"deleteVolume\""));
    let kept = fixture.http("GET", "/_bakehouse/events", "", "").unwrap().ok().body;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&kept).unwrap().len(), 5);
}
