//! SQS's event source mapping: receives batches from the queue, invokes the function, deletes what it has handled.

use std::{
    collections::VecDeque,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    runtime::{Answer, Environment},
    services::{REGION, Services},
};

/// Faults that a test injects.
#[derive(Debug, Default)]
pub(crate) struct InjectedFaults {
    /// The process is killed at these times after the start of an invocation for a build, one for each invocation. One
    /// that is answered sooner is not killed, and the time is used for the next.
    pub(crate) kill: Mutex<VecDeque<Duration>>,
    /// Every batch is delivered to two environments at the same time.
    pub(crate) twice: AtomicBool,
}

impl InjectedFaults {
    fn kill(&self, batch: &[Value]) -> Option<Duration> {
        self.kill.lock().unwrap().front().copied().filter(|_| batch.iter().any(is_about_a_build))
    }
}

/// Hosts report all the time; killing the function for those tests little.
fn is_about_a_build(message: &Value) -> bool {
    let body: Value = serde_json::from_str(message["Body"].as_str().unwrap_or_default()).unwrap_or_default();
    matches!(body["kind"].as_str(), Some("request" | "report" | "tick" | "cancel")) || body.get("detail-type").is_some()
}

/// A batch that was delivered to two environments.
#[derive(Debug)]
pub(crate) struct DeliveredTwice {
    /// The messages.
    pub(crate) bodies: String,
    /// For how long both worked on it.
    pub(crate) both: Duration,
}

/// The invocations so far.
#[derive(Debug, Default)]
pub(crate) struct Invocations {
    pub(crate) count: AtomicU64,
    /// The reasons of those that failed.
    pub(crate) failures: Mutex<Vec<String>>,
    /// How long each process took to its first request for an invocation.
    pub(crate) inits: Mutex<Vec<Duration>>,
    /// See [`InjectedFaults::twice`].
    pub(crate) delivered_twice: Mutex<Vec<DeliveredTwice>>,
}

/// A running mapping.
pub(crate) struct Mapping {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    pub(crate) invocations: Arc<Invocations>,
}

/// A poller of the mapping, which invokes one environment at a time, or two for one batch.
struct Poller {
    services: Services,
    queue: String,
    environment: Environment,
    /// The second one, for batches that are delivered twice; its process is started when it is first needed.
    second: Environment,
    faults: Arc<InjectedFaults>,
    invocations: Arc<Invocations>,
}

impl Mapping {
    pub(crate) fn start(
        services: &Services,
        queue: &str,
        environments: usize,
        timeout: Duration,
        logs: &Path,
        faults: &Arc<InjectedFaults>,
        command: impl Fn() -> Command + Clone + Send + 'static,
    ) -> Self {
        let (stop, invocations): (Arc<AtomicBool>, Arc<Invocations>) = Default::default();
        let threads = (0..environments).map(|number| {
            let environment = |name: &str| {
                Environment::new(logs.join(format!("controller-{number}{name}.log")), timeout, command.clone())
            };
            let mut poller = Poller {
                services: services.clone(),
                queue: queue.to_owned(),
                environment: environment(""),
                second: environment("-second"),
                faults: Arc::clone(faults),
                invocations: Arc::clone(&invocations),
            };
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    poller.poll();
                }
            })
        });
        Self { threads: threads.collect(), stop, invocations }
    }

    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Poller {
    fn poll(&mut self) {
        let batch = receive(&self.services, &self.queue);
        if batch.is_empty() {
            return;
        }
        self.invocations.count.fetch_add(1, Ordering::SeqCst);
        let event = event(&batch);
        let answer = if self.faults.twice.load(Ordering::SeqCst) {
            self.invoke_twice(&event, &batch)
        } else {
            let kill = self.faults.kill(&batch);
            let answer = self.environment.invoke(&event, kill);
            if kill.is_some() && matches!(answer, Answer::Failed(_)) {
                self.faults.kill.lock().unwrap().pop_front();
            }
            answer
        };
        self.invocations.inits.lock().unwrap().extend(self.environment.init.take());
        delete_handled(&self.services, &self.queue, &batch, &answer, &self.invocations.failures);
    }

    /// Delivers the batch to two environments at the same time.
    fn invoke_twice(&mut self, event: &Value, batch: &[Value]) -> Answer {
        fn timed(environment: &mut Environment, event: &Value) -> (Answer, Instant, Instant) {
            let began = Instant::now();
            let answer = environment.invoke(event, None);
            (answer, began, Instant::now())
        }
        self.invocations.count.fetch_add(1, Ordering::SeqCst);
        self.environment.start();
        self.second.start();
        let (environment, second) = (&mut self.environment, &mut self.second);
        let ((one, one_began, one_ended), (other, other_began, other_ended)) = thread::scope(|scope| {
            let other = scope.spawn(|| timed(second, event));
            (timed(environment, event), other.join().unwrap())
        });
        let both = one_ended.min(other_ended).saturating_duration_since(one_began.max(other_began));
        let bodies = batch.iter().filter_map(|message| message["Body"].as_str()).collect::<Vec<_>>().join("\n");
        self.invocations.delivered_twice.lock().unwrap().push(DeliveredTwice { bodies, both });
        for answer in [&one, &other] {
            if let Answer::Failed(why) = answer {
                self.invocations.failures.lock().unwrap().push(format!("one of two: {why}"));
            }
        }
        one.or(other)
    }
}

fn receive(services: &Services, queue: &str) -> Vec<Value> {
    let request = json!({
        "QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "AttributeNames": ["All"],
    });
    match services.try_sqs("ReceiveMessage", &request) {
        Ok(mut answer) => match answer["Messages"].take() {
            Value::Array(messages) => messages,
            _ => vec![],
        },
        // The server has ended with the test.
        Err(_) => {
            thread::sleep(Duration::from_millis(100));
            vec![]
        }
    }
}

fn event(batch: &[Value]) -> Value {
    let records = batch.iter().map(|message| {
        json!({
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:bakehouse-inbox",
            "awsRegion": REGION,
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

fn delete_handled(services: &Services, queue: &str, batch: &[Value], answer: &Answer, failures: &Mutex<Vec<String>>) {
    if let Answer::Failed(why) = answer {
        failures.lock().unwrap().push(why.clone());
    }
    for message in batch {
        let id = message["MessageId"].as_str().unwrap();
        if answer.has_handled(id) {
            let deleted = json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] });
            let _ = services.try_sqs("DeleteMessage", &deleted);
        } else if matches!(answer, Answer::Done(_)) {
            failures.lock().unwrap().push(format!("message {id} failed: {}", message["Body"]));
        }
    }
}
