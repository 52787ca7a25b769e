//! The resources that an action needs, and the conditions by which IAM can restrict it to them.
//!
//! IAM checks a create call for the new resource and for its source, each with conditions of its own: the new resource
//! must be given the build's tag in the same request; its source, and everything that is changed or removed, must carry
//! the tag already. (AWS's service authorization reference, "Actions, resources, and condition keys for
//! Amazon EC2".)

use std::collections::BTreeSet;

use bakehouse_machine::tags::BUILD_TAG;
use bakehouse_protocol::{
    BuildSpec, Region,
    spec::{ImageQuery, Source},
};
use serde_json::{Value, json};

use crate::policy::{
    calls::Action,
    target::{ArnScope, Caller, STACK_TAG},
};

/// A pattern of all build ids.
const BUILD_IDS: &str = "b-*";

/// A set of resources and the conditions under which they may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Any resource: describe actions can't be restricted to resources.
    Describe,
    /// The parameter that names the base image.
    BaseParameter,
    /// A volume that is created with the build's tag.
    NewVolume,
    /// The base image's snapshot, which may belong to another account.
    BaseSnapshot,
    /// A build's volume.
    OwnVolume,
    /// An instance to which volumes may be attached.
    Host,
    /// A snapshot that is created with the build's tag.
    NewSnapshot,
    /// A build's snapshot.
    OwnSnapshot,
    /// An image that is created with the build's tag.
    NewImage,
    /// A build's image.
    OwnImage,
    /// Snapshots that the template's mappings name.
    NamedSnapshot,
    /// The image that is copied: EC2 has no tag condition for it, but one for its owner.
    CopiedImage,
    /// Tags that are set by a create call.
    NewTags,
    /// An image that is replaced, whoever made it: one of the account's own.
    ReplacedImage,
    /// The snapshots of an image that is replaced.
    ReplacedSnapshot,
    /// The parameters that get the images' ids.
    ImageParameters,
    /// The keys that the template names.
    Keys,
    /// Those, used by EBS.
    KeysForDisks,
    /// Those, handed over to EBS.
    KeyGrants,
    /// The roles that make copies which other accounts own.
    CopyRoles,
}

/// Returns the resources that an action needs.
pub fn scopes_of(action: Action) -> &'static [Scope] {
    match action {
        Action::DescribeRegions
        | Action::DescribeImages
        | Action::DescribeSnapshots
        | Action::DescribeVolumes
        | Action::DescribeInstances
        | Action::DescribeImageAttribute => &[Scope::Describe],
        Action::CreateVolume => &[Scope::NewVolume, Scope::BaseSnapshot],
        Action::AttachVolume | Action::DetachVolume => &[Scope::OwnVolume, Scope::Host],
        Action::DeleteVolume => &[Scope::OwnVolume],
        Action::CreateSnapshot => &[Scope::OwnVolume, Scope::NewSnapshot],
        Action::DeleteSnapshot => &[Scope::OwnSnapshot, Scope::ReplacedSnapshot],
        Action::ModifySnapshotAttribute => &[Scope::OwnSnapshot],
        Action::RegisterImage => {
            &[Scope::NewImage, Scope::OwnSnapshot, Scope::NamedSnapshot, Scope::ReplacedImage, Scope::ReplacedSnapshot]
        }
        Action::CopyImage => &[Scope::NewImage, Scope::NewSnapshot, Scope::CopiedImage],
        Action::ModifyImageAttribute | Action::DeregisterImage => &[Scope::OwnImage, Scope::ReplacedImage],
        Action::EnableImageDeprecation
        | Action::EnableImageDeregistrationProtection
        | Action::DisableImageDeregistrationProtection
        | Action::AttachImageWatermark => &[Scope::OwnImage],
        Action::CreateTags => &[Scope::NewTags, Scope::OwnSnapshot, Scope::OwnImage],
        Action::GetParameter => &[Scope::BaseParameter, Scope::ImageParameters],
        Action::PutParameter | Action::DeleteParameter => &[Scope::ImageParameters],
        Action::DescribeKey => &[Scope::Keys],
        Action::Decrypt
        | Action::GenerateDataKey
        | Action::GenerateDataKeyWithoutPlaintext
        | Action::ReEncryptFrom
        | Action::ReEncryptTo => &[Scope::KeysForDisks],
        Action::CreateGrant => &[Scope::KeyGrants],
        Action::AssumeRole => &[Scope::CopyRoles],
    }
}

impl Scope {
    /// Returns the id of its statement.
    pub fn sid(self) -> &'static str {
        match self {
            Self::Describe => "Describe",
            Self::BaseParameter => "BaseParameter",
            Self::NewVolume => "NewVolume",
            Self::BaseSnapshot => "BaseSnapshot",
            Self::OwnVolume => "OwnVolume",
            Self::Host => "Host",
            Self::NewSnapshot => "NewSnapshot",
            Self::OwnSnapshot => "OwnSnapshot",
            Self::NewImage => "NewImage",
            Self::OwnImage => "OwnImage",
            Self::NamedSnapshot => "NamedSnapshot",
            Self::CopiedImage => "CopiedImage",
            Self::NewTags => "NewTags",
            Self::ReplacedImage => "ReplacedImage",
            Self::ReplacedSnapshot => "ReplacedSnapshot",
            Self::ImageParameters => "ImageParameters",
            Self::Keys => "Keys",
            Self::KeysForDisks => "KeysForDisks",
            Self::KeyGrants => "KeyGrants",
            Self::CopyRoles => "CopyRoles",
        }
    }

    /// Returns the members `Resource` and `Condition` of its statement. `None`: builds of this spec have no such
    /// resource.
    pub fn target(self, spec: &BuildSpec, caller: &Caller, arn_scope: &ArnScope) -> Option<Value> {
        let arns = Arns { arn_scope, home_region: spec.region.as_ref().or(arn_scope.region.as_ref()) };
        let regions: Vec<Option<&Region>> =
            std::iter::once(arns.home_region).chain(spec.image.regions.iter().map(Some)).collect();
        // The home region is not known: all regions are allowed.
        let regions = if arns.home_region.is_none() { vec![None] } else { regions };
        let all = |thing: &str| -> Vec<String> { regions.iter().map(|&region| arns.shared(region, thing)).collect() };
        Some(match self {
            Self::Describe => {
                let regions: Vec<&str> = regions.iter().flatten().map(|region| region.as_str()).collect();
                if regions.is_empty() {
                    json!({ "Resource": "*" })
                } else {
                    json!({ "Resource": "*", "Condition": { "StringEquals": { "ec2:Region": regions } } })
                }
            }
            Self::BaseParameter => match &spec.source {
                Source::Image(ImageQuery { parameter: Some(name), .. }) => json!({ "Resource": arns.parameter(name) }),
                _ => return None,
            },
            Self::NewVolume => json!({ "Resource": arns.own("volume/*"), "Condition": sets_build_tag() }),
            Self::BaseSnapshot => match spec.source {
                Source::Image(_) => json!({ "Resource": arns.shared(arns.home_region, "snapshot/*") }),
                Source::Scratch { .. } => return None,
            },
            Self::OwnVolume => json!({ "Resource": arns.own("volume/*"), "Condition": has_build_tag() }),
            Self::Host => match caller {
                Caller::Controller { stack } => json!({
                    "Resource": arns.own("instance/*"),
                    "Condition": { "StringEquals": { format!("aws:ResourceTag/{STACK_TAG}"): stack } },
                }),
                Caller::Instance { instance: Some(id) } => json!({ "Resource": arns.own(&format!("instance/{id}")) }),
                Caller::Instance { instance: None } => json!({ "Resource": arns.own("instance/*") }),
            },
            Self::NewSnapshot => json!({ "Resource": all("snapshot/*"), "Condition": sets_build_tag() }),
            Self::OwnSnapshot => json!({ "Resource": all("snapshot/*"), "Condition": has_build_tag() }),
            Self::NewImage => json!({ "Resource": all("image/*"), "Condition": sets_build_tag() }),
            Self::OwnImage => json!({ "Resource": all("image/*"), "Condition": has_build_tag() }),
            Self::NamedSnapshot => {
                let volumes = spec.image.block_device_mappings.iter().filter_map(|mapping| mapping.ebs.as_ref());
                let named = volumes.filter_map(|ebs| ebs.snapshot_id.as_ref());
                let named: Vec<String> =
                    named.map(|id| arns.shared(arns.home_region, &format!("snapshot/{id}"))).collect();
                if named.is_empty() {
                    return None;
                }
                json!({ "Resource": named })
            }
            Self::CopiedImage => {
                let owner = arn_scope.account.as_deref().unwrap_or("${aws:PrincipalAccount}");
                json!({
                    "Resource": arns.shared(arns.home_region, "image/*"),
                    "Condition": { "StringEquals": { "ec2:Owner": owner } },
                })
            }
            Self::NewTags => {
                let mut makers = vec!["CreateVolume", "CreateSnapshot", "RegisterImage"];
                makers.extend((!spec.image.regions.is_empty()).then_some("CopyImage"));
                let mut resources = vec![arns.own("volume/*")];
                resources.extend(all("snapshot/*"));
                resources.extend(all("image/*"));
                json!({ "Resource": resources, "Condition": { "StringEquals": { "ec2:CreateAction": makers } } })
            }
            Self::ReplacedImage | Self::ReplacedSnapshot if !spec.image.replacement.force_deregister => return None,
            Self::ReplacedImage => owned(arn_scope, &all("image/*")),
            Self::ReplacedSnapshot => owned(arn_scope, &all("snapshot/*")),
            Self::ImageParameters => {
                let names = &spec.image.lifecycle.parameters;
                if names.is_empty() {
                    return None;
                }
                let patterns = names.iter().map(|name| arns.parameter_pattern(&name.0));
                json!({ "Resource": patterns.collect::<Vec<_>>() })
            }
            Self::Keys => json!({ "Resource": arns.keys() }),
            Self::KeysForDisks => json!({
                "Resource": arns.keys(),
                "Condition": { "StringLike": { "kms:ViaService": "ec2.*.amazonaws.com" } },
            }),
            Self::KeyGrants => json!({
                "Resource": arns.keys(),
                "Condition": { "Bool": { "kms:GrantIsForAWSResource": "true" } },
            }),
            Self::CopyRoles => {
                let roles: BTreeSet<&str> =
                    spec.image.account_copies.iter().map(|block| block.role.arn.as_str()).collect();
                json!({ "Resource": roles })
            }
        })
    }
}

/// Returns resources that belong to the account.
fn owned(arn_scope: &ArnScope, resources: &[String]) -> Value {
    let owner = arn_scope.account.as_deref().unwrap_or("${aws:PrincipalAccount}");
    json!({ "Resource": resources, "Condition": { "StringEquals": { "ec2:Owner": owner } } })
}

/// Returns the condition that the request sets a build's tag.
fn sets_build_tag() -> Value {
    json!({ "StringLike": { format!("aws:RequestTag/{BUILD_TAG}"): BUILD_IDS } })
}

/// Returns the condition that the resource carries a build's tag.
fn has_build_tag() -> Value {
    json!({ "StringLike": { format!("aws:ResourceTag/{BUILD_TAG}"): BUILD_IDS } })
}

struct Arns<'a> {
    arn_scope: &'a ArnScope,
    home_region: Option<&'a Region>,
}

impl Arns<'_> {
    fn region(region: Option<&Region>) -> &str {
        region.map_or("*", Region::as_str)
    }

    /// Returns the ARN of resources of the account, in the region in which the build runs.
    fn own(&self, thing: &str) -> String {
        let account = self.arn_scope.account.as_deref().unwrap_or("*");
        format!("arn:{}:ec2:{}:{account}:{thing}", self.arn_scope.partition, Self::region(self.home_region))
    }

    /// Returns the ARN of snapshots or images, which names no account.
    fn shared(&self, region: Option<&Region>, thing: &str) -> String {
        format!("arn:{}:ec2:{}::{thing}", self.arn_scope.partition, Self::region(region))
    }

    /// Returns the ARN of all keys of the account, in any region: an alias says nothing of its key.
    fn keys(&self) -> String {
        let account = self.arn_scope.account.as_deref().unwrap_or("*");
        format!("arn:{}:kms:*:{account}:key/*", self.arn_scope.partition)
    }

    /// Returns the ARN of a parameter that is written, in any region; what its name renders later may be anything.
    fn parameter_pattern(&self, name: &str) -> String {
        let account = self.arn_scope.account.as_deref().unwrap_or("*");
        let start = name.split("{{").next().unwrap_or_default().trim_start_matches('/');
        let rest = if name.contains("{{") { "*" } else { "" };
        format!("arn:{}:ssm:*:{account}:parameter/{start}{rest}", self.arn_scope.partition)
    }

    /// Returns the ARN of a parameter, given its name, which may end in a version or a label, or its ARN.
    fn parameter(&self, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        let name = name.split(':').next().unwrap_or(name).trim_start_matches('/');
        // AWS's own parameters belong to no account.
        let account =
            if name.starts_with("aws/service/") { "" } else { self.arn_scope.account.as_deref().unwrap_or("*") };
        format!("arn:{}:ssm:{}:{account}:parameter/{name}", self.arn_scope.partition, Self::region(self.home_region))
    }
}
