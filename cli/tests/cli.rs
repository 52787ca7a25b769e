//! The command as its user sees it: output, talk and exit code of the built program. Whole builds are tested elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{TWO_BUILDERS, User};
use insta::assert_snapshot;

const BAD: &str = r#"{
  "builders": [
    {"type": "amazon-chroot", "source_amy": "ami-12345678", "ami_name": "x"}
  ],
  "provisioners": [{"type": "shell", "script": "missing.sh"}]
}
"#;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn help() {
    assert_snapshot!(User::new().sees(&["--help"]), @r#"
    exit 0
    --- stdout
    Bakes Amazon Machine Images without launching an instance.

    Templates written for Packer's amazon-chroot builder run unchanged. With `--local` everything
    happens on this machine, in an embedded cloud of sparse files and loop devices: no account is
    needed.

    Usage: bakehouse [OPTIONS] <COMMAND>

    Commands:
      validate  Check a template: every mistake at once, each with its place and what to write instead
      plan      Show what a build would do: every phase, every call with its values, the time, the cost
      inspect   Show what is in a template: variables, builders, provisioners
      console   Evaluate expressions with a template's variables, locals and data sources
      fmt       Bring files in HCL2 into their canonical form, and print the names of those that change
      version   Print the version
      init      Does nothing: there are no plugins to install
      policy    Print the least IAM policy that a template needs, computed from its options
      build     Bake the images that a template describes
      submit    Let a stack bake the images that a template describes
      recipe    Keep templates in a stack, for schedules and for new releases of their source images
      ls        List builds, the newest last
      show      Show one build: its phases, what it made, and why it failed if it did
      watch     Follow a build until it ends: its phases, and what its steps print
      logs      Print what a build's steps printed
      hosts     List the hosts that run builds, and which builds they run
      drain     Give a stack's host no new builds; what runs on it ends there
      cancel    Cancel a build, and wait until everything that it made has been undone
      sweep     List what killed runs have left behind; with --yes, remove it
      local     Look at the embedded cloud's images, bring disks in and take them out
      help      Print this message or the help of the given subcommand(s)

    Options:
          --state <DIR>
              Where builds and the embedded cloud are kept [default: $BAKEHOUSE_STATE, else bakehouse in
              the XDG state home]

          --stack <NAME>
              The stack to ask, in place of this machine
              
              [env: BAKEHOUSE_STACK]

          --region <REGION>
              The stack's region [default: $AWS_REGION, else that of the profile or of this instance]

      -v, --verbose...
              Show on standard error what is done and every fault with its cause; twice: the AWS SDK's
              requests, too. BAKEHOUSE_LOG takes directives, such as `bakehouse=debug,aws=info`

          --color[=<BOOL>]
              Colours on terminals; `--color=false`, NO_COLOR and PACKER_NO_COLOR switch them off

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Exit codes: 0 done, 1 the build failed, 2 the template or the arguments are wrong,
    3 `fmt -check` found a difference, 130 cancelled.

    Example:
      bakehouse validate web.json && sudo bakehouse build web.json --local
    --- stderr
    "#);
}

#[test]
fn help_of_each_verb_has_an_example() {
    let user = User::new();
    let local = [["local", "images"], ["local", "import"], ["local", "export"], ["local", "rm"]];
    let verbs = [
        "validate", "policy", "build", "submit", "recipe", "ls", "show", "watch", "logs", "hosts", "drain", "cancel",
        "sweep", "local", "inspect", "fmt", "version", "init",
    ];
    for verb in verbs.iter().map(std::slice::from_ref).chain(local.iter().map(|it| &it[..])) {
        let seen = user.sees(&[verb, &["--help"]].concat());
        assert!(seen.starts_with("exit 0") && seen.contains("Example"), "{verb:?}: {seen}");
    }
}

#[test]
fn nobody_is_told_of_the_agents_own_entry() {
    assert!(!User::new().sees(&["--help"]).contains("agent-job"));
}

#[test]
fn a_good_template() {
    assert_snapshot!(User::new().with("t.json", TWO_BUILDERS).sees(&["validate", "t.json"]), @r#"
    exit 0
    --- stdout
    t.json is valid: 2 builders
    --- stderr
    "#);
}

#[test]
fn variables_are_given_with_one_dash_or_two() {
    let user = User::new().with("t.json", TWO_BUILDERS).with("v.json", r#"{"name": "from-file"}"#);
    for given in
        [["-var", "name=image-1"], ["--var", "name=image-2"], ["-var-file", "v.json"], ["--var-file", "v.json"]]
    {
        assert!(user.sees(&["validate", given[0], given[1], "t.json"]).starts_with("exit 0"), "{given:?}");
    }
    assert_snapshot!(user.sees(&["validate", "-var", "name", "t.json"]), @r#"
    exit 2
    --- stdout

    --- stderr
    error: invalid value 'name' for '--var <NAME=VALUE>': write NAME=VALUE

    For more information, try '--help'.
    "#);
}

#[test]
fn a_bad_template_shows_every_mistake() {
    assert_snapshot!(User::new().with("t.json", BAD).sees(&["validate", "t.json"]), @r#"
    exit 2
    --- stdout

    --- stderr
      x `source_amy` is not an option of amazon-chroot
       ,-[t.json:3:31]
     2 |   "builders": [
     3 |     {"type": "amazon-chroot", "source_amy": "ami-12345678", "ami_name": "x"}
       :                               ^^^^^^|^^^^^
       :                                     `-- unknown option
     4 |   ],
       `----
      help: Did you mean `source_ami`?

      x `ami_name` "x" has 1 bytes
       ,-[t.json:3:73]
     2 |   "builders": [
     3 |     {"type": "amazon-chroot", "source_amy": "ami-12345678", "ami_name": "x"}
       :                                                                         ^^^
     4 |   ],
       `----
      help: EC2 allows 3 to 128.

      x the script missing.sh cannot be used: No such file or directory (os error 2)
       ,-[t.json:5:48]
     4 |   ],
     5 |   "provisioners": [{"type": "shell", "script": "missing.sh"}]
       :                                                ^^^^^^|^^^^^
       :                                                      `-- this file
     6 | }
       `----
      help: Paths are relative to the working directory, [DIR]

    error: t.json has 3 mistakes
    "#);
}

#[test]
fn a_template_of_one_line_with_very_many_mistakes_is_shown_in_part() {
    let options: String = (0..600).map(|n| format!(", \"unheard_of_{n}\": 1")).collect();
    let filler = "x".repeat(70_000);
    let template =
        format!(r#"{{"_": "{filler}", "builders": [{{"type": "amazon-chroot", "ami_name": "web"{options}}}]}}"#);
    let column = template.find("\"unheard_of_0\"").unwrap() + 1;
    let seen = User::new().with("t.json", &template).sees(&["validate", "t.json"]);
    assert!(seen.starts_with("exit 2\n"), "{seen}");
    assert!(seen.contains(&format!("[t.json:1:{column}]")), "{seen}");
    assert!(seen.ends_with("and 551 more mistakes\n\nerror: t.json has 601 mistakes"), "{seen}");
    assert!(seen.len() < 50 * 1024, "{} bytes", seen.len());
}

#[test]
fn a_bad_template_is_not_built() {
    let user = User::new().with("t.json", BAD);
    assert_eq!(user.sees(&["build", "--local", "t.json"]), user.sees(&["validate", "t.json"]));
    assert!(!user.path().join("state").exists());
}

#[test]
fn no_template() {
    assert_snapshot!(User::new().sees(&["validate", "t.json"]), @r#"
    exit 2
    --- stdout

    --- stderr
      x the template t.json cannot be read: No such file or directory (os error 2)
      help: Paths are relative to the working directory, [DIR]

    error: t.json has 1 mistake
    "#);
}

#[test]
fn wrong_log_directives() {
    let seen = User::new().sees_with(&["ls"], &[("BAKEHOUSE_LOG", "bakehouse=loud")]);
    assert!(seen.starts_with("exit 2\n"), "{seen}");
    assert!(seen.contains("error: reading the log directives \"bakehouse=loud\""), "{seen}");
}

#[test]
#[cfg(not(feature = "aws"))]
fn building_in_aws_needs_a_program_that_speaks_to_it() {
    assert_snapshot!(User::new().with("t.json", TWO_BUILDERS).sees(&["build", "t.json"]), @r#"
    exit 2
    --- stdout

    --- stderr
    error: building against AWS is not in this program, which was built without the feature `aws`
    hint: with --local the images are baked in an embedded cloud on this machine; to build in AWS, make this program with `cargo build -p bakehouse --features aws`
    "#);
}

#[test]
#[cfg(feature = "aws")]
fn building_in_aws_needs_an_instance() {
    if !is_root() {
        println!("SKIP building_in_aws_needs_an_instance: root is asked for first");
        return;
    }
    // Nobody listens on that port, as nobody does at the metadata's address off EC2.
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"), ("AWS_REGION", "us-east-1")];
    let seen = User::new().with("t.json", TWO_BUILDERS).sees_with(&["build", "t.json"], &environment);
    assert!(seen.starts_with("exit 2"), "{seen}");
    assert!(seen.contains("error: this does not look like an EC2 instance"), "{seen}");
    assert!(seen.contains("hint: use `--local`"), "{seen}");
}

#[test]
fn building_needs_root() {
    if is_root() {
        println!("SKIP building_needs_root: not applicable: this is root");
        return;
    }
    assert_snapshot!(User::new().with("t.json", TWO_BUILDERS).sees(&["build", "--local", "t.json"]), @r#"
    exit 2
    --- stdout

    --- stderr
    error: build --local needs root: it attaches loop devices, mounts them and runs the provisioners in a chroot
    hint: run it with sudo; give --state or BAKEHOUSE_STATE, as sudo may change the home directory
    "#);
}

#[test]
fn root_a_source_that_is_not_there_fails_the_build_and_is_remembered() {
    if !is_root() {
        println!("SKIP root_a_source_that_is_not_there_fails_the_build_and_is_remembered: not root");
        return;
    }
    let user = User::new().with("t.json", TWO_BUILDERS);
    let seen = user.sees(&["build", "--local", "t.json"]);
    assert!(seen.starts_with("exit 1"), "{seen}");
    assert!(seen.contains("error: ") && seen.contains("ami-12345678"), "{seen}");
    assert!(seen.contains("failed: amazon-chroot.one, amazon-chroot.two"), "{seen}");
    let listed = user.sees(&["ls"]);
    assert_eq!(listed.matches("failed").count(), 2, "{listed}");
    let shown = user.sees(&["show", "last"]);
    assert!(shown.starts_with("exit 0") && shown.contains("failed in resolving"), "{shown}");
    // What has ended can't be cancelled.
    assert!(user.sees(&["cancel", "last"]).starts_with("exit 2"));
    let json = user.sees(&["build", "--local", "--json", "t.json"]);
    let finished = json.lines().filter(|line| line.starts_with(r#"{"event":"finished""#));
    assert_eq!(finished.filter(|line| line.contains(r#""outcome":"failed""#)).count(), 2, "{json}");
}

#[test]
fn an_empty_state() {
    let user = User::new();
    assert_snapshot!(["ls", "sweep"].map(|verb| user.sees(&[verb])).join("\n\n"), @r#"
    exit 0
    --- stdout

    --- stderr
    note: no builds in [DIR]/state

    exit 0
    --- stdout

    --- stderr
    nothing is left of killed runs in [DIR]/state
    "#);
    assert_snapshot!(user.sees(&["ls", "--json"]), @r#"
    exit 0
    --- stdout
    []
    --- stderr
    "#);
}

#[test]
fn the_state_option_wins_over_the_environment() {
    let user = User::new();
    assert!(user.sees(&["--state", "other", "ls"]).contains("[DIR]/other"));
    assert!(user.sees(&["ls", "--state", "other"]).contains("[DIR]/other"));
}

#[test]
fn builds_that_are_not_there() {
    let user = User::new();
    let asked = [&["show", "b-1"][..], &["show", "last"], &["cancel", "b-1"]];
    assert_snapshot!(asked.map(|arguments| user.sees(arguments)).join("\n\n"), @r#"
    exit 2
    --- stdout

    --- stderr
    error: there is no build b-1
    hint: `bakehouse ls` lists them

    exit 2
    --- stdout

    --- stderr
    error: there is no build yet

    exit 2
    --- stdout

    --- stderr
    error: there is no build b-1
    hint: `bakehouse ls` lists them
    "#);
}

#[test]
fn arguments_that_are_wrong() {
    let user = User::new();
    for wrong in [&["bake"][..], &["build"], &["ls", "--jsn"], &["local", "import", "x.raw"], &["local"], &[]] {
        assert!(user.sees(wrong).starts_with("exit 2"), "{wrong:?}");
    }
    assert!(user.sees_with(&["local", "images"], &[("AWS_REGION", "Moon Base")]).contains("AWS_REGION"));
    let nowhere = user.sees(&["local", "import", "x.raw", "--name", "base", "--region", "moon-1"]);
    assert!(nowhere.starts_with("exit 2") && nowhere.contains("no region moon-1"), "{nowhere}");
}

#[test]
fn data_that_can_not_be_written_is_a_failure_and_data_that_nobody_reads_is_none() {
    let state = tempfile::tempdir().unwrap();
    let run = |to: std::process::Stdio| {
        let program = env!("CARGO_BIN_EXE_bakehouse");
        let mut command = std::process::Command::new(program);
        command.arg("--state").arg(state.path()).args(["local", "images", "--json"]).stdout(to).output().unwrap()
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = run(full.into());
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).contains("error: writing to standard output: No space left"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run(writer.into()).status.code(), Some(0));
}

#[test]
fn images_come_in_go_out_and_are_removed() {
    let user = User::new();
    let disk: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(user.path().join("disk.raw"), &disk).unwrap();

    let seen = user.sees(&["local", "import", "disk.raw", "--name", "base", "--region", "eu-west-1"]);
    let id = seen.lines().find_map(|line| line.strip_prefix("eu-west-1: ")).unwrap_or_else(|| panic!("{seen}"));
    // A name is taken once in a region.
    assert!(
        user.sees(&["local", "import", "disk.raw", "--name", "base", "--region", "eu-west-1"]).starts_with("exit 2")
    );
    assert!(user.sees(&["local", "import", "disk.raw", "--name", "base"]).starts_with("exit 0"));
    assert_eq!(user.sees(&["local", "images"]).matches("base").count(), 2);
    assert!(user.sees(&["local", "images", "--json"]).contains(id));

    assert!(user.sees(&["local", "export", id, "out.raw"]).starts_with("exit 0"));
    let out = std::fs::read(user.path().join("out.raw")).unwrap();
    assert!(out.starts_with(&disk) && out.len() == 1 << 30);

    // By name it may be either of two: neither is touched.
    let ambiguous = user.sees(&["local", "rm", "base"]);
    assert!(ambiguous.starts_with("exit 2") && ambiguous.contains("2 images are named base"), "{ambiguous}");
    assert!(user.sees(&["local", "rm", "base", "--region", "us-east-1"]).starts_with("exit 0"));
    assert!(user.sees(&["local", "rm", id]).starts_with("exit 0"));
    assert!(user.sees(&["local", "rm", id]).starts_with("exit 2"));
    assert_eq!(std::fs::read_dir(user.path().join("state/cloud/snapshots")).unwrap().count(), 0);
}

#[test]
fn a_disk_that_is_none_is_refused_by_name() {
    let user = User::new().with("empty.raw", "");
    let seen = ["empty.raw", "missing.raw"].map(|file| user.sees(&["local", "import", file, "--name", "base"]));
    assert_snapshot!(seen.join("\n\n"), @r#"
    exit 2
    --- stdout

    --- stderr
    error: empty.raw is empty

    exit 2
    --- stdout

    --- stderr
    error: opening missing.raw
      because: No such file or directory (os error 2)
    "#);
}

const ONE: &str = r#"{"builders": [{"type": "amazon-chroot", "source_ami": "ami-12345678", "ami_name": "one"}]}"#;

#[test]
fn a_policy_is_for_this_instance_or_for_a_stack() {
    let user = User::new().with("one.json", ONE);
    let hosts = |arguments: &[&str]| {
        let seen = user.sees(&[&["policy", "one.json", "--account", "123456789012"], arguments].concat());
        let (_, rest) = seen.split_once("--- stdout\n").unwrap();
        let (policy, _) = rest.split_once("\n--- stderr").unwrap();
        let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let host = statements.iter().find(|statement| statement["Sid"] == "Host").unwrap();
        format!("{} {}", host["Resource"].as_str().unwrap(), host["Condition"])
    };
    let any = "arn:aws:ec2:*:123456789012:instance/*";
    assert_eq!(hosts(&[]), format!("{any} null"));
    let stack = |name: &str| format!(r#"{any} {{"StringEquals":{{"aws:ResourceTag/bakehouse:stack":"{name}"}}}}"#);
    assert_eq!(hosts(&["--controller"]), stack("bakehouse"));
    assert_eq!(hosts(&["--stack", "two"]), stack("two"));
    assert_eq!(hosts(&["--stack", "two", "--here"]), format!("{any} null"));
    let instance = "i-0123456789abcdef0";
    assert_eq!(
        hosts(&["--region", "eu-west-1", "--instance", instance]),
        format!("arn:aws:ec2:eu-west-1:123456789012:instance/{instance} null")
    );
}

#[test]
fn a_policy_for_an_account_that_is_none() {
    let user = User::new().with("one.json", ONE);
    let seen = user.sees(&["policy", "one.json", "--account", "12345"]);
    assert!(seen.starts_with("exit 2\n") && seen.contains("--account is not an account id"), "{seen}");
}
