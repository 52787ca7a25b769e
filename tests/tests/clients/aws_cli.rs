//! The AWS CLI of PyPI with a cloud in virtual time: each understands the other.

use std::{collections::BTreeMap, ops::Deref, path::PathBuf, process::Command, sync::Arc};

use bakehouse_localcloud::http::{Effect, Fault, Server, Settings};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_protocol::{InstanceId, Region, Timestamp, Zone, spec::Architecture};
use bakehouse_tests::tools;
use serde_json::Value;
use tempfile::TempDir;

const INSTANCE: &str = "i-0000000000000000a";

/// The AWS CLI, with an empty home directory.
pub(crate) struct Aws {
    program: PathBuf,
    home: TempDir,
    /// The variables with EC2's endpoint.
    pub(crate) environment: BTreeMap<String, String>,
}

/// The CLI with a cloud in virtual time.
struct Shell {
    server: Server,
    aws: Aws,
}

impl Deref for Shell {
    type Target = Aws;

    fn deref(&self) -> &Aws {
        &self.aws
    }
}

impl Shell {
    /// `None`, and a line saying why, where there is no AWS CLI.
    fn open(test: &str) -> Option<Self> {
        let mut aws = Aws::find(test)?;
        let region = |name: &str| Region::new(name).unwrap();
        let now = Timestamp(1_767_225_600_000);
        let regions = ["us-east-1", "eu-west-1"].map(region);
        let mut model = Model::new("111122223333", regions, 7, Delays::default());
        let (id, zone) = (InstanceId::new(INSTANCE).unwrap(), Zone::new("us-east-1a").unwrap());
        model.add_instance(&region("us-east-1"), id, zone, Architecture::X86_64).unwrap();
        let base = Import::new("base", 2, Architecture::X86_64);
        model.import_image(now, &region("us-east-1"), &base).unwrap();
        let cloud = Arc::new(VirtualCloud::new(model, now));
        let clock = Arc::clone(&cloud);
        let account = "111122223333".to_owned();
        let settings = Settings { account, test_api: true, ..Settings::new(1, move || clock.now()) };
        let server = Server::start(cloud, settings).unwrap();
        let url = server.url();
        let environment = [
            ("AWS_ENDPOINT_URL_EC2", url.as_str()),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ];
        aws.environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Some(Self { server, aws })
    }

    fn count(&self, action: &str) -> usize {
        self.server.calls().iter().filter(|call| call.action == action).count()
    }
}

impl Aws {
    /// `None`, and a line saying why, where there is none.
    pub(crate) fn find(test: &str) -> Option<Self> {
        // What is found may be a stand-in for a program that is not there (as pyenv's are).
        let works =
            |program: &PathBuf| Command::new(program).arg("--version").output().is_ok_and(|it| it.status.success());
        let Some(program) = tools::find("aws").filter(works) else {
            println!("SKIP {test}: no aws (cargo xtask setup installs it)");
            return None;
        };
        Some(Self { program, home: tempfile::tempdir().unwrap(), environment: BTreeMap::new() })
    }

    /// Runs `aws ec2 ARGUMENTS`; returns whether it succeeded, its output and its errors.
    fn run(&self, words: &str) -> (bool, String, String) {
        let mut command = Command::new(&self.program);
        command
            .arg("ec2")
            .args(words.split_whitespace())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .envs(&self.environment)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }
    /// The output as JSON.
    #[track_caller]
    pub(crate) fn ask(&self, words: &str) -> Value {
        let (ok, said, complained) = self.run(words);
        assert!(ok, "aws ec2 {words}: {complained}");
        if said.is_empty() { Value::Null } else { serde_json::from_str(&said).unwrap() }
    }

    /// One string of the output.
    #[track_caller]
    pub(crate) fn text(&self, words: &str, pointer: &str) -> String {
        let answer = self.ask(words);
        answer.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} of {answer}")).to_owned()
    }

    /// The error message.
    #[track_caller]
    pub(crate) fn refused(&self, words: &str) -> String {
        let (ok, said, complained) = self.run(words);
        assert!(!ok, "aws ec2 {words}: {said}");
        complained.trim().to_owned()
    }
}

#[test]
fn the_aws_cli_makes_volumes_and_snapshots() {
    let Some(aws) = Shell::open("the_aws_cli_makes_volumes_and_snapshots") else { return };
    let images = aws.ask("describe-images --owners self --filters Name=name,Values=ba*,nothing");
    assert_eq!(images["Images"][0]["Name"], "base");
    let snapshot = images["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"].as_str().unwrap();

    let create = format!(
        "create-volume --availability-zone us-east-1a --snapshot-id {snapshot} --volume-type gp3 --iops 3000 \
         --client-token one --tag-specifications ResourceType=volume,Tags=[{{Key=a,Value=b}},{{Key=c,Value=d}}]"
    );
    let volume = aws.text(&create, "/VolumeId");
    assert_eq!(aws.text(&create, "/VolumeId"), volume, "the same token gives the same volume");
    let mismatch = aws.refused(&create.replace("3000", "4000"));
    assert!(mismatch.contains("(IdempotentParameterMismatch) when calling the CreateVolume operation"), "{mismatch}");
    aws.ask(&format!("wait volume-available --volume-ids {volume}"));

    let attach = format!("attach-volume --volume-id {volume} --instance-id {INSTANCE} --device /dev/sdf");
    assert_eq!(aws.text(&attach, "/State"), "attaching");
    let volumes = aws.ask("describe-volumes --filters Name=attachment.device,Values=/dev/sdf");
    assert_eq!(volumes["Volumes"][0]["Attachments"][0]["State"], "attached", "{volumes}");
    assert_eq!(volumes["Volumes"][0]["Tags"][1], serde_json::json!({ "Key": "c", "Value": "d" }));

    let snapshot = aws.text(&format!("create-snapshot --volume-id {volume} --description root"), "/SnapshotId");
    let stored = aws.ask(&format!("describe-snapshots --snapshot-ids {snapshot} --owner-ids self"));
    assert_eq!(stored["Snapshots"][0]["State"], "completed", "{stored}");
    assert_eq!(aws.text(&format!("detach-volume --volume-id {volume}"), "/State"), "detaching");
    aws.ask(&format!("delete-volume --volume-id {volume}"));
}

#[test]
fn the_aws_cli_makes_images() {
    let Some(aws) = Shell::open("the_aws_cli_makes_images") else { return };
    let images = aws.ask("describe-images --owners self");
    let snapshot = images["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"].as_str().unwrap();

    let register = format!(
        "register-image --name web --architecture x86_64 --virtualization-type hvm --ena-support \
         --root-device-name /dev/xvda --block-device-mappings DeviceName=/dev/xvda,Ebs={{SnapshotId={snapshot}}}"
    );
    let image = aws.text(&register, "/ImageId");
    let taken = aws.refused(&register);
    assert!(taken.contains("(InvalidAMIName.Duplicate)"), "{taken}");
    aws.ask(&format!("modify-image-attribute --image-id {image} --launch-permission Add=[{{UserId=123456789012}}]"));
    let permission = format!("describe-image-attribute --image-id {image} --attribute launchPermission");
    assert_eq!(aws.text(&permission, "/LaunchPermissions/0/UserId"), "123456789012");
    let share = "--attribute createVolumePermission --operation-type add --user-ids 123456789012";
    aws.ask(&format!("modify-snapshot-attribute --snapshot-id {snapshot} {share}"));

    let copy = format!("copy-image --region eu-west-1 --name web --source-region us-east-1 --source-image-id {image}");
    let copy = aws.text(&copy, "/ImageId");
    let copied = aws.ask(&format!("describe-images --region eu-west-1 --image-ids {copy}"));
    let copied = &copied["Images"][0];
    assert_eq!((&copied["SourceImageId"], &copied["EnaSupport"]), (&image.as_str().into(), &true.into()), "{copied}");
    aws.ask(&format!("create-tags --region eu-west-1 --resources {copy} --tags Key=stage,Value=prod"));
    let tags = aws.ask("describe-tags --region eu-west-1 --filters Name=key,Values=stage");
    assert_eq!(tags["Tags"][0]["ResourceId"], copy.as_str());

    let gone = aws.ask(&format!("deregister-image --image-id {image} --delete-associated-snapshots"));
    // The base image holds it, too.
    assert_eq!(gone["DeleteSnapshotResults"][0]["ReturnCode"], "skipped", "{gone}");
}

#[test]
fn the_aws_cli_reads_pages_and_errors() {
    let Some(aws) = Shell::open("the_aws_cli_reads_pages_and_errors") else { return };
    for _ in 0..7 {
        aws.ask("create-volume --availability-zone us-east-1a --size 1");
    }
    let volumes = aws.ask("describe-volumes --page-size 5");
    assert_eq!(volumes["Volumes"].as_array().unwrap().len(), 7);
    assert_eq!(aws.count("DescribeVolumes"), 2, "two pages");
    let missing = aws.refused("describe-volumes --volume-ids vol-0123456789abcdef0");
    assert_eq!(
        missing,
        "An error occurred (InvalidVolume.NotFound) when calling the DescribeVolumes operation: \
         The volume 'vol-0123456789abcdef0' does not exist."
    );
    let dry = aws.refused("create-volume --availability-zone us-east-1a --size 1 --dry-run");
    assert!(dry.contains("(DryRunOperation)"), "{dry}");
    let unknown = aws.refused("create-volume --availability-zone us-east-1a --size 1 --outpost-arn x");
    assert!(unknown.contains("(UnsupportedOperation)") && unknown.contains("OutpostArn"), "{unknown}");
    let unserved = aws.refused("describe-vpcs");
    assert!(unserved.contains("(InvalidAction)") && unserved.contains("DescribeVpcs"), "{unserved}");
}

#[test]
fn the_aws_cli_tries_again_and_makes_nothing_twice() {
    let Some(aws) = Shell::open("the_aws_cli_tries_again_and_makes_nothing_twice") else { return };
    let faults = aws.server.faults();
    faults.add(Fault::once("CreateVolume", Effect::Error("RequestLimitExceeded".to_owned())));
    faults.add(Fault { after: 1, ..Fault::once("CreateVolume", Effect::DropAfter) });
    let volume = aws.text("create-volume --availability-zone us-east-1a --size 1", "/VolumeId");
    let calls = aws.server.calls();
    let told: Vec<_> = calls.iter().map(|call| (call.status, call.performed)).collect();
    assert_eq!(told, [(Some(503), false), (None, true), (Some(200), true)]);
    // The CLI's own token was the same each time.
    let volumes = aws.ask("describe-volumes");
    assert_eq!(volumes["Volumes"].as_array().unwrap().len(), 1, "{volumes}");
    assert_eq!(volumes["Volumes"][0]["VolumeId"], volume.as_str());
    faults.add(Fault::each("DeleteVolume", Effect::Error("UnauthorizedOperation".to_owned())));
    let refused = aws.refused(&format!("delete-volume --volume-id {volume}"));
    assert!(refused.contains("You are not authorized to perform this operation."), "{refused}");
}
