//! The command `bakehouse`, as a user on another machine has it.

use std::process::{Command, Stdio};

use super::{
    fixture::Fixture,
    names::{STACK, USER_KEY},
    programs,
    run::Run,
    services::REGION,
};

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
        move || command.wait_with_output().unwrap().into()
    }
}
