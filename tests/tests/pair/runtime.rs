//! Lambda's side of the function: the Runtime API for one execution environment, and the environment's process.
//!
//! The four paths are those of the Lambda documentation ("Using the Lambda runtime API for custom runtimes").

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

/// The result of an invocation.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The response of the function.
    Done(Value),
    /// It returned an error, its process died, or it timed out.
    Failed(String),
}

impl Answer {
    /// The ids of the messages that the function could not handle.
    fn failed(&self) -> Vec<&str> {
        let Self::Done(answer) = self else { return vec![] };
        let items = answer["batchItemFailures"].as_array().into_iter().flatten();
        items.filter_map(|item| item["itemIdentifier"].as_str()).collect()
    }

    /// Merges the results of two environments for one batch: a message has failed if it failed in both.
    pub(crate) fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Failed(_), Self::Done(_)) => other,
            (_, Self::Failed(_)) => self,
            (Self::Done(_), Self::Done(_)) => {
                let (one, other) = (self.failed(), other.failed());
                let both = one.iter().filter(|id| other.contains(id));
                let items: Vec<Value> = both.map(|id| json!({ "itemIdentifier": id })).collect();
                Self::Done(json!({ "batchItemFailures": items }))
            }
        }
    }

    /// Whether a message was handled.
    pub(crate) fn has_handled(&self, message: &str) -> bool {
        matches!(self, Self::Done(_)) && !self.failed().contains(&message)
    }
}

/// The reason if a process ended before it answered.
pub(crate) const ENDED: &str = "the process ended";

/// One execution environment: it takes one invocation at a time.
pub(crate) struct Environment {
    command: Box<dyn Fn() -> Command + Send>,
    api: Arc<Api>,
    answers: Receiver<(String, Answer)>,
    child: Option<Child>,
    /// How long an invocation may take.
    timeout: Duration,
    invocations: u64,
    log: PathBuf,
    /// The time from the start of the last process to its first request for an invocation.
    pub(crate) init: Option<Duration>,
}

struct Api {
    address: String,
    /// The current invocation, until the process requests it.
    next: Mutex<Receiver<(String, String)>>,
    give: Mutex<Sender<(String, String)>>,
    answers: Mutex<Sender<(String, Answer)>>,
    requested: Mutex<Option<Instant>>,
}

impl Environment {
    /// An environment that runs a program; its output goes to a file.
    pub(crate) fn new(log: PathBuf, timeout: Duration, command: impl Fn() -> Command + Send + 'static) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let address = server.server_addr().to_ip().unwrap().to_string();
        let (give, next) = channel();
        let (send, answers) = channel();
        let api = Arc::new(Api {
            address,
            next: Mutex::new(next),
            give: Mutex::new(give),
            answers: Mutex::new(send),
            requested: Mutex::new(None),
        });
        let server = Arc::new(server);
        let serving = Arc::clone(&api);
        thread::spawn(move || {
            for request in server.incoming_requests() {
                let api = Arc::clone(&serving);
                // Each in a thread of its own: the request for the next invocation waits until there is one.
                thread::spawn(move || api.answer(request));
            }
        });
        let command = Box::new(command);
        Self { command, api, answers, child: None, timeout, invocations: 0, log, init: None }
    }

    /// Starts the process if it does not run, and waits until it requests an invocation.
    pub(crate) fn start(&mut self) {
        if self.is_alive() {
            return;
        }
        let log = || std::fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        *self.api.requested.lock().unwrap() = None;
        // An invocation that a dead process did not request must not reach the next one.
        while self.api.next.lock().unwrap().try_recv().is_ok() {}
        let began = Instant::now();
        let mut command = (self.command)();
        command.env("AWS_LAMBDA_RUNTIME_API", &self.api.address).stdin(Stdio::null()).stdout(log()).stderr(log());
        self.child = Some(command.spawn().unwrap());
        while self.api.requested.lock().unwrap().is_none()
            && began.elapsed() < Duration::from_secs(30)
            && self.is_alive()
        {
            thread::sleep(Duration::from_millis(1));
        }
        self.init = self.api.requested.lock().unwrap().map(|at| at.duration_since(began));
    }

    fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Kills the process, as the kernel does when memory runs out.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Runs one invocation. `kill`: the process is killed if it has not answered after this time.
    pub(crate) fn invoke(&mut self, event: &Value, kill: Option<Duration>) -> Answer {
        self.start();
        self.invocations += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.invocations);
        while self.answers.try_recv().is_ok() {}
        self.api.give.lock().unwrap().send((id.clone(), event.to_string())).unwrap();
        let began = Instant::now();
        loop {
            let beat = Duration::from_millis(20);
            let wait = kill.map_or(beat, |after| after.saturating_sub(began.elapsed()).min(beat));
            match self.answers.recv_timeout(wait) {
                Ok((of, answer)) if of == id => return answer,
                Ok(_) => {}
                Err(_) if kill.is_some_and(|after| began.elapsed() >= after) => {
                    self.kill();
                    return Answer::Failed(ENDED.into());
                }
                Err(_) if !self.is_alive() => {
                    self.child = None;
                    return Answer::Failed(ENDED.into());
                }
                Err(_) if began.elapsed() > self.timeout => {
                    self.kill();
                    return Answer::Failed("it took too long".into());
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Api {
    fn answer(&self, mut request: Request) {
        let url = request.url().to_owned();
        let path = url.strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
        if path == "invocation/next" && request.method() == &Method::Get {
            self.requested.lock().unwrap().get_or_insert_with(Instant::now);
            // A process that died while it waited must not take the next one's invocation.
            let Ok((id, event)) = self.next.lock().unwrap().recv() else { return };
            let deadline = super::clock::now().0 + 60_000;
            let header = |name: &str, value: &str| Header::from_bytes(name, value).unwrap();
            let response = Response::from_string(event)
                .with_header(header("Lambda-Runtime-Aws-Request-Id", &id))
                .with_header(header("Lambda-Runtime-Deadline-Ms", &deadline.to_string()))
                .with_header(header("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0"))
                .with_header(header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:us-east-1:123456789012:function:bakehouse-controller",
                ));
            let _ = request.respond(response);
            return;
        }
        let mut body = String::new();
        let _ = request.as_reader().read_to_string(&mut body);
        let answer = match path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/')) {
            Some((id, "response")) => {
                Some((id.to_owned(), Answer::Done(serde_json::from_str(&body).unwrap_or_default())))
            }
            Some((id, "error")) => Some((id.to_owned(), Answer::Failed(body))),
            _ => None,
        };
        let known = answer.is_some() || path == "init/error";
        if let Some(answer) = answer {
            let _ = self.answers.lock().unwrap().send(answer);
        }
        let _ = request.respond(Response::from_string("{}").with_status_code(if known { 202 } else { 404 }));
    }
}
