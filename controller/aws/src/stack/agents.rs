//! Sends jobs to the agents, through the queue of each host.

use aws_config::SdkConfig;
use bakehouse_aws::{Sqs, message::queue_url_beside};
use bakehouse_controller::ports;
use bakehouse_protocol::{BuildId, Fault, HostId, HostMessage, Job, StackConfig};

/// The agents on the stack's hosts.
#[derive(Clone, Debug)]
pub struct Agents {
    sqs: Sqs,
    inbox_url: String,
    prefix: String,
}

impl Agents {
    /// Returns the agents of a stack.
    pub fn new(sdk: &SdkConfig, stack: &StackConfig) -> Self {
        let (inbox_url, prefix) = (stack.inbox_url.clone(), stack.host_queue_prefix.clone());
        Self { sqs: Sqs::new(sdk), inbox_url, prefix }
    }

    async fn send(&self, host: &HostId, what: String, message: HostMessage) -> Result<(), Fault> {
        let url = queue_url_beside(&self.inbox_url, &format!("{}{host}", self.prefix));
        Ok(self.sqs.send(&url, format!("{what} to the host {host}"), message, 0).await?)
    }
}

impl ports::Agents for Agents {
    async fn send_job(&self, host: &HostId, job: &Job) -> Result<(), Fault> {
        self.send(host, format!("the job of {}", job.build), HostMessage::Job { job: job.clone() }).await
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        self.send(host, format!("the stop of {build}"), HostMessage::Stop { build: build.clone() }).await
    }
}
