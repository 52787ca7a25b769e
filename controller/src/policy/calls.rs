//! The IAM actions that each command of the machine needs.

use std::collections::BTreeSet;

use bakehouse_machine::{CommandKey, resources::Resource};
use bakehouse_protocol::{
    BuildSpec,
    spec::{ImageSpec, Source},
};

/// An action of IAM that a build may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are EC2's calls")]
pub enum Action {
    DescribeRegions,
    DescribeImages,
    DescribeSnapshots,
    DescribeVolumes,
    CreateVolume,
    AttachVolume,
    DetachVolume,
    DeleteVolume,
    CreateSnapshot,
    DeleteSnapshot,
    RegisterImage,
    CopyImage,
    ModifyImageAttribute,
    DeregisterImage,
    CreateTags,
    GetParameter,
}

impl Action {
    /// IAM's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DescribeRegions => "ec2:DescribeRegions",
            Self::DescribeImages => "ec2:DescribeImages",
            Self::DescribeSnapshots => "ec2:DescribeSnapshots",
            Self::DescribeVolumes => "ec2:DescribeVolumes",
            Self::CreateVolume => "ec2:CreateVolume",
            Self::AttachVolume => "ec2:AttachVolume",
            Self::DetachVolume => "ec2:DetachVolume",
            Self::DeleteVolume => "ec2:DeleteVolume",
            Self::CreateSnapshot => "ec2:CreateSnapshot",
            Self::DeleteSnapshot => "ec2:DeleteSnapshot",
            Self::RegisterImage => "ec2:RegisterImage",
            Self::CopyImage => "ec2:CopyImage",
            Self::ModifyImageAttribute => "ec2:ModifyImageAttribute",
            Self::DeregisterImage => "ec2:DeregisterImage",
            Self::CreateTags => "ec2:CreateTags",
            Self::GetParameter => "ssm:GetParameter",
        }
    }
}

/// The commands that need rights, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are the keys of the machine's commands")]
pub enum CommandKind {
    Resolve,
    CreateVolume,
    DescribeVolume,
    AttachVolume,
    DetachVolume,
    DeleteVolume,
    CreateSnapshot,
    DescribeSnapshot,
    DeleteSnapshot,
    RegisterImage,
    CopyImage,
    DescribeImage,
    PublishImage,
    RemoveImage,
    FindTagged,
}

impl CommandKind {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::Resolve,
        Self::CreateVolume,
        Self::DescribeVolume,
        Self::AttachVolume,
        Self::DetachVolume,
        Self::DeleteVolume,
        Self::CreateSnapshot,
        Self::DescribeSnapshot,
        Self::DeleteSnapshot,
        Self::RegisterImage,
        Self::CopyImage,
        Self::DescribeImage,
        Self::PublishImage,
        Self::RemoveImage,
        Self::FindTagged,
    ];

    /// Returns the kind of a command. `None`: it makes no call to EC2 (leases are in the table, jobs in the host's
    /// queue).
    pub fn of(key: &CommandKey) -> Option<Self> {
        Some(match key {
            CommandKey::Lease
            | CommandKey::RenewLease
            | CommandKey::Release
            | CommandKey::SendJob
            | CommandKey::StopJob => return None,
            CommandKey::Resolve => Self::Resolve,
            CommandKey::CreateVolume => Self::CreateVolume,
            CommandKey::DescribeVolume => Self::DescribeVolume,
            CommandKey::AttachVolume => Self::AttachVolume,
            CommandKey::DetachVolume => Self::DetachVolume,
            CommandKey::DeleteVolume | CommandKey::RemoveOrphan(Resource::Volume(..)) => Self::DeleteVolume,
            CommandKey::CreateSnapshot => Self::CreateSnapshot,
            CommandKey::DescribeSnapshot => Self::DescribeSnapshot,
            CommandKey::DeleteSnapshot | CommandKey::RemoveOrphan(Resource::Snapshot(..)) => Self::DeleteSnapshot,
            CommandKey::RegisterImage => Self::RegisterImage,
            CommandKey::CopyImage(_) => Self::CopyImage,
            CommandKey::DescribeImage(_) => Self::DescribeImage,
            CommandKey::PublishImage(_) => Self::PublishImage,
            CommandKey::RemoveImage(_) | CommandKey::RemoveOrphan(Resource::Image(..)) => Self::RemoveImage,
            CommandKey::FindTagged(_) => Self::FindTagged,
        })
    }

    /// Returns the actions that such a command may need, as `cloud.rs` and `resolve.rs` implement it, including the
    /// describe call of a retry after a lost response. A create call with tags also needs CreateTags. A test performs
    /// the commands on the embedded cloud and compares.
    pub fn actions(self) -> &'static [Action] {
        use Action::*;
        match self {
            Self::Resolve => &[DescribeRegions, DescribeImages, DescribeSnapshots, GetParameter],
            Self::CreateVolume => &[CreateVolume, CreateTags],
            Self::DescribeVolume => &[DescribeVolumes],
            Self::AttachVolume => &[AttachVolume, DescribeVolumes],
            Self::DetachVolume => &[DetachVolume, DescribeVolumes],
            Self::DeleteVolume => &[DeleteVolume, DescribeVolumes],
            Self::CreateSnapshot => &[CreateSnapshot, CreateTags, DescribeSnapshots],
            Self::DescribeSnapshot => &[DescribeSnapshots],
            Self::DeleteSnapshot => &[DeleteSnapshot],
            Self::RegisterImage => &[RegisterImage, CreateTags, DescribeImages],
            Self::CopyImage => &[CopyImage, CreateTags],
            Self::DescribeImage => &[DescribeImages],
            Self::PublishImage => &[ModifyImageAttribute, CreateTags],
            Self::RemoveImage => &[DescribeImages, DeregisterImage, DescribeSnapshots, DeleteSnapshot],
            Self::FindTagged => &[DescribeImages, DescribeSnapshots, DescribeVolumes],
        }
    }
}

/// Returns the actions that builds of this spec may need, including those that undo a build.
pub fn required_actions(spec: &BuildSpec) -> BTreeSet<Action> {
    let ImageSpec { users, groups, product_codes, regions, .. } = &spec.image;
    let mut kinds = CommandKind::ALL.to_vec();
    if regions.is_empty() {
        kinds.retain(|kind| *kind != CommandKind::CopyImage);
    }
    let mut actions: BTreeSet<Action> = kinds.into_iter().flat_map(CommandKind::actions).copied().collect();
    if users.is_empty() && groups.is_empty() && product_codes.is_empty() {
        actions.remove(&Action::ModifyImageAttribute);
    }
    if !matches!(&spec.source, Source::Image(query) if query.parameter.is_some()) {
        actions.remove(&Action::GetParameter);
    }
    actions
}
