//! The inbox and the hosts' queues.

use aws_sdk_sqs::{
    Client,
    types::{Message, QueueAttributeName},
};
use bakehouse_controller::{
    ports::Agents as _,
    stack::{Queues as _, Registry as _},
};
use bakehouse_controller_aws::stack::{Agents, Inbox, Queues, inbox::schedule_tick};
use bakehouse_machine::FaultKind;
use bakehouse_protocol::{
    DeferredTemplate, Envelope, HostId, HostMessage, InboxMessage, Job, Millis, RunData, Timestamp, VolumeId,
    spec::{Action, Provisioner, Script, Shell, Virtualization},
};
use bakehouse_tests::contract::{build, id, report};
use serde_json::Value;

use crate::stack::{self, Stack};

async fn make_inbox(stack: &Stack) {
    let made = Client::new(&stack.sdk).create_queue().queue_name("bakehouse-inbox").send().await.unwrap();
    assert_eq!(made.queue_url(), Some(stack.config.inbox_url.as_str()));
}

async fn receive(stack: &Stack, url: &str) -> Option<Message> {
    let receive = Client::new(&stack.sdk).receive_message().queue_url(url).max_number_of_messages(1);
    receive.send().await.unwrap().messages.unwrap_or_default().pop()
}

async fn attribute(stack: &Stack, url: &str, name: QueueAttributeName) -> String {
    let get = Client::new(&stack.sdk).get_queue_attributes().queue_url(url).attribute_names(name.clone());
    get.send().await.unwrap().attributes.unwrap_or_default().remove(&name).unwrap_or_default()
}

/// How many messages of the inbox are held back.
async fn delayed(stack: &Stack) -> String {
    attribute(stack, &stack.config.inbox_url, QueueAttributeName::ApproximateNumberOfMessagesDelayed).await
}

fn host_queue(stack: &Stack, host: &HostId) -> String {
    format!("{}/{}/bakehouse-host-{host}", stack.moto.endpoint(), stack.config.account)
}

#[tokio::test]
async fn a_message_arrives_with_its_version() {
    let Some(stack) = stack::bare("a_message_arrives_with_its_version") else { return };
    make_inbox(&stack).await;
    let inbox = Inbox::new(&stack.sdk, &stack.config);
    let message = InboxMessage::Host { host: report(1, stack.now()) };
    inbox.send(&message).await.unwrap();
    let body = receive(&stack, &stack.config.inbox_url).await.unwrap().body.unwrap();
    assert_eq!(serde_json::from_str::<Envelope<InboxMessage>>(&body).unwrap(), Envelope::new(message));
}

#[tokio::test]
async fn a_missing_inbox_is_named() {
    let Some(stack) = stack::bare("a_missing_inbox_is_named") else { return };
    let inbox = Inbox::new(&stack.sdk, &stack.config);
    let error = inbox.send(&InboxMessage::Cancel { build: id(1) }).await.unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("SendMessage the cancellation of {} to the inbox", id(1))), "{message}");
    assert!(message.contains("is the stack deployed"), "{message}");
}

#[tokio::test]
async fn a_tick_is_delayed_until_its_time() {
    let Some(stack) = stack::bare("a_tick_is_delayed_until_its_time") else { return };
    make_inbox(&stack).await;
    let inbox = Inbox::new(&stack.sdk, &stack.config);
    inbox.tick(&id(1), stack.now() + Millis::minutes(600), stack.now()).await.unwrap();
    assert_eq!(delayed(&stack).await, "1");
    assert_eq!(receive(&stack, &stack.config.inbox_url).await, None);
    inbox.tick(&id(2), Timestamp(0), stack.now()).await.unwrap();
    let body = receive(&stack, &stack.config.inbox_url).await.unwrap().body.unwrap();
    assert_eq!(body, r#"{"bakehouse":1,"kind":"tick","build":"b-00000002-00000007"}"#);
}

#[tokio::test]
async fn a_tick_is_arranged_once() {
    let Some((stack, table)) = stack::with_table("a_tick_is_arranged_once").await else { return };
    make_inbox(&stack).await;
    table.create(&build(1)).await.unwrap();
    let inbox = Inbox::new(&stack.sdk, &stack.config);
    let in_seconds = |seconds| stack.now() + Millis::seconds(seconds);
    let wish = async |seconds| {
        schedule_tick(&inbox, &table, &id(1), in_seconds(seconds), stack.now()).await.unwrap();
        delayed(&stack).await
    };
    assert_eq!(wish(30).await, "1");
    assert_eq!(table.tick_at(&id(1)).await.unwrap(), Some(in_seconds(30)));
    assert_eq!(wish(60).await, "1", "one that comes early enough is under way");
    assert_eq!(wish(10).await, "2", "it comes too late");
    stack.clock.advance(Millis::seconds(10));
    assert_eq!(wish(60).await, "3", "it is the one that is being handled, or lost");
}

#[tokio::test]
async fn a_tick_that_cannot_be_sent_is_an_error_and_not_noted() {
    let test = "a_tick_that_cannot_be_sent_is_an_error_and_not_noted";
    let Some((stack, table)) = stack::with_table(test).await else { return };
    table.create(&build(1)).await.unwrap();
    let inbox = Inbox::new(&stack.sdk, &stack.config);
    schedule_tick(&inbox, &table, &id(1), stack.now(), stack.now()).await.unwrap_err();
    assert_eq!(table.tick_at(&id(1)).await.unwrap(), None);
}

fn job(lines: Vec<String>) -> Job {
    let shell = Shell {
        scripts: vec![Script::Inline(lines.into_iter().map(DeferredTemplate).collect())],
        valid_exit_codes: vec![0],
        ..Shell::default()
    };
    let action = Action::Shell(shell);
    Job {
        version: bakehouse_protocol::VERSION,
        build: id(1),
        attempt: 1,
        volume: VolumeId::new("vol-01234567").unwrap(),
        volume_size: 8,
        grow: false,
        from_scratch: false,
        virtualization: Virtualization::Hvm,
        chroot: build(1).spec.chroot,
        provisioners: vec![Provisioner::new(action)],
        error_cleanup: None,
        working_directory: String::new(),
        sensitive: vec![],
        data: RunData::default(),
        files: String::new(),
        bundle: None,
        disk_deadline: Millis::minutes(5),
        heartbeat: Millis::seconds(20),
        grace: Millis::seconds(10),
    }
}

#[tokio::test]
async fn a_job_and_its_stop_reach_the_host() {
    let Some(stack) = stack::bare("a_job_and_its_stop_reach_the_host") else { return };
    let report = report(1, stack.now());
    let queues = Queues::new(&stack.sdk, &stack.config);
    let agents = Agents::new(&stack.sdk, &stack.config);
    queues.ensure(&report).await.unwrap();
    let job = job(vec!["echo hello".to_owned()]);
    let messages = [HostMessage::Job { job: job.clone() }, HostMessage::Stop { build: id(1) }];
    agents.send_job(&report.host, &job).await.unwrap();
    agents.stop_job(&report.host, &id(1)).await.unwrap();
    for message in messages {
        let body = receive(&stack, &host_queue(&stack, &report.host)).await.unwrap().body.unwrap();
        assert_eq!(serde_json::from_str::<Envelope<HostMessage>>(&body).unwrap(), Envelope::new(message));
    }
}

#[tokio::test]
async fn a_host_without_a_queue_is_not_found() {
    let Some(stack) = stack::bare("a_host_without_a_queue_is_not_found") else { return };
    let host = report(1, stack.now()).host;
    let agents = Agents::new(&stack.sdk, &stack.config);
    let fault = agents.send_job(&host, &job(vec![])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    assert_eq!(agents.stop_job(&host, &id(1)).await.unwrap_err().kind, FaultKind::NotFound);
    assert!(
        fault.message.starts_with(&format!("SendMessage the job of {} to the host i-00000001: ", id(1))),
        "{fault}"
    );
}

#[tokio::test]
async fn a_job_too_large_for_a_message_is_refused_with_a_hint() {
    let Some(stack) = stack::bare("a_job_too_large_for_a_message_is_refused_with_a_hint") else { return };
    let report = report(1, stack.now());
    Queues::new(&stack.sdk, &stack.config).ensure(&report).await.unwrap();
    let agents = Agents::new(&stack.sdk, &stack.config);
    // As large as a message may be, then by one byte larger.
    let frame =
        serde_json::to_string(&Envelope::new(HostMessage::Job { job: job(vec![String::new()]) })).unwrap().len();
    let line = "x".repeat(1024 * 1024 - frame);
    agents.send_job(&report.host, &job(vec![line.clone()])).await.unwrap();
    let fault = agents.send_job(&report.host, &job(vec![line + "x"])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert!(fault.message.ends_with("it is 1048577 bytes long, and a message may be 1048576"), "{fault}");
    assert_eq!(fault.hint.unwrap(), "the inline scripts of the template are too long: put them into files beside it");
}

#[tokio::test]
async fn a_queue_is_created_once_and_removed() {
    let Some(stack) = stack::bare("a_queue_is_created_once_and_removed") else { return };
    let report = report(1, stack.now());
    let url = host_queue(&stack, &report.host);
    let queues = Queues::new(&stack.sdk, &stack.config);
    queues.ensure(&report).await.unwrap();
    queues.ensure(&report).await.unwrap();
    assert_eq!(attribute(&stack, &url, QueueAttributeName::VisibilityTimeout).await, "60");
    assert_eq!(attribute(&stack, &url, QueueAttributeName::MessageRetentionPeriod).await, "86400");
    assert_eq!(attribute(&stack, &url, QueueAttributeName::MaximumMessageSize).await, "1048576");
    let policy: Value = serde_json::from_str(&attribute(&stack, &url, QueueAttributeName::Policy).await).unwrap();
    let (allow, deny) = (&policy["Statement"][0], &policy["Statement"][1]);
    let instance = "arn:aws:ec2:us-east-1:123456789012:instance/i-00000001";
    assert_eq!(allow["Principal"]["AWS"], stack.config.host_role_arn);
    assert_eq!(allow["Resource"], "arn:aws:sqs:us-east-1:123456789012:bakehouse-host-i-00000001");
    assert_eq!(allow["Condition"]["ArnEquals"]["ec2:SourceInstanceArn"], instance);
    assert_eq!((&deny["Effect"], &deny["Principal"]), (&Value::from("Deny"), &Value::from("*")));
    assert_eq!(deny["Condition"]["ArnNotEquals"]["ec2:SourceInstanceArn"], instance);
    let tags = Client::new(&stack.sdk).list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags["bakehouse:stack"], "bakehouse");

    queues.remove(&report.host).await.unwrap();
    queues.remove(&report.host).await.unwrap();
    let agents = Agents::new(&stack.sdk, &stack.config);
    assert_eq!(agents.stop_job(&report.host, &id(1)).await.unwrap_err().kind, FaultKind::NotFound);
}

#[tokio::test]
async fn a_queue_of_an_older_stack_gets_the_current_policy() {
    let Some(mut stack) = stack::bare("a_queue_of_an_older_stack_gets_the_current_policy") else { return };
    let report = report(1, stack.now());
    Queues::new(&stack.sdk, &stack.config).ensure(&report).await.unwrap();
    stack.config.host_role_arn = "arn:aws:iam::123456789012:role/another".to_owned();
    Queues::new(&stack.sdk, &stack.config).ensure(&report).await.unwrap();
    let policy = attribute(&stack, &host_queue(&stack, &report.host), QueueAttributeName::Policy).await;
    assert!(policy.contains("role/another"), "{policy}");
}

#[tokio::test]
async fn a_host_cannot_have_the_queue_of_another() {
    let Some(stack) = stack::bare("a_host_cannot_have_the_queue_of_another") else { return };
    let mut report = report(1, stack.now());
    report.host = HostId::new("i-00000002").unwrap();
    let fault = Queues::new(&stack.sdk, &stack.config).ensure(&report).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent);
    let made = Client::new(&stack.sdk).list_queues().send().await.unwrap();
    assert!(made.queue_urls().is_empty(), "{made:?}");
}
