//! The logs of builds.

use aws_sdk_cloudwatchlogs::Client;
use bakehouse_aws::{Logs, logs::Line};
use bakehouse_machine::FaultKind;
use bakehouse_protocol::Timestamp;
use bakehouse_tests::contract::id;

use crate::{
    network,
    stack::{self, Stack},
};

async fn with_group(test: &str) -> Option<(Stack, Logs)> {
    let stack = stack::bare(test)?;
    Client::new(&stack.sdk).create_log_group().log_group_name(&stack.config.builds_log_group).send().await.unwrap();
    let logs = Logs::new(&stack.sdk, &stack.config.builds_log_group);
    Some((stack, logs))
}

/// CloudWatch Logs takes no line older than two weeks, and moto reads the wall clock.
#[allow(clippy::disallowed_methods, reason = "the server's clock is the wall clock")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

fn line(at: u64, text: &str) -> Line {
    Line { at: Timestamp(now().0 / 60_000 * 60_000 + at), text: text.to_owned() }
}

async fn all(reader: &mut bakehouse_aws::logs::Reader) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(line) = reader.next().await.unwrap() {
        lines.push(line.text);
    }
    lines
}

#[tokio::test]
async fn lines_are_read_in_order_and_followed() {
    let Some((_stack, logs)) = with_group("lines_are_read_in_order_and_followed").await else { return };
    let mut reader = logs.read(id(1).as_str());
    assert!(all(&mut reader).await.is_empty(), "nothing was said yet, and that is no error");
    logs.write(id(1).as_str(), vec![line(2, "two"), line(1, "one")]).await.unwrap();
    logs.write(id(2).as_str(), vec![line(1, "of another build")]).await.unwrap();
    assert_eq!(all(&mut reader).await, ["one", "two"]);
    assert!(all(&mut reader).await.is_empty(), "each once");
    logs.write(id(1).as_str(), vec![line(3, "three")]).await.unwrap();
    assert_eq!(all(&mut reader).await, ["three"]);
    assert_eq!(all(&mut logs.read(id(1).as_str())).await, ["one", "two", "three"]);
}

#[tokio::test]
async fn more_lines_than_a_page_are_all_read() {
    let test = "more_lines_than_a_page_are_all_read";
    let Some((_stack, logs)) = with_group(test).await else { return };
    let lines: Vec<_> = (0..12_345).map(|n| line(n, &format!("line {n}"))).collect();
    logs.write(id(1).as_str(), lines.clone()).await.unwrap();
    let read = all(&mut logs.read(id(1).as_str())).await;
    assert_eq!(read, lines.into_iter().map(|line| line.text).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_missing_log_group_is_named() {
    let Some(stack) = stack::bare("a_missing_log_group_is_named") else { return };
    let logs = Logs::new(&stack.sdk, &stack.config.builds_log_group);
    let fault = logs.write(id(1).as_str(), vec![line(1, "one")]).await.unwrap_err();
    assert!(fault.message.contains("in the log group /bakehouse/bakehouse/builds"), "{fault}");
    assert_ne!(fault.kind, FaultKind::Ambiguous);
}

#[tokio::test]
async fn an_empty_page_with_a_new_token_is_not_the_end() {
    // What CloudWatch Logs does now and then, and moto never.
    let pages = [
        r#"{"events":[],"nextForwardToken":"f/1","nextBackwardToken":"b"}"#,
        r#"{"events":[{"timestamp":1,"message":"one","ingestionTime":1}],"nextForwardToken":"f/2","nextBackwardToken":"b"}"#,
        r#"{"events":[],"nextForwardToken":"f/2","nextBackwardToken":"b"}"#,
    ];
    let Some(stack) = stack::bare("an_empty_page_with_a_new_token_is_not_the_end") else { return };
    let sdk = stack.sdk.to_builder().endpoint_url(network::answering(pages)).build();
    let mut reader = Logs::new(&sdk, &stack.config.builds_log_group).read(id(1).as_str());
    assert_eq!(all(&mut reader).await, ["one"]);
}
