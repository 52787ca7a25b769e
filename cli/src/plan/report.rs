//! What a build would do, in a form for people and for programs.

use bakehouse_agent::step_title;
use bakehouse_controller::mask::Mask;
use bakehouse_ec2::resource::Image;
use bakehouse_machine::{AccountRegion, phase::PhaseName};
use bakehouse_protocol::{BuildSpec, ImageId, Region, spec::Action};
use bakehouse_runner::dry_run::{DryRun, PlannedCall};
use serde::Serialize;

use super::{
    attributes::{Attribute, attributes},
    estimate::{Estimate, estimate},
};

/// Whether the source image was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assumed {
    /// It was.
    No,
    /// No cloud was asked: an ordinary image was assumed.
    Source,
}

/// What a build would do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlanReport {
    /// The build's name.
    pub(crate) build: String,
    /// The name of the image.
    pub(crate) image: String,
    /// Where it is made.
    pub(crate) region: Region,
    /// Where it is copied to.
    pub(crate) copies: Vec<Region>,
    /// The copies that other accounts own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) account_copies: Vec<AccountCopy>,
    /// `null` from scratch.
    pub(crate) source: Option<SourceImage>,
    /// The size of the work volume, in GiB.
    pub(crate) volume_size: u32,
    /// The phases with the calls that change something, in order.
    pub(crate) phases: Vec<PlannedPhase>,
    /// What the image inherits, changes and loses.
    pub(crate) attributes: Vec<Attribute>,
    /// Without the time of the template's steps.
    pub(crate) estimate: Estimate,
}

/// A copy that another account owns.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AccountCopy {
    pub(crate) account: String,
    pub(crate) region: Region,
}

/// The source image.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SourceImage {
    /// `null` if no cloud was asked.
    pub(crate) id: Option<ImageId>,
    pub(crate) name: String,
    pub(crate) owner: String,
    /// Whether no cloud was asked, so that an ordinary image was assumed.
    pub(crate) assumed: bool,
}

/// A phase of a build.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlannedPhase {
    pub(crate) phase: PhaseName,
    /// How long after the start it begins.
    pub(crate) at_seconds: u64,
    /// What the host does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps: Vec<String>,
    /// What is asked of EC2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) calls: Vec<PlannedCall>,
}

impl PlanReport {
    /// Returns the report of a dry run. Sensitive values are masked.
    pub(crate) fn new(
        spec: &BuildSpec,
        region: &Region,
        source: Option<&Image>,
        assumed: Assumed,
        run: DryRun,
        mask: &Mask,
    ) -> Self {
        let start = run.phases.first().map_or(0, |(_, at)| at.0);
        let length = run.phases.last().map_or(0, |(_, at)| at.0).saturating_sub(start);
        let mut calls = run.calls;
        for (_, value) in calls.iter_mut().flat_map(|call| &mut call.parameters) {
            *value = mask.apply(value).into_owned();
        }
        let phase = |(phase, at): &(PhaseName, bakehouse_protocol::Timestamp)| PlannedPhase {
            phase: *phase,
            at_seconds: at.0.saturating_sub(start) / 1000,
            steps: if *phase == PhaseName::Provisioning { steps(spec, mask) } else { Vec::new() },
            calls: calls.iter().filter(|call| call.phase == *phase).cloned().collect(),
        };
        let plan = run.plan;
        let kept = !spec.image.copying.skip_save_build_region;
        let account_copy = |copy: AccountRegion| {
            let account = copy.account()?.to_owned();
            Some(AccountCopy { account, region: copy.region })
        };
        let transfers = plan.copies.iter().filter(|copy| copy.region != *region).count();
        let copies = plan.copies.len();
        Self {
            build: mask.apply(&spec.display_name).into_owned(),
            image: mask.apply(&plan.register.name).into_owned(),
            region: region.clone(),
            source: source.map(|image| SourceImage {
                id: (assumed == Assumed::No).then(|| image.image_id.clone()),
                name: image.name.clone(),
                owner: image.image_owner_alias.clone().unwrap_or_else(|| image.owner_id.clone()),
                assumed: assumed == Assumed::Source,
            }),
            volume_size: plan.volume.size,
            phases: run.phases.iter().map(phase).collect(),
            attributes: source
                .map(|source| {
                    attributes(source, &plan.register, &mask.apply(&plan.in_region(&region.into()).description))
                })
                .unwrap_or_default(),
            estimate: estimate(bakehouse_protocol::Millis(length), plan.volume.size, (copies, transfers), kept),
            copies: plan.copies.iter().filter_map(AccountRegion::own).cloned().collect(),
            account_copies: plan.copies.into_iter().filter_map(account_copy).collect(),
        }
    }
}

/// Returns what the host does, a line each.
fn steps(spec: &BuildSpec, mask: &Mask) -> Vec<String> {
    let command = |option: &str, text: &str| format!("{option}: {}", mask.apply(text));
    let pre = spec.chroot.pre_mount_commands.iter().map(|it| command("pre_mount_commands", &it.0));
    let post = spec.chroot.post_mount_commands.iter().map(|it| command("post_mount_commands", &it.0));
    let title = |action: &Action| step_title(action, mask);
    let cleanup = spec.error_cleanup.iter().map(|step| format!("if a step fails: {}", title(&step.action)));
    let mount = std::iter::once("mount the root".to_owned());
    let provisioners = spec.provisioners.iter().map(|step| title(&step.action));
    pre.chain(mount).chain(post).chain(provisioners).chain(cleanup).collect()
}
