//! SQS's event source mapping.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use bakehouse_lambda::dispatcher::{Dispatcher, QueuedMessage};
use bakehouse_protocol::{Millis, Timestamp};

use crate::{function::Function, simulation::Simulation, stack::Memory, state::Message};

/// How long a message is invisible after it was received, and how often it may be received.
const VISIBILITY: Millis = Millis::seconds(90);
const RECEIVES: u32 = 5;
/// The function's time-out.
const TIMEOUT: Millis = Millis::seconds(60);

/// Takes batches from the queue and invokes one function with them, one at a time.
pub async fn invocations(simulation: Arc<Simulation>, over: &AtomicBool) {
    let mut function = Function::new(simulation.clone());
    let mut dispatcher = Dispatcher::default();
    while !over.load(Ordering::Relaxed) {
        let batch = receive(&simulation);
        if batch.is_empty() {
            simulation.time.sleep(Millis(200)).await;
            continue;
        }
        simulation.state().invocations += 1;
        let records = batch.iter().map(|(_, message)| QueuedMessage {
            id: message.id.clone(),
            body: message.body.clone(),
            sent: Some(message.sent),
            receives: message.receives,
            sender: message.sender.clone(),
        });
        let deadline = simulation.time.now() + TIMEOUT;
        let pair = Memory::new(function.clone());
        let answer = {
            let mut handling = pin!(dispatcher.handle(&pair, records.collect(), deadline));
            poll_fn(|cx| match handling.as_mut().poll(cx) {
                Poll::Ready(failed) => Poll::Ready(Some(failed)),
                Poll::Pending if function.died.load(Ordering::Relaxed) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        let Some(failed) = answer else {
            // The process has died with its memory. Its messages stay in the queue.
            function = Function::new(simulation.clone());
            dispatcher = Dispatcher::default();
            continue;
        };
        assert!(simulation.time.now() < deadline, "the function was ended by its time-out");
        let measured = dispatcher.metrics.take();
        let mut state = simulation.state();
        state.measured.extend(measured);
        for (at, message) in batch {
            if !failed.contains(&message.id) {
                state.inbox.retain(|other| (other.visible, &other.id) != (at, &message.id));
            }
        }
    }
}

/// Receives up to ten visible messages, in no order. One received too often goes to the dead letters.
fn receive(simulation: &Simulation) -> Vec<(Timestamp, Message)> {
    let now = simulation.time.now();
    let mut state = simulation.state();
    let mut batch = Vec::new();
    let mut visible: Vec<usize> = (0..state.inbox.len()).filter(|at| state.inbox[*at].visible <= now).collect();
    let mut dead = Vec::new();
    while !visible.is_empty() && batch.len() < 10 {
        let chosen = usize::try_from(state.below(visible.len() as u64)).expect("an index");
        let at = visible.swap_remove(chosen);
        let storm = state.conflicts.is_some();
        // Different times for two copies of one message, so that each can be deleted.
        let jitter = Millis(state.below(1000));
        let message = &mut state.inbox[at];
        if message.receives == RECEIVES && !storm {
            dead.push((message.visible, message.id.clone()));
            continue;
        }
        message.receives += 1;
        message.visible = now + VISIBILITY + jitter;
        batch.push((message.visible, message.clone()));
    }
    for (visible, id) in dead {
        if let Some(at) = state.inbox.iter().position(|message| (message.visible, &message.id) == (visible, &id)) {
            let message = state.inbox.remove(at);
            state.dead.push(message);
        }
    }
    batch
}
