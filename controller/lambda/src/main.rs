//! The Lambda function's `bootstrap`. See the library.

// The future of the whole function has types that nest deeper than the compiler's default limit.
#![recursion_limit = "256"]

use std::io::Write as _;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_lambda::{
    deployed::Deployed,
    dispatcher::{Dispatcher, QueuedMessage},
    metrics,
    stack::Stack as _,
};
use bakehouse_logging::Format;
use bakehouse_protocol::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing::Instrument as _;

// One thread: the function waits for the network nearly all of its time, and has only a part of a processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bakehouse_logging::start(Format::Json, &log_directives())?;
    let stack = match Deployed::from_environment().await {
        Ok(stack) => stack,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the function can't start");
            return Err(error.into());
        }
    };
    let (stack, dispatcher) = (&stack, &Dispatcher::default());
    let handle = |event: LambdaEvent<SqsEvent>| {
        let span = tracing::info_span!("invocation", request_id = event.context.request_id);
        handle(stack, dispatcher, event).instrument(span)
    };
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle(
    stack: &Deployed,
    dispatcher: &Dispatcher,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let deadline = Timestamp(event.context.deadline);
    let batch = event.payload.records.into_iter().map(record).collect::<Option<Vec<QueuedMessage>>>();
    // A message without an id can't be reported as failed: the whole batch must be delivered again.
    let batch = batch.ok_or("a message without an id")?;
    let failed = dispatcher.handle(stack, batch, deadline).await;
    write_metrics(stack, dispatcher);
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed);
    Ok(response)
}

fn record(message: SqsMessage) -> Option<QueuedMessage> {
    let number = |name: &str| message.attributes.get(name).and_then(|text| text.parse::<u64>().ok());
    Some(QueuedMessage {
        sent: number("SentTimestamp").map(Timestamp),
        sender: message.attributes.get("SenderId").cloned(),
        receives: number("ApproximateReceiveCount").and_then(|n| n.try_into().ok()).unwrap_or(1),
        id: message.message_id.filter(|id| !id.is_empty())?,
        body: message.body.unwrap_or_default(),
    })
}

/// Writes the metrics to standard output, from which CloudWatch reads them.
fn write_metrics(stack: &Deployed, dispatcher: &Dispatcher) {
    let mut out = std::io::stdout().lock();
    for line in metrics::lines(&stack.config().name, WallClock.now(), &dispatcher.metrics.take()) {
        // There is nowhere to report a failure.
        let _ = writeln!(out, "{line}");
    }
}

/// Returns the directives of the log: RUST_LOG, else Lambda's own setting of the level.
fn log_directives() -> String {
    bakehouse_logging::directives("RUST_LOG", &bakehouse_logging::directives("AWS_LAMBDA_LOG_LEVEL", "info"))
}
