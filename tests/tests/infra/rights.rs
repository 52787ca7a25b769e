//! The controller's role against what builds need (`controller/src/policy/`): neither may drift from the other. Whether
//! a role allows a request is worked out by `bakehouse_tests::iam`, conditions and regions included.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_controller::policy::{ArnScope, Caller, least_policy};
use bakehouse_protocol::{
    BlockDeviceMapping, BuildSpec, DeferredTemplate, EbsBlockDevice, Millis, SnapshotId,
    spec::{AccountCopies, CopyRole, Deprecation, DeregistrationProtection, ImageQuery, Source},
};
use bakehouse_tests::{
    iam::{Policy, Request},
    roles,
    template::{ACCOUNT, REGION, STACK, Template},
};

const AWAY: &str = "eu-west-1";

/// A spec that needs nearly every permission.
fn greedy() -> BuildSpec {
    let query = ImageQuery { parameter: Some("/bakehouse/base".to_owned()), ..ImageQuery::default() };
    let mut spec = BuildSpec::minimal("all", Source::Image(query));
    spec.image.users = vec!["123456789013".to_owned()];
    spec.image.groups = vec!["all".to_owned()];
    spec.image.product_codes = vec!["code".to_owned()];
    spec.image.regions = vec![AWAY.parse().unwrap()];
    spec.image.sharing.snapshot_users = vec!["123456789013".to_owned()];
    spec.image.attributes.watermarks = vec!["approved".to_owned()];
    spec.image.encryption.encrypt_boot = Some(true);
    spec.image.replacement.keep = Some(3);
    spec.image.lifecycle.deprecation = Some(Deprecation::In(Millis::minutes(9)));
    spec.image.lifecycle.deregistration_protection = Some(DeregistrationProtection { with_cooldown: false });
    spec
}

/// The same, of an image that replaces another. The role lets a stack's builds replace images of a stack's builds only.
fn replacing() -> BuildSpec {
    let mut spec = greedy();
    spec.image.replacement.force_deregister = true;
    spec
}

/// The IAM requests of builds of these specs in this stack, one for each action and resource.
fn requests_of(specs: &[BuildSpec]) -> Vec<Request> {
    let place =
        ArnScope { account: Some(ACCOUNT.to_owned()), region: Some(REGION.parse().unwrap()), ..ArnScope::default() };
    let policy = Policy::new([&least_policy(specs, &Caller::Controller { stack: STACK.to_owned() }, &place)]);
    let mut requests = policy.examples();
    for request in &mut requests {
        let region = request.resource.split(':').nth(3).filter(|region| !region.is_empty()).unwrap_or(REGION);
        request.context.entry("ec2:Region".to_owned()).or_insert_with(|| region.to_owned());
    }
    requests
}

fn stack() -> Template {
    Template::read().unwrap().with("CopyRegions", AWAY)
}

/// Keys of the account.
const KEYS: &str = "arn:aws:kms:*:123456789012:key/*";

fn refused(role: &Policy, requests: &[Request]) -> Vec<String> {
    let refused = requests.iter().filter(|request| !role.allows(request));
    refused.map(|request| format!("{} on {}", request.action, request.resource)).collect()
}

#[test]
fn the_controllers_role_allows_all_that_templates_need() {
    let role = roles::policy(&stack().with("KmsKeyArns", KEYS), roles::CONTROLLER);
    let mut amazons = greedy();
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    amazons.source = Source::Image(ImageQuery { parameter: Some(name.to_owned()), ..ImageQuery::default() });
    let scratch = BuildSpec { source: Source::Scratch { size: 2 }, ..greedy() };
    let requests = requests_of(&[greedy(), amazons, scratch]);
    assert!(requests.len() > 30, "{requests:?}");
    assert_eq!(refused(&role, &requests), Vec::<String>::new());
}

#[test]
fn the_controllers_role_allows_only_ec2_calls_of_templates() {
    let role = roles::policy(&stack(), roles::CONTROLLER).actions();
    let theirs = |action: &&String| action.starts_with("ec2:") || action.starts_with("ssm:");
    let requested = requests_of(&[replacing()]).into_iter().map(|request| request.action);
    let requested: BTreeSet<String> = requested.filter(|action| theirs(&action)).collect();
    assert_eq!(role.iter().filter(theirs).collect::<BTreeSet<_>>(), requested.iter().collect());
}

#[test]
fn resources_of_others_are_not_accessible() {
    let role = roles::policy(&stack().with("KmsKeyArns", KEYS), roles::CONTROLLER);
    let unconditional = ["ec2:Describe", "ssm:", "kms:DescribeKey"];
    for request in requests_of(&[greedy()]) {
        let mut bare = request.clone();
        bare.context = BTreeMap::from([("ec2:Region".to_owned(), REGION.to_owned())]);
        let base_snapshot = request.action == "ec2:CreateVolume" && request.resource.contains(":snapshot/");
        let open = base_snapshot || unconditional.iter().any(|prefix| request.action.starts_with(prefix));
        assert_eq!(role.allows(&bare), open, "{} on {} without tags", bare.action, bare.resource);
        let mut elsewhere = request.clone();
        elsewhere.context.insert("ec2:Region".to_owned(), "ap-southeast-2".to_owned());
        let is_ec2 = request.action.starts_with("ec2:");
        assert_eq!(role.allows(&elsewhere), !is_ec2, "{} on {} elsewhere", request.action, request.resource);
    }
}

#[test]
fn a_stack_without_copy_regions_uses_only_its_own() {
    let role = roles::policy(&Template::read().unwrap().with("KmsKeyArns", KEYS), roles::CONTROLLER);
    let mut home = greedy();
    home.image.regions.clear();
    assert_eq!(refused(&role, &requests_of(&[home])), Vec::<String>::new());
    let requests = requests_of(&[greedy()]);
    let away: Vec<Request> =
        requests.into_iter().filter(|request| request.context.get("ec2:Region").is_some_and(|at| at == AWAY)).collect();
    assert!(!away.is_empty());
    assert_eq!(refused(&role, &away).len(), away.len());
}

#[test]
fn other_snapshots_need_a_parameter() {
    let mut spec = greedy();
    spec.image.block_device_mappings = vec![BlockDeviceMapping {
        device_name: "/dev/sdb".to_owned(),
        ebs: Some(EbsBlockDevice {
            snapshot_id: Some(SnapshotId::new("snap-0123456789abcdef0").unwrap()),
            ..EbsBlockDevice::default()
        }),
        ..BlockDeviceMapping::default()
    }];
    let requests = requests_of(&[spec]);
    let keys = stack().with("KmsKeyArns", KEYS);
    let role = roles::policy(&keys, roles::CONTROLLER);
    let named = format!("arn:aws:ec2:{REGION}::snapshot/snap-0123456789abcdef0");
    assert_eq!(refused(&role, &requests), [format!("ec2:RegisterImage on {named}")]);
    let role = roles::policy(&keys.with("AllowOtherSnapshots", "true"), roles::CONTROLLER);
    assert_eq!(refused(&role, &requests), Vec::<String>::new());
}

#[test]
fn parameters_are_written_only_where_the_stack_says() {
    let mut spec = BuildSpec::minimal("all", Source::Scratch { size: 1 });
    spec.image.lifecycle.parameters = vec![DeferredTemplate("/golden/{{.BuildRegion}}".to_owned())];
    let requests = requests_of(&[spec]);
    let resource = format!("arn:aws:ssm:x:{ACCOUNT}:parameter/golden/x");
    let all = ["GetParameter", "PutParameter", "DeleteParameter"].map(|action| format!("ssm:{action} on {resource}"));
    let role = roles::policy(&stack(), roles::CONTROLLER);
    assert_eq!(BTreeSet::from_iter(refused(&role, &requests)), BTreeSet::from(all));
    let role = roles::policy(&stack().with("ImageParameters", "/golden/*"), roles::CONTROLLER);
    assert_eq!(refused(&role, &requests), Vec::<String>::new());
}

/// A role of another account.
const COPY_ROLE: &str = "arn:aws:iam::444455556666:role/images";

#[test]
fn roles_of_other_accounts_are_assumed_only_where_the_stack_says() {
    let mut spec = BuildSpec::minimal("all", Source::Scratch { size: 1 });
    let role = CopyRole { arn: COPY_ROLE.parse().unwrap(), external_id: None, session_name: None };
    spec.image.account_copies = vec![AccountCopies { role, regions: vec![], kms_key_id: None }];
    // The key of a base image is looked at, as the image is shared for the copies.
    let requests: Vec<Request> =
        requests_of(&[spec]).into_iter().filter(|request| !request.action.starts_with("kms:")).collect();
    let role = roles::policy(&stack(), roles::CONTROLLER);
    assert_eq!(refused(&role, &requests), [format!("sts:AssumeRole on {COPY_ROLE}")]);
    let role = roles::policy(&stack().with("CopyRoleArns", COPY_ROLE), roles::CONTROLLER);
    assert_eq!(refused(&role, &requests), Vec::<String>::new());
}

#[test]
fn parameters_of_others_are_not_accessible() {
    let role = roles::policy(&stack(), roles::CONTROLLER);
    let get = |name: &str| Request {
        action: "ssm:GetParameter".to_owned(),
        resource: format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"),
        context: BTreeMap::new(),
    };
    assert!(role.allows(&get("/bakehouse/base")));
    assert!(!role.allows(&get("/prod/database/password")));
}

/// Provisioners can use the host's role: what it may do, they may.
#[test]
fn the_hosts_role_allows_no_ec2_and_only_needed_actions() {
    let template = stack();
    let may = |template: &Template| Vec::from_iter(roles::policy(template, roles::HOST).actions());
    let needed = ["logs:CreateLogStream", "logs:PutLogEvents", "s3:GetObject", "sqs:GetQueueUrl", "sqs:SendMessage"];
    assert_eq!(may(&template.clone().with("SessionManager", "false")), needed);
    // For Session Manager: nothing that reads parameters, as AWS's own policy for this does.
    let session = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ];
    assert_eq!(may(&template), [&needed[..], &session[..]].concat());
    assert!(template.resource(roles::HOST)["Properties"]["ManagedPolicyArns"].is_null());
}

#[test]
fn only_the_controller_lists_the_bucket_and_only_bundles() {
    let list = |prefix: &str| Request {
        action: "s3:ListBucket".to_owned(),
        resource: format!("arn:aws:s3:::bakehouse-bundles-{ACCOUNT}-{REGION}"),
        context: BTreeMap::from([("s3:prefix".to_owned(), prefix.to_owned())]),
    };
    let controller = roles::policy(&stack(), roles::CONTROLLER);
    assert!(controller.allows(&list("bundles/0123")));
    assert!(!controller.allows(&list("")));
    assert!(!roles::policy(&stack(), roles::HOST).allows(&list("bundles/0123")));
}

#[test]
fn keys_are_used_for_disks_only_if_there_are_any() {
    let actions = |template: &Template| roles::policy(template, roles::CONTROLLER).actions();
    let kms = |template: &Template| {
        let all = actions(template).into_iter().filter(|action| action.starts_with("kms:"));
        all.collect::<Vec<_>>()
    };
    assert_eq!(kms(&stack()), Vec::<String>::new());
    let expected = [
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ];
    assert_eq!(kms(&stack().with("KmsKeyArns", "arn:aws:kms:us-east-1:123456789012:key/1")), expected);
}

/// IAM's limit for the policies inside a role, spaces not counted: 10,240 characters.
#[test]
fn the_controllers_policies_are_short_enough() {
    let keys = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef";
    let template = stack().with("AllowOtherSnapshots", "true").with("KmsKeyArns", keys).with("CopyRoleArns", COPY_ROLE);
    let attached =
        template.of_type("AWS::IAM::Policy").into_iter().map(|name| template.resource(&name)["Properties"].clone());
    let attached: Vec<_> = attached.filter(|properties| properties["Roles"][0] == roles::CONTROLLER).collect();
    assert_eq!(attached.len(), 4, "{attached:?}");
    let length: usize = attached.iter().map(|properties| properties["PolicyDocument"].to_string().len()).sum();
    assert!((1_000..9_000).contains(&length), "{length}: a stack's name may be longer, and so may its keys");
}
