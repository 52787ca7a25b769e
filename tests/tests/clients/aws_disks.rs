//! The AWS CLI of PyPI with `bakehouse local serve`: an image made by hand, of a disk that is written through its
//! device.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    aws_cli::Aws,
    common::{Fixture, base_disk, sh, wait::eventually},
    served::Served,
};

/// The name of EC2's `/dev/sdq` on this machine. No other test uses it.
const DEVICE: &str = "/dev/xvdq";

#[test]
fn root_the_aws_cli_makes_an_image_of_a_disk_that_it_wrote() {
    let test = "root_the_aws_cli_makes_an_image_of_a_disk_that_it_wrote";
    let Some(fixture) = Fixture::open(test) else { return };
    let Some(mut aws) = Aws::find(test) else { return };
    let served = Served::start(&fixture);
    aws.environment.clone_from(&served.environment);
    let raw = fixture.path().join("written.raw");
    base_disk(fixture.path(), &raw, |tree| fs::write(tree.join("etc/written"), "by hand\n").unwrap());

    let instance = aws.text("describe-instances", "/Reservations/0/Instances/0/InstanceId");
    let volume = aws.text("create-volume --availability-zone us-east-1a --size 1 --volume-type gp3", "/VolumeId");
    aws.ask(&format!("wait volume-available --volume-ids {volume}"));
    assert!(fs::symlink_metadata(DEVICE).is_err());
    aws.ask(&format!("attach-volume --volume-id {volume} --instance-id {instance} --device /dev/sdq"));
    aws.ask(&format!("wait volume-in-use --volume-ids {volume}"));
    let attached = || {
        let volumes = aws.ask("describe-volumes --filters Name=attachment.device,Values=/dev/sdq");
        volumes["Volumes"][0]["Attachments"][0]["State"].clone()
    };
    assert_eq!(eventually(attached, |state| state == "attached"), "attached");
    // It is a block device as large as was asked for, and takes what is written.
    assert_eq!(sh(&format!("blockdev --getsize64 {DEVICE}")).trim(), (1_u64 << 30).to_string());
    sh(&format!("dd if={} of={DEVICE} bs=1M conv=fsync status=none", raw.display()));

    aws.ask(&format!("detach-volume --volume-id {volume}"));
    aws.ask(&format!("wait volume-available --volume-ids {volume}"));
    assert!(!Path::new(DEVICE).exists(), "the device is gone with the attachment");
    let snapshot = aws.text(&format!("create-snapshot --volume-id {volume} --description by-hand"), "/SnapshotId");
    aws.ask(&format!("wait snapshot-completed --snapshot-ids {snapshot}"));
    aws.ask(&format!("delete-volume --volume-id {volume}"));
    let register = format!(
        "register-image --name by-hand --architecture x86_64 --virtualization-type hvm --ena-support \
         --root-device-name /dev/xvda --block-device-mappings DeviceName=/dev/xvda,Ebs={{SnapshotId={snapshot}}}"
    );
    let image = aws.text(&register, "/ImageId");
    aws.ask(&format!("wait image-available --image-ids {image}"));
    let found = aws.ask("describe-images --owners self --filters Name=name,Values=by-hand");
    let value = |at: &str| found.pointer(&format!("/Images/0/{at}")).cloned().unwrap_or_default();
    assert_eq!(value("ImageId"), image.as_str(), "{found}");
    assert_eq!(value("State"), "available");
    assert_eq!(
        value("BlockDeviceMappings/0/Ebs"),
        json!({ "DeleteOnTermination": true, "Encrypted": false,
        "SnapshotId": snapshot, "VolumeSize": 1, "VolumeType": "gp2" })
    );

    // The command sees it, and what was written is in it.
    let named = |fixture: &Fixture| fixture.images().iter().any(|it: &Value| it["name"] == "by-hand");
    assert!(named(&fixture), "{:?}", fixture.images());
    assert_eq!(fixture.look_into(&image).read("/etc/written"), "by hand\n");

    aws.ask(&format!("deregister-image --image-id {image}"));
    let gone = aws.ask("describe-images --owners self --filters Name=name,Values=by-hand");
    assert_eq!(gone["Images"], json!([]));
    aws.ask(&format!("delete-snapshot --snapshot-id {snapshot}"));
    let calls = served.calls();
    let refused: Vec<&Value> = calls.iter().filter(|call| !call["code"].is_null()).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(served.end(), "it ends well on SIGINT");
    fixture.nothing_left(0);
}
