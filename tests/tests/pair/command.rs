//! The command `bakehouse`, as a user on another machine has it.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    fixture::Fixture,
    names::{STACK, USER_KEY},
    programs,
    services::REGION,
};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

impl Fixture {
    /// Runs the command.
    pub(crate) fn bakehouse(&self, arguments: &[&str]) -> Run {
        self.start_command(arguments)()
    }

    /// Starts the command; calling what is returned waits for its end.
    pub(crate) fn start_command(&self, arguments: &[&str]) -> impl FnOnce() -> Run + use<> {
        let command = Command::new(programs::bakehouse())
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.dir.path())
            .env("BAKEHOUSE_STACK", STACK)
            .env("AWS_ENDPOINT_URL", &self.services.endpoint)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", USER_KEY)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        move || {
            let output = command.wait_with_output().unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
        }
    }
}
