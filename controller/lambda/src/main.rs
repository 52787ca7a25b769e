//! What Lambda runs. See the library.

// The layout of the one future that is everything: its types nest deeper than the compiler looks by itself.
#![recursion_limit = "256"]

use std::io::Write as _;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_lambda::{
    deployed::Deployed,
    dispatcher::{Dispatcher, Record},
    metrics,
    stack::Stack as _,
};
use bakehouse_logging::Format;
use bakehouse_protocol::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing::Instrument as _;

// One thread: the function waits for others nearly all of its time, and gets a part of a processor anyway.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bakehouse_logging::start(Format::Json, &log_directives())?;
    let place = match Deployed::from_environment().await {
        Ok(place) => place,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the function can't start");
            return Err(error.into());
        }
    };
    let (place, dispatcher) = (&place, &Dispatcher::default());
    let handle = |event: LambdaEvent<SqsEvent>| {
        let span = tracing::info_span!("invocation", request_id = event.context.request_id);
        handle(place, dispatcher, event).instrument(span)
    };
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle(
    place: &Deployed,
    dispatcher: &Dispatcher,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let deadline = Timestamp(event.context.deadline);
    let batch = event.payload.records.into_iter().map(record).collect::<Option<Vec<Record>>>();
    // A message without an id could not be named as failed: then all of them must come again.
    let batch = batch.ok_or("a message without an id")?;
    let failed = dispatcher.handle(place, batch, deadline).await;
    write_down(place, dispatcher);
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed);
    Ok(response)
}

fn record(message: SqsMessage) -> Option<Record> {
    let number = |name: &str| message.attributes.get(name).and_then(|text| text.parse::<u64>().ok());
    Some(Record {
        sent: number("SentTimestamp").map(Timestamp),
        sender: message.attributes.get("SenderId").cloned(),
        receives: number("ApproximateReceiveCount").and_then(|n| n.try_into().ok()).unwrap_or(1),
        id: message.message_id.filter(|id| !id.is_empty())?,
        body: message.body.unwrap_or_default(),
    })
}

/// CloudWatch makes metrics of these lines.
fn write_down(place: &Deployed, dispatcher: &Dispatcher) {
    let mut out = std::io::stdout().lock();
    for line in metrics::lines(&place.config().name, WallClock.now(), &dispatcher.metrics.take()) {
        // Nobody could be told of it.
        let _ = writeln!(out, "{line}");
    }
}

/// Returns the directives of the log: RUST_LOG, else Lambda's own setting of the level.
fn log_directives() -> String {
    bakehouse_logging::directives("RUST_LOG", &bakehouse_logging::directives("AWS_LAMBDA_LOG_LEVEL", "info"))
}
