//! Jobs and reports for tests.

use std::time::Duration;

use bakehouse_protocol::{
    BuildId, BundleRef, DeferredTemplate, HostMessage, Job, Millis, Proof, ReportBody, RunData, VERSION, VolumeId,
    report::Stream,
    spec::{Action, ChrootSpec, Provisioner, Script, Shell, SourceFile, Virtualization},
};
use tokio::time;

pub(super) fn build(number: u32) -> BuildId {
    BuildId::from_parts(1, number)
}

pub(super) fn job(number: u32) -> Job {
    Job {
        version: VERSION,
        build: build(number),
        attempt: 1,
        volume: VolumeId::new("vol-01234567").unwrap(),
        volume_size: 1,
        grow: false,
        from_scratch: false,
        virtualization: Virtualization::Hvm,
        chroot: ChrootSpec { mount_path: DeferredTemplate("/mnt".into()), ..ChrootSpec::default() },
        provisioners: vec![],
        error_cleanup: None,
        working_directory: String::new(),
        data: RunData::default(),
        files: "/".into(),
        bundle: None,
        disk_deadline: Millis::minutes(5),
        heartbeat: Millis::seconds(20),
        sensitive: vec![],
        grace: Millis::seconds(10),
    }
}

pub(super) fn attempt(number: u32, attempt: u32) -> HostMessage {
    HostMessage::Job { job: Job { attempt, ..job(number) } }
}

pub(super) fn with_script(mut job: Job, path: &str, bundle: Option<BundleRef>) -> Job {
    let file = SourceFile { written: "setup.sh".into(), path: path.into() };
    let shell = Shell { scripts: vec![Script::File(file)], valid_exit_codes: vec![0], ..Shell::default() };
    job.provisioners = vec![Provisioner::new(Action::Shell(shell))];
    job.bundle = bundle;
    job
}

pub(super) fn proof() -> Proof {
    Proof { device: "/dev/nvme1n1".into(), filesystem: "ext4".into(), killed: vec![] }
}

pub(super) fn output(line: &str) -> ReportBody {
    ReportBody::Output { stream: Stream::Stdout, line: line.into() }
}

pub(super) async fn sleep(seconds: u64) {
    time::sleep(Duration::from_secs(seconds)).await;
}
