//! What SQS's event source mapping does: takes batches from the queue, invokes the function, deletes what it handled.

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

/// What goes wrong on purpose.
#[derive(Debug, Default)]
pub(crate) struct Mischief {
    /// The process is killed so long after the beginning of an invocation that is about a build. One that is answered
    /// sooner is not killed; then it is the next one's turn.
    pub(crate) kill: Mutex<VecDeque<Duration>>,
    /// Every batch is given to two environments at the same time.
    pub(crate) twice: AtomicBool,
}

impl Mischief {
    fn kill(&self, batch: &[Value]) -> Option<Duration> {
        self.kill.lock().unwrap().front().copied().filter(|_| batch.iter().any(is_about_a_build))
    }
}

/// Hosts tell of themselves all the time; what is killed then teaches little.
fn is_about_a_build(message: &Value) -> bool {
    let body: Value = serde_json::from_str(message["Body"].as_str().unwrap_or_default()).unwrap_or_default();
    matches!(body["kind"].as_str(), Some("request" | "report" | "tick" | "cancel")) || body.get("detail-type").is_some()
}

/// A batch that two environments had at the same time.
#[derive(Debug)]
pub(crate) struct Twin {
    /// The messages.
    pub(crate) bodies: String,
    /// For how long both were at work.
    pub(crate) both: Duration,
}

/// What came of the invocations so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) invocations: AtomicU64,
    /// What failed.
    pub(crate) failures: Mutex<Vec<String>>,
    /// How long each process took to its first question for work.
    pub(crate) inits: Mutex<Vec<Duration>>,
    /// See [`Mischief::twice`].
    pub(crate) twins: Mutex<Vec<Twin>>,
}

/// A running mapping with so many environments.
pub(crate) struct Mapping {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    pub(crate) tally: Arc<Tally>,
}

/// One of its pollers, which invokes one environment after the other's answer, or two at once.
struct Poller {
    services: Services,
    queue: String,
    environment: Environment,
    /// The one that is invoked beside it; it runs once it has been needed.
    beside: Environment,
    mischief: Arc<Mischief>,
    tally: Arc<Tally>,
}

impl Mapping {
    pub(crate) fn start(
        services: &Services,
        queue: &str,
        environments: usize,
        timeout: Duration,
        logs: &Path,
        mischief: &Arc<Mischief>,
        command: impl Fn() -> Command + Clone + Send + 'static,
    ) -> Self {
        let (stop, tally): (Arc<AtomicBool>, Arc<Tally>) = Default::default();
        let threads = (0..environments).map(|number| {
            let environment = |name: &str| {
                Environment::new(logs.join(format!("controller-{number}{name}.log")), timeout, command.clone())
            };
            let mut poller = Poller {
                services: services.clone(),
                queue: queue.to_owned(),
                environment: environment(""),
                beside: environment("-beside"),
                mischief: Arc::clone(mischief),
                tally: Arc::clone(&tally),
            };
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    poller.poll();
                }
            })
        });
        Self { threads: threads.collect(), stop, tally }
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
        self.tally.invocations.fetch_add(1, Ordering::SeqCst);
        let event = event(&batch);
        let answer = if self.mischief.twice.load(Ordering::SeqCst) {
            self.invoke_twice(&event, &batch)
        } else {
            let kill = self.mischief.kill(&batch);
            let answer = self.environment.invoke(&event, kill);
            if kill.is_some() && matches!(answer, Answer::Failed(_)) {
                self.mischief.kill.lock().unwrap().pop_front();
            }
            answer
        };
        self.tally.inits.lock().unwrap().extend(self.environment.init.take());
        delete_handled(&self.services, &self.queue, &batch, &answer, &self.tally.failures);
    }

    /// Two environments get the batch at the same time.
    fn invoke_twice(&mut self, event: &Value, batch: &[Value]) -> Answer {
        fn timed(environment: &mut Environment, event: &Value) -> (Answer, Instant, Instant) {
            let began = Instant::now();
            let answer = environment.invoke(event, None);
            (answer, began, Instant::now())
        }
        self.tally.invocations.fetch_add(1, Ordering::SeqCst);
        self.environment.start();
        self.beside.start();
        let (environment, beside) = (&mut self.environment, &mut self.beside);
        let ((one, one_began, one_ended), (other, other_began, other_ended)) = thread::scope(|scope| {
            let other = scope.spawn(|| timed(beside, event));
            (timed(environment, event), other.join().unwrap())
        });
        let both = one_ended.min(other_ended).saturating_duration_since(one_began.max(other_began));
        let bodies = batch.iter().filter_map(|message| message["Body"].as_str()).collect::<Vec<_>>().join("\n");
        self.tally.twins.lock().unwrap().push(Twin { bodies, both });
        for answer in [&one, &other] {
            if let Answer::Failed(why) = answer {
                self.tally.failures.lock().unwrap().push(format!("one of two: {why}"));
            }
        }
        one.or(other)
    }
}

fn receive(services: &Services, queue: &str) -> Vec<Value> {
    let asked = json!({
        "QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "AttributeNames": ["All"],
    });
    match services.try_sqs("ReceiveMessage", &asked) {
        Ok(mut answer) => match answer["Messages"].take() {
            Value::Array(messages) => messages,
            _ => vec![],
        },
        // The test is over, and the server gone.
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
