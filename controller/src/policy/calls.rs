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
    DescribeInstances,
    DescribeImageAttribute,
    ModifySnapshotAttribute,
    EnableImageDeprecation,
    EnableImageDeregistrationProtection,
    DisableImageDeregistrationProtection,
    AttachImageWatermark,
    GetParameter,
    PutParameter,
    DeleteParameter,
    DescribeKey,
    Decrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    ReEncryptFrom,
    ReEncryptTo,
    CreateGrant,
    AssumeRole,
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
            Self::DescribeInstances => "ec2:DescribeInstances",
            Self::DescribeImageAttribute => "ec2:DescribeImageAttribute",
            Self::ModifySnapshotAttribute => "ec2:ModifySnapshotAttribute",
            Self::EnableImageDeprecation => "ec2:EnableImageDeprecation",
            Self::EnableImageDeregistrationProtection => "ec2:EnableImageDeregistrationProtection",
            Self::DisableImageDeregistrationProtection => "ec2:DisableImageDeregistrationProtection",
            Self::AttachImageWatermark => "ec2:AttachImageWatermark",
            Self::GetParameter => "ssm:GetParameter",
            Self::PutParameter => "ssm:PutParameter",
            Self::DeleteParameter => "ssm:DeleteParameter",
            Self::DescribeKey => "kms:DescribeKey",
            Self::Decrypt => "kms:Decrypt",
            Self::GenerateDataKey => "kms:GenerateDataKey",
            Self::GenerateDataKeyWithoutPlaintext => "kms:GenerateDataKeyWithoutPlaintext",
            Self::ReEncryptFrom => "kms:ReEncryptFrom",
            Self::ReEncryptTo => "kms:ReEncryptTo",
            Self::CreateGrant => "kms:CreateGrant",
            Self::AssumeRole => "sts:AssumeRole",
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
    ShareImage,
    WatermarkImage,
    ReplaceImage,
    RestoreReplaced,
    PublishImage,
    PutParameter,
    RestoreParameter,
    ProtectImage,
    RetireImages,
    RemoveImage,
    FindTagged,
}

impl CommandKind {
    /// All kinds.
    pub const ALL: [Self; 23] = [
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
        Self::ShareImage,
        Self::WatermarkImage,
        Self::ReplaceImage,
        Self::RestoreReplaced,
        Self::PublishImage,
        Self::PutParameter,
        Self::RestoreParameter,
        Self::ProtectImage,
        Self::RetireImages,
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
            CommandKey::ShareImage | CommandKey::UnshareImage => Self::ShareImage,
            CommandKey::WatermarkImage(_) => Self::WatermarkImage,
            CommandKey::DeregisterReplaced(_) | CommandKey::RegisterFinal(_) | CommandKey::RemoveTemporary(_) => {
                Self::ReplaceImage
            }
            CommandKey::RestoreReplaced(_) => Self::RestoreReplaced,
            CommandKey::PutParameter(..) => Self::PutParameter,
            CommandKey::RestoreParameter(..) => Self::RestoreParameter,
            CommandKey::ProtectImage(_) => Self::ProtectImage,
            CommandKey::FindOldImages(_) | CommandKey::RetireImage(..) => Self::RetireImages,
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
            Self::Resolve => {
                &[DescribeRegions, DescribeImages, DescribeSnapshots, DescribeImageAttribute, GetParameter, DescribeKey]
            }
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
            Self::ShareImage => &[ModifyImageAttribute, ModifySnapshotAttribute],
            Self::WatermarkImage => &[AttachImageWatermark, DescribeImages],
            Self::ReplaceImage => &[DeregisterImage, RegisterImage, CreateTags, DescribeImages],
            Self::RestoreReplaced => &[RegisterImage, CreateTags, DescribeImages, ModifyImageAttribute],
            Self::PublishImage => &[ModifyImageAttribute, ModifySnapshotAttribute, EnableImageDeprecation, CreateTags],
            Self::PutParameter => &[GetParameter, PutParameter],
            Self::RestoreParameter => &[GetParameter, PutParameter, DeleteParameter],
            Self::ProtectImage => &[EnableImageDeregistrationProtection],
            Self::RetireImages => {
                &[DescribeImages, DescribeInstances, DescribeSnapshots, DeregisterImage, DeleteSnapshot]
            }
            Self::RemoveImage => &[
                DescribeImages,
                DisableImageDeregistrationProtection,
                DeregisterImage,
                DescribeSnapshots,
                DeleteSnapshot,
            ],
            Self::FindTagged => &[DescribeImages, DescribeSnapshots, DescribeVolumes],
        }
    }
}

/// What EBS does with a key on behalf of the caller who makes, attaches or copies something encrypted (EBS user guide,
/// "Requirements for Amazon EBS encryption"). No command calls them.
const ENCRYPTING: [Action; 6] = [
    Action::Decrypt,
    Action::GenerateDataKey,
    Action::GenerateDataKeyWithoutPlaintext,
    Action::ReEncryptFrom,
    Action::ReEncryptTo,
    Action::CreateGrant,
];

/// Returns the actions that builds of this spec may need, including those that undo a build.
pub fn required_actions(spec: &BuildSpec) -> BTreeSet<Action> {
    let image = &spec.image;
    let ImageSpec {
        users,
        groups,
        product_codes,
        sharing,
        attributes,
        encryption,
        replacement,
        copying,
        account_copies,
        lifecycle,
        ..
    } = image;
    let copies_to_accounts = !account_copies.is_empty();
    let is_any = |lists: &[&Vec<String>]| lists.iter().any(|list| !list.is_empty());
    let is_launched_by_others = is_any(&[users, groups, &sharing.org_arns, &sharing.ou_arns]);
    let shares_snapshots = is_any(&[&sharing.snapshot_users, &sharing.snapshot_groups]);
    let sets_image_attribute = is_launched_by_others || !product_codes.is_empty();
    let names_keys = encryption.kms_key_id.is_some()
        || spec.volume.kms_key_id.is_some()
        || encryption.region_kms_key_ids.values().any(|key| !key.is_empty());
    let mut kinds = CommandKind::ALL.to_vec();
    kinds.retain(|kind| match kind {
        CommandKind::CopyImage => !image.regions.is_empty(),
        CommandKind::ShareImage => copies_to_accounts,
        CommandKind::WatermarkImage => !attributes.watermarks.is_empty(),
        CommandKind::ReplaceImage | CommandKind::RestoreReplaced => replacement.force_deregister,
        CommandKind::PutParameter | CommandKind::RestoreParameter => !lifecycle.parameters.is_empty(),
        CommandKind::ProtectImage => lifecycle.deregistration_protection.is_some(),
        CommandKind::RetireImages => replacement.keep.is_some() || replacement.force_delete_snapshot,
        _ => true,
    });
    let mut actions: BTreeSet<Action> = kinds.into_iter().flat_map(CommandKind::actions).copied().collect();
    let mut keep = |action: Action, is_needed: bool| {
        if !is_needed {
            actions.remove(&action);
        }
    };
    keep(Action::DescribeRegions, !copying.skip_region_validation);
    keep(Action::DescribeImageAttribute, replacement.force_deregister);
    // A replaced image's launch permissions are restored.
    let modifies_image = sets_image_attribute || replacement.force_deregister || copies_to_accounts;
    keep(Action::ModifyImageAttribute, modifies_image);
    keep(Action::ModifySnapshotAttribute, shares_snapshots || copies_to_accounts);
    keep(Action::EnableImageDeprecation, lifecycle.deprecation.is_some());
    keep(Action::DisableImageDeregistrationProtection, lifecycle.deregistration_protection.is_some());
    keep(Action::DescribeInstances, replacement.keep.is_some());
    // The key of a source is looked at if the image is shared.
    keep(Action::DescribeKey, names_keys || is_launched_by_others || shares_snapshots || copies_to_accounts);
    let names_parameters = !lifecycle.parameters.is_empty();
    let is_from_parameter = matches!(&spec.source, Source::Image(query) if query.parameter.is_some());
    keep(Action::GetParameter, is_from_parameter || names_parameters);
    if names_keys || encryption.encrypt_boot == Some(true) || spec.volume.encrypted == Some(true) {
        actions.extend(ENCRYPTING);
    }
    // All other calls for those copies are the role's.
    actions.extend(copies_to_accounts.then_some(Action::AssumeRole));
    actions
}
