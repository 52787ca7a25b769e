//! The script with which a host starts, run in a directory, with a stand-in for the aws CLI.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use bakehouse_tests::template::Template;
use tempfile::TempDir;

struct Host {
    directory: TempDir,
    sha256: String,
}

impl Host {
    /// With an agent to be fetched, packed as `cargo xtask package` does.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let packed = at("bakehouse-agent-1-x86_64");
        fs::create_dir(&packed).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::copy(ours.join("infra/install.sh"), packed.join("install.sh")).unwrap();
        for file in ["agent.json", "bakehouse-agent.service"] {
            fs::copy(ours.join("agent/daemon/dist").join(file), packed.join(file)).unwrap();
        }
        fs::write(packed.join("bakehouse-agent"), "the agent").unwrap();
        run(Command::new("tar").current_dir(&directory).args(["-czf", "fetched", "bakehouse-agent-1-x86_64"]));
        let said = run(Command::new("sha256sum").arg(at("fetched")));
        // What it is called with, and what it gives.
        let aws = format!(
            "#!/bin/sh\necho \"$@\" >>{0}/calls\n[ -e {0}/refuse ] && exit 1\nfor last; do :; done\ncp {0}/fetched \"$last\"\n",
            directory.path().display()
        );
        fs::create_dir(at("bin")).unwrap();
        for (name, text) in [("aws", aws.as_str()), ("sleep", "#!/bin/sh\n")] {
            fs::write(at("bin").join(name), text).unwrap();
            fs::set_permissions(at("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { directory, sha256: said.split_whitespace().next().unwrap().to_owned() }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Whether the script ends well, with this digest as the stack's parameter.
    fn starts(&self, sha256: &str) -> bool {
        let template = Template::read().unwrap().with("AgentSha256", sha256);
        let host = template.resource("HostTemplate");
        let script = host.pointer("/Properties/LaunchTemplateData/UserData").unwrap().as_str().unwrap();
        let root = self.root();
        let script = script.replace("/etc/bakehouse", &format!("{}/etc/bakehouse", root.display()));
        let path = format!("{}:{}", self.directory.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(script).env("PATH", path).env("DESTDIR", &root).env("TMPDIR", self.directory.path());
        bash.output().unwrap().status.success()
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.directory.path().join("calls")).unwrap();
        calls.lines().map(str::to_owned).collect()
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_host_installs_the_agent_and_its_settings() {
    let host = Host::new();
    assert!(host.starts(&host.sha256));
    let wanted =
        "s3 cp --only-show-errors --region us-east-1 s3://some-code/bakehouse/bakehouse-agent.tar.gz agent.tar.gz";
    assert_eq!(host.calls(), [wanted]);
    let there = |name: &str| fs::read_to_string(host.root().join(name)).unwrap();
    assert_eq!(there("usr/local/bin/bakehouse-agent"), "the agent");
    assert!(there("etc/systemd/system/bakehouse-agent.service").contains("Type=notify"));
    let settings: serde_json::Value = serde_json::from_str(&there("etc/bakehouse/agent.json")).unwrap();
    assert_eq!(settings["slots"], 4, "the stack's, not the example's");
}

#[test]
fn a_host_does_not_start_what_is_not_the_stacks_agent() {
    let host = Host::new();
    assert!(!host.starts(&"0".repeat(64)));
    assert!(!host.root().exists(), "nothing was installed");
}

#[test]
fn a_host_tries_again_until_the_agent_can_be_fetched() {
    let host = Host::new();
    fs::write(host.directory.path().join("refuse"), "").unwrap();
    assert!(!host.starts(&host.sha256));
    assert_eq!(host.calls().len(), 10);
    assert!(!host.root().exists());
}
