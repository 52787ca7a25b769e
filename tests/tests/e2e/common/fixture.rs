//! A state directory of the test's own with a small base image, and the program that is run on it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    disk::{Inside, base_disk},
    program::bakehouse,
    requirements,
    run::Run,
};

/// Something that no output may show: it is in the environment of each command.
pub(crate) const SECRET: &str = "s3cret-of-the-host";

/// A test's own directory, with the state directory in it, and in that an image named `base`.
pub(crate) struct Fixture {
    dir: TempDir,
    /// Mounts that the test itself made.
    pub(crate) own_mounts: BTreeSet<PathBuf>,
}

impl Fixture {
    /// `None`, and a line saying why, where the test can't run.
    pub(crate) fn open(test: &str) -> Option<Self> {
        Self::bare(test).inspect(|fixture| {
            let raw = fixture.path().join("base.raw");
            base_disk(fixture.path(), &raw, |_| {});
            fixture.run(["local", "import", raw.to_str().unwrap(), "--name", "base"]).exits(0);
        })
    }

    /// Without a base image.
    pub(crate) fn bare(test: &str) -> Option<Self> {
        if !requirements::are_met(test) {
            return None;
        }
        let dir = tempfile::Builder::new().prefix("bakehouse-e2e-").tempdir().unwrap();
        Some(Self { dir, own_mounts: BTreeSet::new() })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// A template file: an amazon-chroot builder from the base image, with `options` in addition.
    pub(crate) fn template(&self, name: &str, options: Value, provisioners: Value) -> String {
        let mut builder = json!({
            "type": "amazon-chroot",
            "region": "us-east-1",
            "ami_name": "{{uuid}}",
            "source_ami_filter": { "filters": { "name": "base" }, "owners": ["self"], "most_recent": true },
            "mount_path": self.mounts().join("{{.Device}}"),
        });
        for (key, value) in options.as_object().unwrap() {
            // `null` removes an option.
            match value {
                Value::Null => builder.as_object_mut().unwrap().remove(key),
                value => builder.as_object_mut().unwrap().insert(key.clone(), value.clone()),
            };
        }
        self.file(name, &json!({ "builders": [builder], "provisioners": provisioners }).to_string())
    }

    /// A template with one inline shell provisioner.
    pub(crate) fn shell(&self, lines: &[&str]) -> String {
        self.template("t.json", json!({}), json!([{ "type": "shell", "inline": lines }]))
    }

    /// A file in the test's directory; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Where the templates have their images mounted.
    pub(crate) fn mounts(&self) -> PathBuf {
        self.path().join("mnt")
    }

    pub(crate) fn command<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(bakehouse());
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path())
            .env("BAKEHOUSE_STATE", self.state())
            .env("HOST_SECRET", SECRET)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<const N: usize>(&self, arguments: [&str; N]) -> Run {
        self.command(arguments).output().unwrap().into()
    }

    pub(crate) fn build(&self, template: &str) -> Run {
        self.run(["build", template, "--local"])
    }

    /// What `local images` lists.
    pub(crate) fn images(&self) -> Vec<Value> {
        self.run(["local", "images", "--json"]).exits(0).json().as_array().unwrap().clone()
    }

    /// What `ls` lists.
    pub(crate) fn builds(&self) -> Vec<Value> {
        self.run(["ls", "--json"]).exits(0).json().as_array().unwrap().clone()
    }

    /// The newest build.
    pub(crate) fn last(&self) -> Value {
        self.run(["show", "last", "--json"]).exits(0).json()
    }

    /// An image's root disk, exported.
    pub(crate) fn export(&self, image: &str) -> PathBuf {
        let file = self.path().join("out.raw");
        self.run(["local", "export", image, file.to_str().unwrap()]).exits(0);
        file
    }

    /// What is in an image.
    pub(crate) fn look_into(&self, image: &str) -> Inside {
        Inside::new(self.path(), &self.export(image), ".")
    }
}

/// The one line of standard output that begins with `region: `, without that.
pub(crate) fn image_in<'a>(stdout: &'a str, region: &str) -> &'a str {
    let mut lines = stdout.lines().filter_map(|line| line.strip_prefix(region)?.strip_prefix(": "));
    let found = lines.next().unwrap_or_else(|| panic!("no image in {region}: {stdout}"));
    assert_eq!(lines.next(), None);
    found
}
