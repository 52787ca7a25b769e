//! The command against AWS as its user sees it, on bad days: services whose answers are prepared. Good days are tested
//! by the pair as a whole.

#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use bakehouse_machine::{Build, Phase, Timing, VolumeStage, build::NewBuild, resources::VolumeRecord};
use bakehouse_protocol::{
    BuildId, BuildSpec, Region, Timestamp, VolumeId,
    access::{KeyFingerprint, PersistedAccess},
    spec::Source,
};
use bakehouse_runner::Records;
use common::{
    User,
    served::{Served, get},
};

/// Every service of AWS at one address, with one answer to each request: that of the first line here whose word is in
/// it, as state and body. To the other requests it answers 200 with nothing.
struct Services {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Services {
    fn answering(answers: Vec<(&'static str, u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let received = asked.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let Some(request) = request(&mut client) else { continue };
                let found = answers.iter().find(|(word, ..)| request.contains(word));
                let (state, body) = found.map_or((200, "{}"), |(_, state, body)| (*state, body.as_str()));
                received.lock().unwrap().push(request);
                let head = format!("HTTP/1.1 {state} Canned\r\nContent-Length: {}\r\nConnection: close", body.len());
                let _ = write!(client, "{head}\r\n\r\n{body}");
            }
        });
        Self { endpoint, asked }
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        vec![
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// What the user of such a stack sees.
    fn show(&self, user: &User, arguments: &[&str]) -> String {
        user.sees_with(&[arguments, &["--stack", "bake"]].concat(), &self.environment())
    }

    fn asked(&self, word: &str) -> Vec<String> {
        self.asked.lock().unwrap().iter().filter(|request| request.contains(word)).cloned().collect()
    }
}

/// A whole request, in small letters where its head is.
fn request(client: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let mut is_told = false;
    loop {
        let read = client.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let head_ends = head.len() + 4;
        let head = head.to_lowercase();
        if head.contains("expect: 100-continue") && !is_told {
            is_told = true;
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
        if bytes.len() >= head_ends + length.trim().parse::<usize>().unwrap() {
            return Some(text);
        }
    }
}

const PARAMETER: &str = "AmazonSSM.GetParameter";

/// The stack is found.
fn found() -> (&'static str, u16, String) {
    let config = serde_json::json!({
        "bakehouse": 1, "name": "bake", "region": "us-east-1", "account": "123456789012", "table": "bake",
        "inbox_url": "https://sqs.us-east-1.amazonaws.com/123456789012/bake-inbox", "bucket": "bake-bundles",
        "builds_log_group": "/bakehouse/bake/builds", "host_queue_prefix": "bake-host-",
        "host_role_arn": "arn:aws:iam::123456789012:role/bake",
    });
    let value = serde_json::json!({ "Parameter": { "Name": "/bakehouse/bake", "Value": config.to_string() } });
    (PARAMETER, 200, value.to_string())
}

/// A call is refused, in AWS's words of today.
fn denied(word: &'static str, action: &str, resource: &str) -> (&'static str, u16, String) {
    let message = format!(
        "User: arn:aws:iam::123456789012:user/mo is not authorized to perform: {action} on resource: \
         arn:aws:{resource} because no identity-based policy allows the {action} action"
    );
    let body = serde_json::json!({ "__type": "com.amazonaws#AccessDeniedException", "message": message });
    (word, 400, body.to_string())
}

/// The one line of a refusal.
fn line(call: &str, action: &str, resource: &str) -> String {
    format!(
        "error: {call}: AccessDeniedException: the permission {action} is missing on arn:aws:{resource} for \
         arn:aws:iam::123456789012:user/mo (no identity-based policy allows the {action} action)\n\
         hint: allow {action} in the policy of the role or user that makes this call"
    )
}

/// What was said to people, if the command failed.
#[track_caller]
fn failed(seen: &str) -> &str {
    let (code, said) = seen.split_once("--- stderr\n").unwrap();
    assert!(code.starts_with("exit 1\n"), "{seen}");
    said
}

#[test]
fn a_stack_whose_parameter_may_not_be_read() {
    let resource = "ssm:us-east-1:123456789012:parameter/bakehouse/bake";
    let services = Services::answering(vec![denied(PARAMETER, "ssm:GetParameter", resource)]);
    let seen = services.show(&User::new(), &["ls"]);
    assert_eq!(failed(&seen), line("GetParameter /bakehouse/bake", "ssm:GetParameter", resource));
}

#[test]
fn a_stack_whose_table_may_not_be_asked() {
    let resource = "dynamodb:us-east-1:123456789012:table/bake/index/by_state";
    let services = Services::answering(vec![found(), denied("DynamoDB_20120810.Query", "dynamodb:Query", resource)]);
    let seen = services.show(&User::new(), &["ls"]);
    let said = failed(&seen);
    assert_eq!(said, line("Query running in the index by_state of the table bake", "dynamodb:Query", resource));
}

const TEMPLATE: &str = r#"{"builders": [{"type": "amazon-chroot", "source_ami": "ami-12345678", "ami_name": "one",
    "access_key": "AKIDEXAMPLE", "secret_key": "wJalr"}]}"#;

#[test]
fn a_stack_whose_inbox_may_not_be_sent_to_and_keys_that_it_does_not_use() {
    let resource = "sqs:us-east-1:123456789012:bake-inbox";
    let services = Services::answering(vec![found(), denied("AmazonSQS.SendMessage", "sqs:SendMessage", resource)]);
    let seen = services.show(&User::new().with("t.json", TEMPLATE), &["submit", "t.json"]);
    let said = failed(&seen);
    let (before, error) = said.split_once("error: ").unwrap();
    let error = format!("error: {error}");
    assert_eq!(error, line("SendMessage a request to the inbox", "sqs:SendMessage", resource));
    let notes: Vec<&str> = before.lines().filter(|line| line.starts_with("note: ")).collect();
    let unused = |option| {
        format!(
            "note: `{option}` is not used: a stack reaches AWS with its own role; its value is left out of the bundle"
        )
    };
    assert_eq!(notes, ["access_key", "secret_key"].map(unused));
    assert_eq!(services.asked("PUT /bake-bundles/bundles/").len(), 1);
}

#[test]
fn a_bucket_that_may_not_be_written_to() {
    let error = "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/mo is not authorized to \
                 perform: s3:PutObject on resource: arn:aws:s3:::bake-bundles because no identity-based policy allows \
                 the s3:PutObject action</Message></Error>";
    let services = Services::answering(vec![found(), ("PUT /bake-bundles/", 403, error.to_owned())]);
    let template = r#"{"builders": [{"type": "amazon-chroot", "source_ami": "ami-12345678", "ami_name": "one"}]}"#;
    let seen = services.show(&User::new().with("t.json", template), &["recipe", "put", "one", "t.json"]);
    let said = failed(&seen).lines().find(|line| line.starts_with("error: ")).unwrap().to_owned();
    assert!(said.starts_with("error: PutObject bundles/") && said.contains(" in the bucket bake-bundles: "), "{said}");
    assert!(
        said.contains("AccessDenied: the permission s3:PutObject is missing on arn:aws:s3:::bake-bundles"),
        "{said}"
    );
}

#[test]
fn without_credentials_one_line_says_which_call_and_where_they_were_looked_for() {
    let environment = [("AWS_REGION", "us-east-1"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let seen = User::new().sees_with(&["ls", "--stack", "bake"], &environment);
    assert_eq!(
        failed(&seen),
        "error: GetParameter /bakehouse/bake: NoCredentials: there are no credentials; looked in the environment \
         (AWS_ACCESS_KEY_ID), the profile of AWS_PROFILE (or `default`) (~/.aws/config, ~/.aws/credentials), web identity \
         (AWS_WEB_IDENTITY_TOKEN_FILE), the container's role (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) and \
         the instance's role (metadata service)\n\
         hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile (AWS_PROFILE), or give the instance a role"
    );
}

#[test]
fn a_role_that_may_not_be_assumed() {
    let error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/mo is not \
                 authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/bake</Message></Error>\
                 </ErrorResponse>";
    let services = Services::answering(vec![("Action=AssumeRole", 403, error.to_owned())]);
    let user = User::new();
    std::fs::create_dir(user.path().join(".aws")).unwrap();
    let config = "[profile baker]\nrole_arn = arn:aws:iam::123456789012:role/bake\nsource_profile = mo\n\
                  [profile mo]\naws_access_key_id = AKIATESTTESTTESTTEST\naws_secret_access_key = secret\n";
    std::fs::write(user.path().join(".aws/config"), config).unwrap();
    let environment = [
        ("AWS_ENDPOINT_URL", services.endpoint.as_str()),
        ("AWS_PROFILE", "baker"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let seen = user.sees_with(&["ls", "--stack", "bake", "--region", "us-east-1"], &environment);
    assert_eq!(
        failed(&seen),
        "error: GetParameter /bakehouse/bake: AccessDenied: the permission sts:AssumeRole is \
         missing on arn:aws:iam::123456789012:role/bake for arn:aws:iam::123456789012:user/mo\n\
         hint: allow sts:AssumeRole in the policy of the role or user that makes this call"
    );
}

#[test]
fn a_region_without_the_stack_and_the_one_that_is_given() {
    let nothing = r#"{"__type": "ParameterNotFound", "message": null}"#.to_owned();
    let services = Services::answering(vec![(PARAMETER, 400, nothing)]);
    for (arguments, region) in [(&["ls"][..], "us-east-1"), (&["hosts", "--region", "eu-west-1"], "eu-west-1")] {
        let seen = services.show(&User::new(), arguments);
        assert_eq!(
            failed(&seen),
            format!(
                "error: there is no stack \"bake\" in {region}: GetParameter /bakehouse/bake: there is no such \
                 parameter\n\
                 hint: give its name with --stack and its region with --region, or deploy it first"
            )
        );
        // It was signed for that region.
        assert_eq!(services.asked(&format!("/{region}/ssm/aws4_request")).len(), 1);
    }
}

#[test]
fn an_endpoint_that_does_not_answer() {
    let environment = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let seen = User::new().sees_with(&["ls", "--stack", "bake", "--region", "eu-north-1"], &environment);
    let (line, hint) = failed(&seen).split_once('\n').unwrap();
    let begins = "error: GetParameter /bakehouse/bake: no answer of http://127.0.0.1:1 (for eu-north-1): ";
    assert!(line.starts_with(begins) && line.contains("Connection refused"), "{seen}");
    assert!(hint.starts_with("hint: is it the right region (--region, AWS_REGION)"), "{seen}");
}

/// A build that a killed run has left, which had just made a volume.
fn left(user: &User, n: u32, access: &PersistedAccess) -> BuildId {
    let spec = BuildSpec::minimal("web", Source::Scratch { size: 1 });
    let (region, recipe) = (Region::new("us-east-1").unwrap(), "web.json".to_owned());
    let new = NewBuild {
        id: BuildId::from_parts(1, n),
        spec,
        region,
        recipe,
        files: "/".into(),
        bundle: None,
        timing: Timing::LOCAL,
    };
    let mut build = Build::new(new, Timestamp(1000));
    build.phase = Phase::Creating;
    build.history.push((build.phase.name(), Timestamp(1001)));
    let id = VolumeId::new("vol-00000001").unwrap();
    build.resources.volume = Some(VolumeRecord { id, created_at: Timestamp(1002), stage: VolumeStage::Creating });
    let records = Records::open(&user.path().join("state/here")).unwrap();
    drop(records.create_with(&build, access).unwrap());
    build.id
}

#[test]
fn root_what_killed_runs_left_is_undone_where_their_templates_made_it() {
    let test = "root_what_killed_runs_left_is_undone_where_their_templates_made_it";
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP {test}: not root");
        return;
    }
    let mut served = Served::start(&["--listen", "127.0.0.1:0", "--imds", "127.0.0.1:0", "--test-api"]);
    let ec2 = served.export("AWS_ENDPOINT_URL_EC2");
    served.export("AWS_ENDPOINT_URL_STS");
    let imds = served.export("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    // Whoever calls another EC2 than the templates named finds nobody.
    let environment = |key: &'static str| {
        [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.clone()),
            ("AWS_ACCESS_KEY_ID", key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
    };
    let user = User::new();
    let run = |arguments: &[&str], key| {
        let environment = environment(key);
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        user.sees_with(arguments, &environment)
    };
    let at = PersistedAccess { custom_endpoint_ec2: Some(ec2.clone()), ..PersistedAccess::default() };
    let plain = left(&user, 1, &at);
    let keys = KeyFingerprint { ends: "PLE1".into(), temporary: false };
    let with_keys = left(&user, 2, &PersistedAccess { keys: Some(keys), ..at.clone() });

    let seen = run(&["sweep", "--yes"], "AKIDEXAMPLE2");
    assert!(seen.starts_with("exit 1"), "{seen}");
    assert!(seen.contains(&format!("Build {plain} has been cancelled; nothing of it is left")), "{seen}");
    let line = format!(
        "note: build {with_keys} can't be undone, as the keys of web.json, whose `access_key` ends in \"PLE1\","
    );
    assert!(seen.contains(&line), "{seen}");
    let calls = get(&ec2, "/_bakehouse/calls");
    assert!(calls.contains("DescribeVolumes"), "its volume was not looked for there: {calls}");

    let seen = run(&["sweep", "--yes"], "AKIDEXAMPLE1");
    assert!(seen.starts_with("exit 0"), "{seen}");
    assert!(seen.contains(&format!("Build {with_keys} has been cancelled; nothing of it is left")), "{seen}");

    // One alone.
    let third = left(&user, 3, &at);
    let seen = run(&["cancel", third.as_str()], "AKIDEXAMPLE1");
    assert!(seen.starts_with("exit 0"), "{seen}");
    assert!(seen.contains(&format!("Build {third} has been cancelled; nothing of it is left")), "{seen}");
}
