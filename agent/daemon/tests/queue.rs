//! The host's queue through the SDK: a received message is hidden for as long as the daemon extends it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::time::Duration;

use aws_sdk_sqs::{Client, types::MessageSystemAttributeName};
use bakehouse_agent_daemon::{aws::Sqs, ports::Queue as _};
use bakehouse_protocol::FaultKind;
use bakehouse_tests::moto::Moto;

/// How often the message was received, if it is visible now.
async fn receives(client: &Client, url: &str) -> Option<String> {
    let receive = client.receive_message().queue_url(url).wait_time_seconds(0);
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    let answer = receive.message_system_attribute_names(count.clone()).send().await.unwrap();
    answer.messages.unwrap_or_default().pop().and_then(|mut message| message.attributes.take()?.remove(&count))
}

#[tokio::test]
async fn a_message_stays_hidden_and_is_deleted_by_its_receipt() {
    let test = "a_message_stays_hidden_and_is_deleted_by_its_receipt";
    let Some(moto) = Moto::start(test) else { return };
    let client = Client::new(&moto.config());
    // The queue itself hides for one second only.
    let visibility = aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
    let made = client.create_queue().queue_name("bakehouse-host-i-1").attributes(visibility, "1").send().await.unwrap();
    let url = made.queue_url.unwrap();
    client.send_message().queue_url(&url).message_body("job").send().await.unwrap();

    let queue = Sqs::new(&moto.config(), &url);
    assert_eq!(queue.find("bakehouse-host-i-1").await.unwrap(), url);
    let message = queue.receive(&url).await.unwrap().pop().unwrap();
    assert_eq!(message.body, "job");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receives(&client, &url).await, None, "hidden for as long as the agent asks, not the queue");

    queue.change_visibility(&url, &message.receipt, 2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receives(&client, &url).await, None);
    queue.change_visibility(&url, &message.receipt, 2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receives(&client, &url).await, None, "extended");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receives(&client, &url).await.as_deref(), Some("2"), "given back");

    queue.delete(&url, &message.receipt).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receives(&client, &url).await, None);
    assert_eq!(queue.find("bakehouse-host-i-2").await.unwrap_err().kind, FaultKind::NotFound);
}
