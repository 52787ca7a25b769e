//! A stack of one host for the tests: moto for SQS, S3 and CloudWatch Logs, a metadata service, and the real program.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use aws_sdk_sqs::types::QueueAttributeName;
use bakehouse_protocol::{
    BundleRef, Envelope, HostMessage, HostReport, InboxMessage, Job, Outcome, Report, ReportBody,
};
use bakehouse_tests::moto::{ACCOUNT, Moto, REGION};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::runtime::Runtime;

pub const INSTANCE: &str = "i-0123456789abcdef0";
const AGENT: &str = env!("CARGO_BIN_EXE_bakehouse-agent");
const QUEUE: &str = "bakehouse-host-i-0123456789abcdef0";
const GROUP: &str = "/bakehouse/bakehouse/builds";
const BUCKET: &str = "bakehouse-bundles";
/// Long enough for a loaded machine.
const LONG: Duration = Duration::from_secs(90);

pub struct Stack {
    moto: Moto,
    runtime: Runtime,
    sqs: aws_sdk_sqs::Client,
    s3: aws_sdk_s3::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    inbox: String,
    imds: String,
    pub dir: tempfile::TempDir,
    pub received: Vec<InboxMessage>,
}

impl Stack {
    /// A stack without the host's queue.
    pub fn start(test: &str) -> Option<Self> {
        let moto = Moto::start(test)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = moto.config();
        let sqs = aws_sdk_sqs::Client::new(&config);
        let s3 = aws_sdk_s3::Client::new(&config);
        let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
        let inbox = runtime.block_on(async {
            s3.create_bucket().bucket(BUCKET).send().await.unwrap();
            logs.create_log_group().log_group_name(GROUP).send().await.unwrap();
            sqs.create_queue().queue_name("bakehouse-inbox").send().await.unwrap().queue_url.unwrap()
        });
        let dir = tempfile::tempdir().unwrap();
        Some(Self { moto, runtime, sqs, s3, logs, inbox, imds: imds(), dir, received: Vec::new() })
    }

    /// Makes the host's queue, as the controller does when the host reports.
    pub fn make_queue(&self) {
        self.runtime.block_on(self.sqs.create_queue().queue_name(QUEUE).send()).unwrap();
    }

    pub fn remove_queue(&self) {
        self.runtime.block_on(self.sqs.delete_queue().queue_url(self.queue()).send()).unwrap();
    }

    /// A queue that no long poll reads: that of a killed daemon goes on in moto, as it may in SQS, and would receive
    /// the next message.
    pub fn renew_queue(&self) {
        self.remove_queue();
        self.make_queue();
    }

    fn queue(&self) -> String {
        format!("{}/{ACCOUNT}/{QUEUE}", self.moto.endpoint())
    }

    /// Writes the settings; `more` is put beside the usual ones.
    pub fn settings(&self, by_id: &Path, more: &str) -> PathBuf {
        let (dir, inbox, by_id) = (self.dir.path().display(), &self.inbox, by_id.display());
        let text = format!(
            r#"{{"bakehouse": 1, "name": "bakehouse", "region": "{REGION}", "account": "{ACCOUNT}", "table": "bakehouse",
            "inbox_url": "{inbox}", "bucket": "{BUCKET}", "builds_log_group": "{GROUP}",
            "host_queue_prefix": "bakehouse-host-", "host_role_arn": "arn:aws:iam::{ACCOUNT}:role/host",
            "run_dir": "{dir}/run", "work_dir": "{dir}/lib", "by_id": ["{by_id}"],
            "cgroup": "bakehouse-test-{}" {more}}}"#,
            std::process::id()
        );
        let path = self.dir.path().join("agent.json");
        fs::write(&path, text).unwrap();
        path
    }

    pub fn command(&self, verb: &str, config: &Path) -> Command {
        let mut command = Command::new(AGENT);
        command.args([verb, "--config"]).arg(config);
        command.envs(self.moto.environment()).env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &self.imds);
        command
    }

    /// Starts it, and waits until it is ready.
    pub fn daemon(&self, config: &Path) -> Daemon {
        let path = self.dir.path().join("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let mut command = self.command("run", config);
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "1000000").stdin(Stdio::null());
        let daemon = Daemon(command.spawn().unwrap(), socket);
        daemon.notifies_systemd("READY=1");
        daemon
    }

    pub fn send(&self, message: &HostMessage) {
        let body = serde_json::to_string(&Envelope::new(message.clone())).unwrap();
        self.runtime.block_on(self.sqs.send_message().queue_url(self.queue()).message_body(body).send()).unwrap();
    }

    pub fn job(&self, job: &Job) {
        self.send(&HostMessage::Job { job: job.clone() });
    }

    pub fn put(&self, reference: &BundleRef, bytes: Vec<u8>) {
        let put = self.s3.put_object().bucket(BUCKET).key(&reference.key).body(bytes.into());
        self.runtime.block_on(put.send()).unwrap();
    }

    /// How many messages the host's queue holds, hidden ones included.
    pub fn queued_messages(&self) -> u32 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let get = self.sqs.get_queue_attributes().queue_url(self.queue()).set_attribute_names(Some(names.to_vec()));
        let found = self.runtime.block_on(get.send()).unwrap().attributes.unwrap();
        names.iter().map(|name| found[name].parse::<u32>().unwrap()).sum()
    }

    /// Every line of a build's log.
    pub fn log(&self, stream: &str) -> Vec<Report> {
        let get = self.logs.get_log_events().log_group_name(GROUP).log_stream_name(stream).start_from_head(true);
        let Ok(found) = self.runtime.block_on(get.send()) else {
            return Vec::new();
        };
        let lines = found.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    /// Reads the inbox until a message matches.
    #[track_caller]
    pub fn await_message<T>(&mut self, what: &str, is: impl Fn(&InboxMessage) -> Option<T>) -> T {
        let end = Instant::now() + LONG;
        let mut from = 0;
        loop {
            if let Some(found) = self.received[from..].iter().find_map(&is) {
                return found;
            }
            assert!(Instant::now() < end, "{what}: {:#?}", self.received);
            from = self.received.len();
            let receive = self.sqs.receive_message().queue_url(&self.inbox).wait_time_seconds(1);
            let received = self.runtime.block_on(receive.max_number_of_messages(10).send()).unwrap();
            for message in received.messages.unwrap_or_default() {
                let envelope: Envelope<InboxMessage> = serde_json::from_str(&message.body.unwrap()).unwrap();
                self.received.push(envelope.message);
                let delete = self.sqs.delete_message().queue_url(&self.inbox);
                self.runtime.block_on(delete.receipt_handle(message.receipt_handle.unwrap()).send()).unwrap();
            }
        }
    }

    #[track_caller]
    pub fn await_outcome(&mut self, attempt: u32) -> Outcome {
        self.await_message("an end", |message| match message {
            InboxMessage::Report { report } if report.attempt == attempt => match &report.body {
                ReportBody::Ended(outcome) => Some(outcome.clone()),
                _ => None,
            },
            _ => None,
        })
    }

    #[track_caller]
    pub fn await_report(&mut self, attempt: u32, body: &ReportBody) {
        self.await_message("a report", |message| match message {
            InboxMessage::Report { report } => (report.attempt == attempt && report.body == *body).then_some(()),
            _ => None,
        });
    }

    #[track_caller]
    pub fn await_host_report(&mut self, is: impl Fn(&HostReport) -> bool) -> HostReport {
        self.await_message("the host", |message| match message {
            InboxMessage::Host { host } => is(host).then(|| host.clone()),
            _ => None,
        })
    }

    /// Clears what was received.
    pub fn clear_received(&mut self) {
        self.received.clear();
    }
}

/// Waits for something.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The program; killed at the end of the test.
pub struct Daemon(Child, UnixDatagram);

impl Daemon {
    /// Waits until it notifies systemd of this.
    #[track_caller]
    pub fn notifies_systemd(&self, what: &str) {
        let mut buffer = [0; 256];
        loop {
            let count = self.1.recv(&mut buffer).unwrap();
            // Each assignment is a line.
            if buffer[..count].split(|byte| *byte == b'\n').any(|line| line == what.as_bytes()) {
                return;
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }

    /// Kills it, and with it what it has started.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.0.wait().unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    pub fn memory(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The metadata service, as far as it is used: tokens, and the instance's identity.
fn imds() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    url
}

fn serve(stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut to = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_lowercase()),
            }
        }
        let with_token = head.iter().any(|line| line == "x-aws-ec2-metadata-token: token");
        let (status, body) = match head.first()?.split(' ').take(2).collect::<Vec<_>>().as_slice() {
            ["put", "/latest/api/token"] => ("200 OK", "token".to_owned()),
            ["get", "/latest/dynamic/instance-identity/document"] if with_token => {
                let zone = format!("{REGION}a");
                let text = format!(
                    r#"{{"instanceId": "{INSTANCE}", "region": "{REGION}", "availabilityZone": "{zone}",
                    "architecture": "x86_64", "accountId": "{ACCOUNT}"}}"#
                );
                ("200 OK", text)
            }
            _ => ("401 Unauthorized", String::new()),
        };
        let length = body.len();
        let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 21600";
        write!(to, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{ttl}\r\n\r\n{body}").ok()?;
    }
}
