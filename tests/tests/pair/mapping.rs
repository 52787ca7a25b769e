//! What SQS's event source mapping does: takes batches from the queue, invokes the function, deletes what it handled.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    runtime::{Answer, Environment},
    services::{REGION, Services},
};

/// What goes wrong on purpose.
#[derive(Debug, Default)]
pub(crate) struct Mischief {
    /// The process is killed so long after the beginning of the n-th invocation (counted from 0).
    pub(crate) kill: Mutex<Vec<(u64, Duration)>>,
    /// Every message comes twice, the second time to another environment.
    pub(crate) twice: AtomicBool,
}

/// A running mapping with so many environments.
pub(crate) struct Mapping {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    pub(crate) invocations: Arc<AtomicU64>,
    /// What failed, for people who look at a failing test.
    pub(crate) failures: Arc<Mutex<Vec<String>>>,
    /// How long each process took to its first question for work.
    pub(crate) inits: Arc<Mutex<Vec<Duration>>>,
}

impl Mapping {
    pub(crate) fn start(
        services: &Services,
        queue: &str,
        environments: usize,
        timeout: Duration,
        logs: &Path,
        mischief: Arc<Mischief>,
        command: impl Fn() -> Command + Clone + Send + 'static,
    ) -> Self {
        let mut mapping = Self {
            stop: Arc::default(),
            threads: vec![],
            invocations: Arc::default(),
            failures: Arc::default(),
            inits: Arc::default(),
        };
        let threads: Vec<_> = (0..environments)
            .map(|number| {
                let log = logs.join(format!("controller-{number}.log"));
                let (mut environment, answers) = Environment::new(log, timeout, command.clone());
                let (services, queue) = (services.clone(), queue.to_owned());
                let (stop, invocations) = (Arc::clone(&mapping.stop), Arc::clone(&mapping.invocations));
                let (failures, inits) = (Arc::clone(&mapping.failures), Arc::clone(&mapping.inits));
                let mischief = Arc::clone(&mischief);
                thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        let batch = receive(&services, &queue);
                        if batch.is_empty() {
                            continue;
                        }
                        let number = invocations.fetch_add(1, Ordering::SeqCst);
                        let event = event(&batch);
                        let kill =
                            mischief.kill.lock().unwrap().iter().find(|(at, _)| *at == number).map(|(_, after)| *after);
                        let killer = kill.map(|after| kill_later(&mut environment, after));
                        let mut answer = environment.invoke(&event, &answers);
                        if let Some(killer) = killer {
                            let _ = killer.join();
                        }
                        if mischief.twice.load(Ordering::SeqCst) && matches!(answer, Answer::Done(_)) {
                            answer = environment.invoke(&event, &answers);
                        }
                        inits.lock().unwrap().extend(environment.init.take());
                        delete_handled(&services, &queue, &batch, answer, &failures);
                    }
                })
            })
            .collect();
        mapping.threads = threads;
        mapping
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

/// Kills the environment's present process after a while. One that has not been started yet is killed never.
fn kill_later(environment: &mut Environment, after: Duration) -> JoinHandle<()> {
    let pid = environment.pid();
    thread::spawn(move || {
        thread::sleep(after);
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    })
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

fn delete_handled(services: &Services, queue: &str, batch: &[Value], answer: Answer, failures: &Mutex<Vec<String>>) {
    let failed: Vec<String> = match answer {
        Answer::Failed(why) => {
            failures.lock().unwrap().push(why);
            return;
        }
        Answer::Done(answer) => answer["batchItemFailures"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["itemIdentifier"].as_str().map(str::to_owned))
            .collect(),
    };
    for message in batch {
        let id = message["MessageId"].as_str().unwrap();
        if failed.iter().any(|one| one == id) {
            failures.lock().unwrap().push(format!("message {id} failed: {}", message["Body"]));
            continue;
        }
        let _ =
            services.try_sqs("DeleteMessage", &json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] }));
    }
}
