//! What a template says, the environment, files and the metadata service, as a program meets them: each case is a
//! process of its own, this one again, with an environment of its own.

use std::{
    collections::BTreeMap,
    env,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::Arc,
};

use bakehouse_aws::{Limits, instance};
use bakehouse_controller_aws::ec2::connect;
use bakehouse_ec2::faults::fault;
use bakehouse_ec2::{Ec2, request};
use bakehouse_localcloud::http::{Imds, Metadata};
use bakehouse_localcloud::request::DescribeInstances;
use bakehouse_protocol::{
    Region,
    access::{Access, AssumeRole, Keys, Secret},
};
use tempfile::TempDir;

use crate::{
    place::{ACCOUNT, NOW, Served, home, limits},
    servers::Canned,
};

/// The variable that tells a process that it is a case, and of which access.
const CASE: &str = "BAKEHOUSE_TEST_CASE";

fn access(case: &str) -> Access {
    let keys = Keys { access_key: "AKTEMPLATE".into(), secret_key: Secret::new("s"), token: Some(Secret::new("t")) };
    match case {
        "keys" => Access { keys: Some(keys), ..Access::default() },
        "profile" => Access { profile: Some("baker".into()), ..Access::default() },
        "file" => Access { shared_credentials_file: env::var("OTHER_FILE").ok(), ..Access::default() },
        "unverified" => Access {
            keys: Some(keys),
            custom_endpoint_ec2: env::var("OTHER_ENDPOINT").ok(),
            insecure_skip_tls_verify: true,
            ..Access::default()
        },
        "verified" => {
            Access { keys: Some(keys), custom_endpoint_ec2: env::var("OTHER_ENDPOINT").ok(), ..Access::default() }
        }
        "endpoint" => Access { custom_endpoint_ec2: env::var("OTHER_ENDPOINT").ok(), ..Access::default() },
        "role" => {
            let role = AssumeRole {
                role_arn: "arn:aws:iam::111122223333:role/bake".into(),
                session_name: Some("monday".into()),
                external_id: Some(Secret::new("outside")),
                duration_seconds: Some(1800),
                ..AssumeRole::default()
            };
            Access { keys: Some(keys), assume_role: Some(role), ..Access::default() }
        }
        _ => Access::default(),
    }
}

/// What the process of a case prints.
async fn report(case: &str) -> String {
    if case == "instance" {
        return match instance::identity(&instance::metadata()).await {
            Ok(found) => format!("{} {} {}", found.instance_id, found.zone, found.architecture.as_str()),
            Err(error) => format!("{error}; {}", instance::InstanceError::HINT),
        };
    }
    let region = env::var("GIVEN_REGION").ok().map(|name| Region::new(name).unwrap());
    let limits = Limits { attempts: 1, ..limits() };
    let connection = match connect(&access(case), region.as_ref(), limits).await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    let request = request::DescribeVolumes::default();
    match connection.ec2().describe_volumes(&connection.region, request).await {
        Ok(_) => format!("{} answered", connection.region),
        Err(error) => {
            let fault = fault("DescribeVolumes", &error.code, &error.message);
            format!("{} ({})", fault.message, fault.hint.unwrap_or_default())
        }
    }
}

/// The process of a case. Nothing of this one's surroundings gets into it.
struct Case {
    command: Command,
    home: TempDir,
}

impl Case {
    fn new(case: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["connect::missing_settings_are_reported_in_one_line", "--exact", "--nocapture"]);
        command.env_clear().env("HOME", home.path()).env(CASE, case).env("AWS_EC2_METADATA_DISABLED", "true");
        Self { command, home }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    #[track_caller]
    fn report(mut self) -> String {
        let output = self.command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.split_once("reports: "));
        let home = self.home.path().display().to_string();
        line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).1.replace(&home, "~")
    }
}

#[test]
fn a_certificate_is_not_checked_if_the_template_says_so() {
    let body = "<DescribeVolumesResponse><volumeSet/></DescribeVolumesResponse>";
    let server = Canned::with_own_certificate("200 OK", "text/xml", body);
    let report = |case| Case::new(case).env("OTHER_ENDPOINT", server.url()).env("GIVEN_REGION", "us-east-1").report();
    let refused = report("verified");
    assert!(refused.contains("certificate"), "{refused}");
    assert_eq!(server.requests().len(), 0);
    assert_eq!(report("unverified"), "us-east-1 answered");
    assert!(server.requests()[0].body.contains("Action=DescribeVolumes"));
}

/// The region and the key of the one call that was made.
#[track_caller]
fn called(place: &Served) -> (String, String) {
    let calls = place.server.journal().take();
    assert_eq!(calls.len(), 1, "{calls:?}");
    (calls[0].region.as_ref().unwrap().to_string(), calls[0].access_key_id.clone().unwrap())
}

fn pair(region: &str, key: &str) -> (String, String) {
    (region.to_owned(), key.to_owned())
}

/// Also the entry point of a case's process.
#[tokio::test]
async fn missing_settings_are_reported_in_one_line() {
    if let Ok(case) = env::var(CASE) {
        println!("\nreports: {}", report(&case).await);
        return;
    }
    let said = Case::new("plain").report();
    assert_eq!(
        said,
        "there is no region: neither the template, nor `--region`, nor AWS_REGION, nor the profile of AWS_PROFILE (or \
         `default`) names one, and this is no EC2 instance that has one"
    );
    let said =
        Case::new("plain").env("GIVEN_REGION", "us-east-1").env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").report();
    assert_eq!(
        said,
        "DescribeVolumes: NoCredentials: there are no credentials; looked in the environment (AWS_ACCESS_KEY_ID), the \
         profile of AWS_PROFILE (or `default`) (~/.aws/config, ~/.aws/credentials), web identity \
         (AWS_WEB_IDENTITY_TOKEN_FILE), the container's role (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) and the \
         instance's role (metadata service) (set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile \
         (AWS_PROFILE), or give the instance a role)"
    );
}

#[tokio::test]
async fn the_environment_gives_keys_region_and_endpoint() {
    let place = Served::new();
    let case = || {
        Case::new("plain")
            .env("AWS_ACCESS_KEY_ID", "AKENV")
            .env("AWS_SECRET_ACCESS_KEY", "s")
            .env("AWS_REGION", "eu-west-1")
    };
    assert_eq!(case().env("AWS_ENDPOINT_URL", &place.server.url()).report(), "eu-west-1 answered");
    assert_eq!(called(&place), pair("eu-west-1", "AKENV"));
    // EC2's own endpoint overrides it, and the caller's overrides both.
    let case = case().env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_ENDPOINT_URL_EC2", &place.server.url());
    assert_eq!(case.env("GIVEN_REGION", "us-east-1").report(), "us-east-1 answered");
    assert_eq!(called(&place), pair("us-east-1", "AKENV"));
}

#[tokio::test]
async fn a_template_overrides_the_environment() {
    let place = Served::new();
    let case = |name| {
        Case::new(name)
            .env("AWS_ACCESS_KEY_ID", "AKENV")
            .env("AWS_SECRET_ACCESS_KEY", "s")
            .env("AWS_REGION", "eu-west-1")
            .file(".aws/config", "[profile baker]\nregion = us-east-1\n")
            .file(".aws/credentials", "[baker]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n")
            .file("other", "[default]\naws_access_key_id = AKOTHER\naws_secret_access_key = s\n")
    };
    assert_eq!(case("keys").env("AWS_ENDPOINT_URL", &place.server.url()).report(), "eu-west-1 answered");
    assert_eq!(called(&place), pair("eu-west-1", "AKTEMPLATE"));
    assert_eq!(case("profile").env("AWS_ENDPOINT_URL", &place.server.url()).report(), "eu-west-1 answered");
    assert_eq!(called(&place), pair("eu-west-1", "AKFILE"));
    let there =
        case("endpoint").env("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9").env("OTHER_ENDPOINT", &place.server.url());
    assert_eq!(there.report(), "eu-west-1 answered");
    assert_eq!(called(&place), pair("eu-west-1", "AKENV"));
}

#[tokio::test]
async fn profiles_and_files_are_read() {
    let place = Served::new();
    let files = |case: Case| {
        case.file(".aws/config", "[profile baker]\nregion = eu-west-1\n[default]\nregion = us-east-1\n")
            .file(".aws/credentials", "[baker]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n")
            .env("AWS_ENDPOINT_URL", &place.server.url())
    };
    assert_eq!(files(Case::new("profile")).report(), "eu-west-1 answered");
    assert_eq!(called(&place), pair("eu-west-1", "AKFILE"));
    assert_eq!(files(Case::new("plain")).env("AWS_PROFILE", "baker").report(), "eu-west-1 answered");
    assert_eq!(called(&place), pair("eu-west-1", "AKFILE"));
    let case =
        files(Case::new("file")).file("other", "[default]\naws_access_key_id = AKOTHER\naws_secret_access_key = s\n");
    let other = case.home.path().join("other").display().to_string();
    assert_eq!(case.env("OTHER_FILE", &other).report(), "us-east-1 answered");
    assert_eq!(called(&place), pair("us-east-1", "AKOTHER"));
    // A profile that has no keys is named.
    let said = files(Case::new("profile")).file(".aws/credentials", "").report();
    assert!(said.contains("NoCredentials") && said.contains("`baker`"), "{said}");
}

#[tokio::test]
async fn an_instance_gives_its_role_and_its_region() {
    let place = Served::new();
    let request = DescribeInstances { instance_ids: vec![crate::place::instance()], filters: vec![] };
    let metadata = Metadata {
        instance: pollster::block_on(place.cloud.describe_instances(&home(), request)).unwrap().remove(0),
        region: home(),
        account: ACCOUNT.to_owned(),
        role: "baker".to_owned(),
        access_key_id: "AKROLE".to_owned(),
        v1: false,
        seed: 3,
        clock: Arc::new(|| NOW),
    };
    place.server.journal().take();
    let imds = Imds::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), metadata).unwrap();
    let on_it = |case| {
        Case::new(case)
            .env("AWS_EC2_METADATA_DISABLED", "false")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds.url())
            .env("AWS_ENDPOINT_URL", &place.server.url())
    };
    assert_eq!(on_it("plain").report(), "us-east-1 answered");
    assert_eq!(called(&place), pair("us-east-1", "AKROLE"));
    assert_eq!(on_it("instance").report(), "i-0000000000000000a us-east-1a x86_64");
}

#[tokio::test]
async fn a_missing_instance_is_reported_in_one_line() {
    let said = Case::new("instance").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9").report();
    assert!(
        said.starts_with("this does not look like an EC2 instance: its metadata service does not answer ("),
        "{said}"
    );
    assert!(
        said.ends_with("; use `--local`, or run this on an EC2 instance, with its metadata service (IMDSv2) on"),
        "{said}"
    );
}

#[tokio::test]
async fn a_role_is_assumed_as_the_template_says() {
    let place = Served::new();
    let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                <AccessKeyId>AKASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let sts = Canned::new("200 OK", "text/xml", body);
    let case = Case::new("role").env("GIVEN_REGION", "us-east-1").env("AWS_ENDPOINT_URL_EC2", &place.server.url());
    assert_eq!(case.env("AWS_ENDPOINT_URL_STS", sts.url()).report(), "us-east-1 answered");
    assert_eq!(called(&place), pair("us-east-1", "AKASSUMED"));
    let requests = sts.requests();
    assert!(requests[0].headers.iter().any(|header| header.contains("aktemplate/")), "{:?}", requests[0].headers);
    let sent: BTreeMap<&str, &str> = requests[0].body.split('&').filter_map(|pair| pair.split_once('=')).collect();
    assert_eq!((sent["RoleSessionName"], sent["ExternalId"], sent["DurationSeconds"]), ("monday", "outside", "1800"));
    assert!(sent["RoleArn"].ends_with("role%2Fbake"), "{sent:?}");
}
