//! The fake agent: waits for its disk in the model, mounts it, works, and reports the outcome until the controller has
//! it.

use bakehouse_localcloud::{Ec2 as _, VirtualCloud, request::DescribeVolumes, resource::AttachmentState};
use bakehouse_machine::{Event, JobStage};
use bakehouse_protocol::{
    AgentPhase, BuildId, Failure, Job, Millis, Outcome, Proof, Region, Report, ReportBody, Timestamp, VERSION,
};
use pollster::FutureExt as _;

use crate::{
    agent_job::{AgentJob, Stage, host},
    state::{Due, State},
};

const STEP: Millis = Millis::seconds(1);

/// Takes a job, but not the same one twice.
pub fn take(state: &mut State, job: &Job, now: Timestamp) {
    if state.agents.get(&job.build).is_some_and(|fake| fake.job.attempt >= job.attempt) {
        return;
    }
    let fake = AgentJob { job: job.clone(), stage: Stage::Waiting, began: now };
    state.agents.insert(job.build.clone(), fake);
    state.push(now + STEP, Due::Agent(job.build.clone()));
}

/// Stops a job; returns whether the agent knows it.
pub fn stop(state: &mut State, build: &BuildId, now: Timestamp) -> bool {
    let Some(fake) = state.agents.get_mut(build) else { return false };
    let volume = fake.job.volume.clone();
    match fake.stage {
        Stage::Waiting | Stage::Working { .. } => {
            fake.stage = Stage::Ended(Outcome::Cancelled { proof: Some(proof()) });
            state.mounted.remove(&volume);
            state.push(now + STEP, Due::Agent(build.clone()));
            true
        }
        Stage::Ended(_) => true,
        Stage::Dead => true,
    }
}

fn proof() -> Proof {
    Proof { device: "/dev/nvme1n1".into(), filesystem: "ext4".into(), killed: vec![] }
}

/// Runs the next step of a build's agent. `heard`: the controller has its outcome.
pub fn step(state: &mut State, cloud: &VirtualCloud, region: &Region, build: &BuildId, heard: bool) {
    let now = cloud.now();
    let script = state.script.clone();
    let Some(fake) = state.agents.get_mut(build) else { return };
    let volume = fake.job.volume.clone();
    if let Some(after) = script.agent_dies
        && fake.job.attempt == 1
        && fake.began + after <= now
        && !matches!(fake.stage, Stage::Dead | Stage::Ended(_))
    {
        fake.stage = Stage::Dead;
        state.mounted.remove(&volume);
        state.log(now, "the agent dies");
        return;
    }
    let (says, next) = match fake.stage.clone() {
        Stage::Dead => return,
        Stage::Waiting if is_attached(cloud, region, fake) => {
            fake.stage = Stage::Working { until: now + script.works };
            (Some(ReportBody::Phase(AgentPhase::Provision)), STEP)
        }
        Stage::Waiting if fake.began + fake.job.disk_deadline <= now => {
            fake.stage = Stage::Ended(failed(AgentPhase::Find, "the disk did not appear"));
            (None, STEP)
        }
        Stage::Waiting if fake.began + STEP == now => (Some(ReportBody::Phase(AgentPhase::Find)), STEP),
        Stage::Waiting => {
            let beats = now.since(fake.began).0.is_multiple_of(fake.job.heartbeat.0);
            (beats.then_some(ReportBody::Heartbeat), STEP)
        }
        Stage::Working { until } if until <= now => {
            fake.stage = Stage::Ended(outcome(&script));
            (None, Millis(0))
        }
        Stage::Working { until } => (Some(ReportBody::Heartbeat), until.since(now).min(fake.job.heartbeat)),
        Stage::Ended(_) if heard => return,
        Stage::Ended(outcome) => (Some(ReportBody::Ended(outcome)), Millis::seconds(20)),
    };
    let attempt = fake.job.attempt;
    let working = matches!(fake.stage, Stage::Working { .. });
    if working {
        state.mounted.insert(volume);
    } else {
        state.mounted.remove(&volume);
    }
    if let Some(body) = says {
        let report = Report { version: VERSION, build: build.clone(), host: host(), attempt, at: now, body };
        state.send(build, Event::Agent(report), now + Millis(200));
    }
    state.push(now + next, Due::Agent(build.clone()));
}

fn outcome(script: &crate::script::Script) -> Outcome {
    if script.agent_fails {
        return failed(AgentPhase::Provision, "shell (inline): exit status 1");
    }
    if script.stubborn {
        let failure = failure(AgentPhase::Unmount, "/dev/nvme1n1 is still held by process 7");
        return Outcome::Failed { failure, proof: None };
    }
    Outcome::Done(proof())
}

fn failed(phase: AgentPhase, message: &str) -> Outcome {
    Outcome::Failed { failure: failure(phase, message), proof: Some(proof()) }
}

fn failure(phase: AgentPhase, message: &str) -> Failure {
    Failure { phase, provisioner: None, message: message.into(), tail: vec!["E: no such package".into()], hint: None }
}

fn is_attached(cloud: &VirtualCloud, region: &Region, fake: &AgentJob) -> bool {
    let request = DescribeVolumes { volume_ids: vec![fake.job.volume.clone()], ..Default::default() };
    cloud.describe_volumes(region, request).block_on().is_ok_and(|volumes| {
        volumes.iter().flat_map(|volume| &volume.attachments).any(|held| held.state == AttachmentState::Attached)
    })
}

/// Whether the controller has a job's outcome.
pub fn is_heard(stage: &JobStage) -> bool {
    matches!(stage, JobStage::Ended { .. })
}
