//! Decides which jobs are refused. The controller checks the same before; the host does not rely on it.

use std::path::{Component, Path};

use bakehouse_protocol::{
    AgentPhase, Failure, Job, Outcome, Proof,
    spec::{self, Provisioner, SourceFile},
};

use crate::settings::Settings;

/// Returns the outcome of a job that is refused.
pub fn refusal(job: &Job, settings: &Settings) -> Option<Outcome> {
    if settings.stack.allow_host_access {
        return None;
    }
    let hint = "leave that out, or let the operator of the stack set the parameter AllowHostAccess";
    let steps = job.provisioners.iter().chain(&job.error_cleanup);
    let options: Vec<_> = job.chroot.host_access().chain(spec::host_access(steps)).collect();
    if !options.is_empty() {
        let message = format!("this host does not allow templates to access it, as these need: {}", options.join(", "));
        return Some(failed(message, Some(hint.to_owned())));
    }
    let outside = |file: &&SourceFile| {
        let inside = Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_)));
        job.bundle.is_none() || !inside
    };
    sources(job).into_iter().find(outside).map(|file| {
        let message = format!("{} is a file of this host, to which templates have no access", file.written);
        failed(message, Some(hint.to_owned()))
    })
}

/// Returns the files that a job reads.
pub fn sources(job: &Job) -> Vec<&SourceFile> {
    job.provisioners.iter().chain(&job.error_cleanup).flat_map(Provisioner::source_files).collect()
}

/// Returns the outcome of a job that failed before it used the volume.
pub fn failed(message: String, hint: Option<String>) -> Outcome {
    let failure = Failure { phase: AgentPhase::Find, provisioner: None, message, tail: Vec::new(), hint };
    Outcome::Failed { failure, proof: Some(untouched()) }
}

/// Returns the proof for a volume that was never used.
pub fn untouched() -> Proof {
    Proof { device: String::new(), filesystem: String::new(), killed: Vec::new() }
}
