//! The options and commands that Packer's users know, as they see them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{TWO_BUILDERS, User};
use insta::assert_snapshot;

#[test]
fn builds_are_selected_by_name() {
    let user = User::new().with("t.json", TWO_BUILDERS);
    for given in [&["-only=one"][..], &["--only", "one"], &["-except=two"], &["-only", "one,two", "-except", "two"]] {
        let seen = user.sees(&[&["validate"], given, &["t.json"]].concat());
        assert!(seen.contains("t.json is valid: 1 builder\n"), "{given:?}: {seen}");
    }
    let seen = user.sees(&["validate", "-only=one", "-only=two", "t.json"]);
    assert!(seen.contains("t.json is valid: 2 builders\n"), "{seen}");
}

#[test]
fn packers_flags_take_a_value_or_none() {
    let user = User::new().with("t.json", TWO_BUILDERS);
    let flags = ["-syntax-only", "-no-warn-undeclared-var", "-evaluate-datasources", "-use-sequential-evaluation"];
    for flag in flags.into_iter().chain(["-ignore-prerelease-plugins", "-skip-enforcement", "-color"]) {
        for flag in [flag.to_owned(), format!("{flag}=false"), format!("-{flag}=1")] {
            let seen = user.sees(&["validate", &flag, "t.json"]);
            assert!(seen.starts_with("exit 0\n"), "{flag}: {seen}");
        }
    }
    let seen = user.sees(&["validate", "-syntax-only=perhaps", "t.json"]);
    assert!(seen.starts_with("exit 2\n") && seen.contains("write true or false"), "{seen}");
}

#[test]
fn the_syntax_alone_can_be_checked() {
    let user = User::new().with("t.json", r#"{"builders": [{"type": "amazon-chroot"}]}"#).with("broken.json", "{");
    let seen = ["t.json", "broken.json"].map(|template| user.sees(&["validate", "-syntax-only", template]));
    assert_snapshot!(seen[0], @r"
    exit 0
    --- stdout
    The syntax of t.json is valid
    --- stderr
    ");
    assert!(seen[1].starts_with("exit 2\n"), "{}", seen[1]);
    assert!(user.sees(&["validate", "t.json"]).starts_with("exit 2\n"));
}

#[test]
fn a_variable_that_is_given_but_not_declared_is_warned_of() {
    let user = User::new().with("t.json", TWO_BUILDERS);
    assert_snapshot!(user.sees(&["validate", "-var", "nmae=web", "t.json"]), @r"
    exit 0
    --- stdout
    t.json is valid: 2 builders, 1 warning
    --- stderr
      ! the variable `nmae` is given, but the template does not declare it
      help: Did you mean `name`?
    ");
    let seen = user.sees(&["validate", "-no-warn-undeclared-var", "-var", "nmae=web", "t.json"]);
    assert!(seen.ends_with("t.json is valid: 2 builders\n--- stderr\n"), "{seen}");
}

#[test]
fn an_option_that_is_none_is_named_as_it_was_written() {
    let seen = User::new().with("t.json", TWO_BUILDERS).sees(&["validate", "-onyl=one", "t.json"]);
    assert!(seen.starts_with("exit 2\n") && seen.contains("unexpected argument '--onyl' found"), "{seen}");
    assert!(seen.contains("a similar argument exists: '--only'"), "{seen}");
}

/// The lines of `-machine-readable` without their times.
fn machine_lines(seen: &str) -> String {
    let (_, rest) = seen.split_once("--- stdout\n").unwrap();
    let (stdout, _) = rest.split_once("\n--- stderr").unwrap();
    let line = |line: &str| {
        let (time, rest) = line.split_once(',').unwrap_or_else(|| panic!("{line}"));
        assert!(time.parse::<u64>().is_ok_and(|time| time > 1_700_000_000), "{line}");
        rest.to_owned()
    };
    stdout.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn validate_speaks_to_programs_too() {
    let user = User::new().with("t.json", TWO_BUILDERS).with("broken.json", "{");
    let seen = user.sees(&["-machine-readable", "validate", "t.json"]);
    assert_eq!(machine_lines(&seen), ",ui,say,The configuration is valid.");
    let seen = user.sees(&["validate", "-machine-readable", "broken.json"]);
    assert!(seen.starts_with("exit 2\n"), "{seen}");
    assert_eq!(machine_lines(&seen), ",ui,error,broken.json has 1 mistake");
    // Only where there is something to say in it.
    assert!(user.sees(&["-machine-readable", "ls"]).starts_with("exit 2\n"));
}

#[test]
fn root_failed_builds_have_packers_lines() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP root_failed_builds_have_packers_lines: not root");
        return;
    }
    let user = User::new().with("t.json", TWO_BUILDERS);
    let seen = user.sees(&["build", "--local", "-machine-readable", "-only=one", "t.json"]);
    assert!(seen.starts_with("exit 1\n"), "{seen}");
    let lines = machine_lines(&seen);
    let message = "no image in us-east-1 matches id ami-12345678";
    let error =
        lines.lines().find(|line| line.starts_with("amazon-chroot.one,error,")).unwrap_or_else(|| panic!("{lines}"));
    assert!(error.contains(message), "{lines}");
    for line in [
        ",ui,say,==> amazon-chroot.one: Prevalidating AMI Name: one",
        ",error-count,1",
        r",ui,error,\n==> Some builds didn't complete successfully and had errors:",
        r",ui,say,\n==> Builds finished but no artifacts were created.",
    ] {
        assert!(lines.lines().any(|it| it == line), "{line} is not in\n{lines}");
    }
    let both = user.sees(&["build", "--local", "-timestamp-ui", "t.json"]);
    let told =
        both.lines().filter(|line| line.contains("Z: amazon-chroot.one: ") || line.contains("Z: amazon-chroot.two: "));
    assert!(told.count() > 4 && both.contains("failed: amazon-chroot.one, amazon-chroot.two"), "{both}");
}

const INSPECTED: &str = r#"{
  "description": "A web server",
  "variables": {"site": "example.org", "key": "hunter22", "token": null, "region": "{{env `R`}}"},
  "sensitive-variables": ["key"],
  "builders": [{"type": "amazon-chroot", "name": "web", "ami_name": "{{user `nothing`}}"}, {"type": "qemu"}],
  "provisioners": [{"type": "shell"}, {"type": "file"}],
  "post-processors": ["manifest", [{"type": "shell-local"}]]
}"#;

#[test]
fn a_template_is_inspected_without_evaluating_it() {
    let user = User::new().with("t.json", INSPECTED);
    assert_snapshot!(user.sees(&["inspect", "-var", "region=eu-west-1", "t.json"]), @r"
    exit 0
    --- stdout
    Description:

    A web server

    Required variables:

      token

    Optional variables and their defaults:

      key    = <sensitive>
      region = eu-west-1
      site   = example.org

    Builders:

      web  (amazon-chroot)
      qemu

    Provisioners:

      shell
      file

    Post-processors:

      manifest
      shell-local
    --- stderr
    ");
}

#[test]
fn a_template_is_inspected_for_programs() {
    let seen = User::new().with("t.json", INSPECTED).sees(&["inspect", "-machine-readable", "t.json"]);
    let lines = machine_lines(&seen);
    let data: Vec<_> = lines.lines().filter(|line| !line.starts_with(",ui,")).collect();
    assert_snapshot!(data.join("\n"), @r"
    ,template-variable,token,,1
    ,template-variable,key,<sensitive>,0
    ,template-variable,region,{{env `R`}},0
    ,template-variable,site,example.org,0
    ,template-builder,web,amazon-chroot
    ,template-builder,qemu,qemu
    ,template-provisioner,shell
    ,template-provisioner,file
    ");
}

#[test]
fn packers_other_commands_say_what_to_do() {
    let user = User::new();
    for command in [&["init", "."][..], &["init", "-upgrade", "web.pkr.hcl"], &["init"]] {
        let seen = user.sees(command);
        assert!(seen.starts_with("exit 0\n") && seen.contains("nothing to install"), "{seen}");
    }
    for command in [&["plugins", "install", "-force", "x"][..], &["fix", "t.json"], &["hcl2_upgrade", "-o=x", "t.json"]]
    {
        let seen = user.sees(command);
        assert!(seen.starts_with("exit 2\n") && seen.contains("hint: "), "{command:?}: {seen}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(user.sees(&["version"]), format!("exit 0\n--- stdout\nbakehouse {version}\n--- stderr\n"));
    let lines = machine_lines(&user.sees(&["version", "-machine-readable"]));
    assert!(lines.starts_with(&format!(",version,{version}\n")), "{lines}");
}

#[test]
fn files_in_hcl2_are_formatted() {
    let user = User::new().with("a.pkr.hcl", "variable \"x\" {\ndefault=1\n}\n").with("b.pkrvars.hcl", "x = 2\n");
    let checked = user.sees(&["fmt", "-check", "-diff", "."]);
    assert_snapshot!(checked, @r#"
    exit 3
    --- stdout
    a.pkr.hcl
    --- old/a.pkr.hcl
    +++ new/a.pkr.hcl
    @@ -1,3 +1,3 @@
     variable "x" {
    -default=1
    +  default = 1
     }
    --- stderr
    "#);
    assert_eq!(user.sees(&["fmt", "-write=false", "a.pkr.hcl"]), "exit 0\n--- stdout\na.pkr.hcl\n--- stderr\n");
    assert!(user.sees(&["fmt", "-check", "a.pkr.hcl"]).starts_with("exit 3\n"), "nothing was to be written yet");
    assert_eq!(user.sees(&["fmt", "."]), "exit 0\n--- stdout\na.pkr.hcl\n--- stderr\n");
    assert_eq!(user.sees(&["fmt", "-check", "."]), "exit 0\n--- stdout\n\n--- stderr\n");
    let wrong = user.with("c.pkr.hcl", "a = )\n").sees(&["fmt", "c.pkr.hcl"]);
    assert!(wrong.starts_with("exit 2\n") && wrong.contains("c.pkr.hcl:1:5: "), "{wrong}");
}

const HCL: &str = r#"
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2"
      source  = "github.com/hashicorp/amazon"
    }
  }
}
variable "site" {
  default = "example.org"
}
variable "key" {
  default   = "hunter22"
  sensitive = true
}
variable "ids" {
  type = list(string)
}
source "amazon-chroot" "web" {
  ami_name = nowhere.to.be.found
}
build {
  name    = "all"
  sources = ["source.amazon-chroot.web"]
  source "amazon-chroot.web" {
    name = "second"
  }
  provisioner "shell" {
    inline = ["true"]
  }
  post-processors {
    post-processor "manifest" {}
    post-processor "shell-local" {}
  }
}
"#;

#[test]
fn a_template_in_hcl2_is_inspected() {
    let seen = User::new().with("web.pkr.hcl", HCL).sees(&["inspect", "-var", "ids=[1]", "."]);
    assert_snapshot!(seen, @r"
    exit 0
    --- stdout
    Optional variables and their defaults:

      ids  = [1]
      key  = <sensitive>
      site = example.org

    Builders:

      all.amazon-chroot.web    (amazon-chroot)
      all.amazon-chroot.second (amazon-chroot)

    Provisioners:

      shell

    Post-processors:

      manifest
      shell-local
    --- stderr
    ");
}

/// A build from nothing that fails before it needs any program of this machine.
const FAILING: &str = r#"{"builders": [{
  "type": "amazon-chroot", "ami_name": "one", "from_scratch": true, "root_volume_size": 1,
  "ami_virtualization_type": "hvm", "root_device_name": "/dev/xvda", "pre_mount_commands": ["exit 3"],
  "ami_block_device_mappings": [{"device_name": "/dev/xvda"}]
}]}"#;

#[test]
fn root_what_a_failed_build_was_to_leave_can_be_removed() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP root_what_a_failed_build_was_to_leave_can_be_removed: not root");
        return;
    }
    let user = User::new().with("t.json", FAILING);
    let seen = user.sees(&["build", "--local", "-on-error=abort", "t.json"]);
    assert!(seen.starts_with("exit 1\n") && seen.contains("this was left: volume vol-"), "{seen}");
    let listed = user.sees(&["sweep"]);
    assert!(listed.contains("(t.json), failed: volume vol-"), "{listed}");
    let removed = user.sees(&["cancel", "last"]);
    assert!(removed.starts_with("exit 0\n") && removed.contains("nothing of it is left"), "{removed}");
    assert!(user.sees(&["sweep"]).contains("nothing is left"));
    // Without the option nothing stays.
    let seen = user.sees(&["build", "--local", "t.json"]);
    assert!(seen.starts_with("exit 1\n") && seen.contains("nothing of it is left"), "{seen}");
}

#[test]
fn questions_are_refused_where_nobody_can_answer() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP questions_are_refused_where_nobody_can_answer: root is asked for first");
        return;
    }
    let user = User::new().with("t.json", FAILING);
    for option in ["-on-error=ask", "-debug"] {
        let seen = user.sees(&["build", "--local", option, "t.json"]);
        assert!(seen.starts_with("exit 2\n") && seen.contains("nobody can answer here"), "{option}: {seen}");
    }
    assert!(user.sees(&["build", "--local", "-on-error=explode", "t.json"]).starts_with("exit 2\n"));
}

/// What a console prints for these lines on standard input.
fn console(user: &User, arguments: &[&str], lines: &str) -> String {
    let mut command = user.command(&[&["console"], arguments].concat(), &[]);
    let pipes = || std::process::Stdio::piped();
    let mut child = command.stdin(pipes()).stdout(pipes()).stderr(pipes()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    format!("{:?}\n{}\n{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_console_prints_the_value_of_the_last_line() {
    let user = User::new().with("t.json", INSPECTED).with("web.pkr.hcl", HCL);
    let token = ["-var", "token=x", "t.json"];
    assert_eq!(console(&user, &token, "{{timestamp}}\n{{user `site` | upper}}\n"), "Some(0)\nEXAMPLE.ORG\n");
    assert_eq!(console(&user, &token, "{{user `key`}}"), "Some(0)\n<sensitive>\n");
    assert_eq!(console(&user, &["-var", "ids=[1]", "web.pkr.hcl"], "var.ids[0] + 1\nexit\nnonsense"), "Some(0)\n2\n");
    assert_eq!(console(&user, &["-config-type=hcl2"], "join(\"-\", [1, 2])\n"), "Some(0)\n1-2\n");
    assert_eq!(console(&user, &[], "{{upper `a`}}\n"), "Some(0)\nA\n");
    assert!(console(&user, &[], "help\n").contains("Control-D"));
    assert!(console(&user, &token, "variables").contains("\nsite: example.org,\n"));
}

#[test]
fn a_console_reports_what_is_wrong() {
    let user = User::new().with("web.pkr.hcl", HCL);
    let seen = console(&user, &["-var", "ids=[1]", "web.pkr.hcl"], "1\nvar.id\n");
    assert!(seen.starts_with("Some(1)\n\n") && seen.contains("there is no variable `var.id`"), "{seen}");
    assert!(seen.contains("console:1:1") && seen.contains("Did you mean `var.ids`?"), "{seen}");
    assert!(console(&user, &["-"], "1").starts_with("Some(2)\n"));
    assert!(console(&user, &["none.json"], "1").starts_with("Some(2)\n"));
}
