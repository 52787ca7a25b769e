//! On what an action acts, and how far IAM can hold it to that.
//!
//! A create call is asked about what it makes and about what it makes it from, each with conditions of its own: what it
//! makes must carry the build's tag in the same request; what it makes it from, and everything that is changed or
//! removed, must carry it already. (AWS's service authorization reference, "Actions, resources, and condition keys for
//! Amazon EC2".)

use bakehouse_machine::advance::BUILD_TAG;
use bakehouse_protocol::{
    BuildSpec, Region,
    spec::{ImageQuery, Source},
};
use serde_json::{Value, json};

use crate::policy::{
    calls::Action,
    target::{For, Place, STACK_TAG},
};

/// What the ids of builds begin with.
const BUILDS: &str = "b-*";

/// A set of resources and the conditions under which they may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Anything at all: actions that only look know no resources.
    Look,
    /// Parameters that name a base image.
    BaseParameter,
    /// A volume that is being made, with the build's tag.
    NewVolume,
    /// The base image's snapshot, which is anybody's.
    BaseSnapshot,
    /// A build's volume.
    OwnVolume,
    /// An instance that volumes may be attached to.
    Host,
    /// A snapshot that is being made, with the build's tag.
    NewSnapshot,
    /// A build's snapshot.
    OwnSnapshot,
    /// An image that is being made, with the build's tag.
    NewImage,
    /// A build's image.
    OwnImage,
    /// Snapshots that the template's mappings name.
    NamedSnapshot,
    /// The image that is copied: EC2 knows no tag condition for it, but the owner.
    CopiedImage,
    /// Tags that come with a create call.
    NewTags,
}

/// What an action acts on.
pub fn of(action: Action) -> &'static [Scope] {
    match action {
        Action::DescribeRegions | Action::DescribeImages | Action::DescribeSnapshots | Action::DescribeVolumes => {
            &[Scope::Look]
        }
        Action::CreateVolume => &[Scope::NewVolume, Scope::BaseSnapshot],
        Action::AttachVolume | Action::DetachVolume => &[Scope::OwnVolume, Scope::Host],
        Action::DeleteVolume => &[Scope::OwnVolume],
        Action::CreateSnapshot => &[Scope::OwnVolume, Scope::NewSnapshot],
        Action::DeleteSnapshot => &[Scope::OwnSnapshot],
        Action::RegisterImage => &[Scope::NewImage, Scope::OwnSnapshot, Scope::NamedSnapshot],
        Action::CopyImage => &[Scope::NewImage, Scope::NewSnapshot, Scope::CopiedImage],
        Action::ModifyImageAttribute | Action::DeregisterImage => &[Scope::OwnImage],
        Action::CreateTags => &[Scope::NewTags, Scope::OwnSnapshot, Scope::OwnImage],
        Action::GetParameter => &[Scope::BaseParameter],
    }
}

impl Scope {
    /// The name of its statement.
    pub fn sid(self) -> &'static str {
        match self {
            Self::Look => "Look",
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
        }
    }

    /// The members `Resource` and `Condition` of its statement. `None`: with this spec there is nothing of the kind.
    pub fn target(self, spec: &BuildSpec, who: &For, place: &Place) -> Option<Value> {
        let arns = Arns { place, home: spec.region.as_ref().or(place.region.as_ref()) };
        let everywhere: Vec<Option<&Region>> =
            std::iter::once(arns.home).chain(spec.image.regions.iter().map(Some)).collect();
        // The home region is open: so are all.
        let everywhere = if arns.home.is_none() { vec![None] } else { everywhere };
        let all =
            |thing: &str| -> Vec<String> { everywhere.iter().map(|&region| arns.shared(region, thing)).collect() };
        Some(match self {
            Self::Look => {
                let regions: Vec<&str> = everywhere.iter().flatten().map(|region| region.as_str()).collect();
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
            Self::NewVolume => json!({ "Resource": arns.own("volume/*"), "Condition": requested() }),
            Self::BaseSnapshot => match spec.source {
                Source::Image(_) => json!({ "Resource": arns.shared(arns.home, "snapshot/*") }),
                Source::Scratch { .. } => return None,
            },
            Self::OwnVolume => json!({ "Resource": arns.own("volume/*"), "Condition": tagged() }),
            Self::Host => match who {
                For::Controller { stack } => json!({
                    "Resource": arns.own("instance/*"),
                    "Condition": { "StringEquals": { format!("aws:ResourceTag/{STACK_TAG}"): stack } },
                }),
                For::Here { instance: Some(id) } => json!({ "Resource": arns.own(&format!("instance/{id}")) }),
                For::Here { instance: None } => json!({ "Resource": arns.own("instance/*") }),
            },
            Self::NewSnapshot => json!({ "Resource": all("snapshot/*"), "Condition": requested() }),
            Self::OwnSnapshot => json!({ "Resource": all("snapshot/*"), "Condition": tagged() }),
            Self::NewImage => json!({ "Resource": all("image/*"), "Condition": requested() }),
            Self::OwnImage => json!({ "Resource": all("image/*"), "Condition": tagged() }),
            Self::NamedSnapshot => {
                let volumes = spec.image.block_device_mappings.iter().filter_map(|mapping| mapping.ebs.as_ref());
                let named = volumes.filter_map(|ebs| ebs.snapshot_id.as_ref());
                let named: Vec<String> = named.map(|id| arns.shared(arns.home, &format!("snapshot/{id}"))).collect();
                if named.is_empty() {
                    return None;
                }
                json!({ "Resource": named })
            }
            Self::CopiedImage => {
                let owner = place.account.as_deref().unwrap_or("${aws:PrincipalAccount}");
                json!({
                    "Resource": arns.shared(arns.home, "image/*"),
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
        })
    }
}

/// The request gives the new thing a build's tag.
fn requested() -> Value {
    json!({ "StringLike": { format!("aws:RequestTag/{BUILD_TAG}"): BUILDS } })
}

/// The thing carries a build's tag.
fn tagged() -> Value {
    json!({ "StringLike": { format!("aws:ResourceTag/{BUILD_TAG}"): BUILDS } })
}

struct Arns<'a> {
    place: &'a Place,
    home: Option<&'a Region>,
}

impl Arns<'_> {
    fn region(region: Option<&Region>) -> &str {
        region.map_or("*", Region::as_str)
    }

    /// Of things that belong to the account, in the region in which the build runs.
    fn own(&self, thing: &str) -> String {
        let account = self.place.account.as_deref().unwrap_or("*");
        format!("arn:{}:ec2:{}:{account}:{thing}", self.place.partition, Self::region(self.home))
    }

    /// Of snapshots and images, whose ARNs name no account.
    fn shared(&self, region: Option<&Region>, thing: &str) -> String {
        format!("arn:{}:ec2:{}::{thing}", self.place.partition, Self::region(region))
    }

    /// Of a parameter by its name, which may end in a version or a label, or by its ARN.
    fn parameter(&self, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        let name = name.split(':').next().unwrap_or(name).trim_start_matches('/');
        // AWS's own belong to no account.
        let account = if name.starts_with("aws/service/") { "" } else { self.place.account.as_deref().unwrap_or("*") };
        format!("arn:{}:ssm:{}:{account}:parameter/{name}", self.place.partition, Self::region(self.home))
    }
}
