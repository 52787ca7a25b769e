//! `bakehouse local serve`, running.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::common::Fixture;

/// The program, from when it serves until this is dropped.
pub(crate) struct Served {
    child: Child,
    /// What it says is to be exported.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Served {
    pub(crate) fn start(fixture: &Fixture) -> Self {
        let mut command = fixture.command(["local", "serve", "--listen", "127.0.0.1:0", "--devices", "--test-api"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut environment = BTreeMap::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let words = line.strip_prefix("export ").unwrap_or_else(|| panic!("{line}")).split(' ');
            environment.extend(words.filter_map(|word| word.split_once('=')).map(|(a, b)| (a.into(), b.into())));
            if environment.contains_key("AWS_DEFAULT_REGION") {
                break;
            }
        }
        Self { child, environment }
    }

    pub(crate) fn url(&self) -> &str {
        &self.environment["AWS_ENDPOINT_URL_EC2"]
    }

    fn http(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.url().strip_prefix("http://").unwrap()).unwrap();
        let length = body.len();
        let request = format!("{head}\r\nHost: local\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        body.to_owned()
    }

    /// One call of EC2; its answer.
    pub(crate) fn call(&self, region: &str, action: &str, parameters: &str) -> String {
        let signature = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{region}/ec2/aws4_request, Signature=0");
        let body = format!("Action={action}&Version=2016-11-15&{parameters}");
        self.http(&format!("POST / HTTP/1.1\r\nAuthorization: {signature}"), &body)
    }

    /// The calls of others so far.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let all: Vec<Value> = serde_json::from_str(&self.http("GET /_bakehouse/calls HTTP/1.1", "")).unwrap();
        all.into_iter().filter(|call| call["access_key_id"] != "test").collect()
    }

    /// Ends it as a user does; whether it ended well.
    pub(crate) fn end(mut self) -> bool {
        self.signal();
        self.child.wait().unwrap().success()
    }

    fn signal(&self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal();
            let _ = self.child.wait();
        }
    }
}
