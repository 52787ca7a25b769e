//! Jobs for the agents, through the queue of each host.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use bakehouse_controller::ports;
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{BuildId, HostId, HostMessage, Job, StackConfig};

use crate::stack::{
    errors::Call,
    message::{self, MessageError},
};

/// The agents on the stack's hosts.
#[derive(Clone, Debug)]
pub struct Agents {
    client: Client,
    inbox_url: String,
    prefix: String,
}

impl Agents {
    /// The agents of a stack.
    pub fn new(sdk: &SdkConfig, stack: &StackConfig) -> Self {
        let (inbox_url, prefix) = (stack.inbox_url.clone(), stack.host_queue_prefix.clone());
        Self { client: Client::new(sdk), inbox_url, prefix }
    }

    async fn send(&self, host: &HostId, what: String, message: HostMessage) -> Result<(), Fault> {
        let call = Call::new("sqs", "SendMessage", format!("{what} to the host {host}"));
        let text = message::text(message).map_err(|error| unsendable(&call, error))?;
        let url = message::beside(&self.inbox_url, &format!("{}{host}", self.prefix));
        let sent = self.client.send_message().queue_url(url).message_body(text).send().await;
        sent.map(|_| ()).map_err(|error| call.fault(error))
    }
}

fn unsendable(call: &Call, error: MessageError) -> Fault {
    let fault = Fault::new(FaultKind::Permanent, format!("{call}: {error}"));
    match error {
        MessageError::TooLong(_) => {
            fault.hint("the inline scripts of the template are too long: put them into files beside it")
        }
        MessageError::Json(_) => fault,
    }
}

impl ports::Agents for Agents {
    async fn send_job(&self, host: &HostId, job: &Job) -> Result<(), Fault> {
        self.send(host, format!("the job of {}", job.build), HostMessage::Job { job: job.clone() }).await
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        self.send(host, format!("the end of {build}"), HostMessage::Stop { build: build.clone() }).await
    }
}
