//! `bakehouse local serve`, while it runs.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub struct Served {
    pub child: Child,
    stdout: BufReader<ChildStdout>,
    _state: tempfile::TempDir,
}

impl Served {
    pub fn start(arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bakehouse"));
        command
            .args(["local", "serve"])
            .args(arguments)
            .env_clear()
            .env("BAKEHOUSE_STATE", state.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, _state: state }
    }

    /// One line of what is to be pasted; the last word's value.
    pub fn export(&mut self, name: &str) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let value = line.trim_end().strip_prefix(&format!("export {name}="));
        value.unwrap_or_else(|| panic!("{line:?} is not {name}")).to_owned()
    }

    /// Ends it; its exit code and what it said to people.
    pub fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn get(url: &str, path: &str) -> String {
    ask(url, "GET", path, "")
}

pub fn ask(url: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!("Host: local\r\nConnection: close\r\nContent-Length: {}", body.len());
    write!(stream, "{method} {path} HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
