//! Somebody who runs the built program.

#![allow(dead_code, reason = "each test uses its part")]

pub mod served;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A template with two builders, the name of one from a variable.
pub const TWO_BUILDERS: &str = r#"{
  "builders": [
    {"type": "amazon-chroot", "name": "one", "source_ami": "ami-12345678", "ami_name": "one"},
    {"type": "amazon-chroot", "name": "two", "source_ami": "ami-12345678", "ami_name": "{{user `name`}}"}
  ],
  "variables": {"name": "two"},
  "provisioners": [{"type": "shell", "inline": ["true"]}]
}
"#;

/// A working directory and a state directory of its own.
pub struct User {
    dir: TempDir,
}

impl User {
    pub fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.dir.path().join(name), text).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What a command prints and how it ends, with this machine's paths blanked out.
    pub fn sees(&self, arguments: &[&str]) -> String {
        self.sees_with(arguments, &[])
    }

    pub fn sees_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.command(arguments, environment).output().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(&self.path().display().to_string(), "[DIR]").trim_end().to_owned()
        };
        let code = output.status.code().unwrap();
        format!("exit {code}\n--- stdout\n{}\n--- stderr\n{}", text(&output.stdout), text(&output.stderr))
    }

    pub fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bakehouse"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path())
            .env("BAKEHOUSE_STATE", self.path().join("state"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        command
    }
}
