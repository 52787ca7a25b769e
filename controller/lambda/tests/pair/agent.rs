//! Hosts and their agents: a heartbeat every twenty seconds, and jobs that wait for their disk, work, and report.

use pollster::FutureExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use bakehouse_localcloud::{Ec2 as _, request::DescribeVolumes, resource::AttachmentState};
use bakehouse_protocol::{
    AgentPhase, BuildId, Envelope, HostId, InboxMessage, Job, Millis, Outcome, Proof, Report, ReportBody, Timestamp,
    VERSION,
};

use crate::{
    agent_job::{AgentJob, Stage},
    simulation::{Simulation, region},
    state::State,
};

fn proof() -> Proof {
    Proof { device: "/dev/nvme1n1".into(), filesystem: "ext4".into(), killed: vec![] }
}

/// Delivers a job to a host, which takes no job twice.
pub fn take(state: &mut State, host: &HostId, job: &Job, now: Timestamp) {
    if !state.up.contains(host) || state.agents.get(&job.build).is_some_and(|agent| agent.job.attempt >= job.attempt) {
        return;
    }
    let agent = AgentJob { host: host.clone(), job: job.clone(), stage: Stage::Waiting, began: now };
    state.agents.insert(job.build.clone(), agent);
}

/// Stops a job on a host. Returns whether the host knows it.
pub fn stop(state: &mut State, host: &HostId, build: &BuildId, now: Timestamp) -> bool {
    let up = state.up.contains(host);
    let Some(agent) = state.agents.get_mut(build).filter(|agent| &agent.host == host && up) else { return false };
    if agent.is_over() {
        return true;
    }
    agent.stage = Stage::Over;
    let agent = agent.clone();
    report(state, build, &agent, ReportBody::Ended(Outcome::Cancelled { proof: Some(proof()) }), now);
    true
}

fn report(state: &mut State, build: &BuildId, agent: &AgentJob, body: ReportBody, now: Timestamp) {
    let report = Report {
        version: VERSION,
        build: build.clone(),
        host: agent.host.clone(),
        attempt: agent.job.attempt,
        at: now,
        body,
    };
    let message = Envelope::new(InboxMessage::Report { report });
    let body = serde_json::to_string(&message).expect("a message");
    state.send_from(Some(&agent.host), body, now, Millis(200));
}

/// Runs all hosts, second by second.
pub async fn hosts(simulation: &Simulation, over: &AtomicBool) {
    let mut beats = 0u64;
    while !over.load(Ordering::Relaxed) {
        let up = simulation.state().up.clone();
        if beats.is_multiple_of(20) {
            for id in &up {
                simulation.send_as(id, InboxMessage::Host { host: simulation.host_report(id) });
            }
        }
        let agents: Vec<(BuildId, AgentJob)> =
            simulation.state().agents.iter().map(|(build, agent)| (build.clone(), agent.clone())).collect();
        for (build, agent) in agents.iter().filter(|(_, agent)| up.contains(&agent.host)) {
            step(simulation, build, agent);
        }
        beats += 1;
        simulation.time.sleep(Millis::seconds(1)).await;
    }
}

fn step(simulation: &Simulation, build: &BuildId, agent: &AgentJob) {
    let now = simulation.time.now();
    let beats = (now.since(agent.began).0 / 1000).is_multiple_of(agent.job.heartbeat.0 / 1000);
    let (stage, body) = match agent.stage {
        Stage::Over => return,
        Stage::Waiting if is_attached(simulation, agent) => {
            (Stage::Working { until: now + simulation.works }, Some(ReportBody::Phase(AgentPhase::Provision)))
        }
        Stage::Waiting if agent.began + agent.job.disk_deadline <= now => {
            let why = "the disk did not appear".to_owned();
            (Stage::Over, Some(ReportBody::Ended(Outcome::Lost { why, proof: Some(proof()) })))
        }
        Stage::Working { until } if until <= now => (Stage::Over, Some(ReportBody::Ended(Outcome::Done(proof())))),
        ref stage => (stage.clone(), beats.then_some(ReportBody::Heartbeat)),
    };
    let mut state = simulation.state();
    if let Some(agent) = state.agents.get_mut(build) {
        agent.stage = stage;
    }
    if let Some(body) = body {
        report(&mut state, build, agent, body, now);
    }
}

fn is_attached(simulation: &Simulation, agent: &AgentJob) -> bool {
    simulation.cloud.set_now(simulation.time.now());
    let request = DescribeVolumes { volume_ids: vec![agent.job.volume.clone()], ..Default::default() };
    simulation.cloud.describe_volumes(&region(), request).block_on().is_ok_and(|volumes| {
        let mut attached = volumes.iter().flat_map(|volume| &volume.attachments);
        attached.any(|held| held.state == AttachmentState::Attached && held.instance_id.as_str() == agent.host.as_str())
    })
}
