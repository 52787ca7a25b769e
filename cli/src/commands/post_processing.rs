//! What follows a build that has succeeded: its post-processors, on this machine.

use std::path::Path;

use bakehouse_controller::mask::Mask;
use bakehouse_machine::Build;
use bakehouse_protocol::Timestamp;

use crate::{
    post_processors::{Artifact, PostEvent, Run, fields, run_chains},
    report::{CliError, Exit},
    summary,
};

/// What the post-processors of all builds of a command share.
#[derive(Clone)]
pub(super) struct PostProcessing {
    /// `PACKER_RUN_UUID`: one for each run of the command.
    pub(super) run_uuid: String,
    /// `-force`.
    pub(super) force: bool,
}

impl PostProcessing {
    /// Runs the post-processors of a build. `device` is the device name that its volume had. Returns why they failed,
    /// if they did: the images stay.
    pub(super) fn run(
        &self,
        build: &Build,
        device: &str,
        mask: &Mask,
        now: Timestamp,
        is_cancelled: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(PostEvent<'_>),
    ) -> Option<CliError> {
        let chains = &build.spec.post_processors;
        // Packer's artifacts know regions only: copies that other accounts own are not in them.
        let own = summary::artifacts(build, None).into_iter().filter(|image| image.account.is_none());
        let images = own.map(|image| (image.region, image.id)).collect();
        let data = build.plan.as_ref().map(|plan| plan.data.clone()).unwrap_or_default();
        let directory = match build.spec.working_directory.as_str() {
            "" => Path::new("/"),
            directory => Path::new(directory),
        };
        let run = Run {
            artifact: &Artifact { build_name: build.spec.name.clone(), images },
            run_uuid: &self.run_uuid,
            force: self.force,
            fields: &fields(&data, device, &build.spec.chroot.mount_path, now),
            now,
            directory,
            temporary: &std::env::temp_dir(),
            mask,
            is_cancelled,
        };
        let failed = run_chains(chains, &run, tell);
        let messages: Vec<String> = failed
            .iter()
            .map(|(name, error)| {
                let (name, message) = (mask.apply(name), bakehouse_protocol::chain(error));
                format!("post-processor {name}: {}", mask.apply(&message))
            })
            .collect();
        if messages.is_empty() {
            return None;
        }
        let error = CliError::failed(messages.join("; ")).hint("the images are there: see below, or `bakehouse show`");
        Some(if is_cancelled() { error.with_exit(Exit::Cancelled) } else { error })
    }
}
