//! Packer 1.6.6, as Debian has it, builds an image on real disks with `bakehouse local serve`; Bakehouse builds the
//! same template from the same base; the two images are compared, as EC2 describes them and file by file. What differs
//! must be in the lists below, and what is in the lists must differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bakehouse_tests::tools;
use serde_json::{Value, json};

use crate::{
    common::{Fixture, base_disk, image_in},
    files::Tree,
    served::Served,
    xml::{Element, flat},
};

const REGIONS: [&str; 2] = ["us-east-1", "eu-central-1"];

/// Where Packer attaches. No test of Bakehouse's uses the name.
pub(crate) const DEVICE: &str = "/dev/xvdp";

/// In what the two images differ as EC2 describes them, and why that is right.
const IMAGE: [(&str, &str); 8] = [
    ("imageId", "each image has its own"),
    ("name", "the test gives each its own: a name is taken once"),
    ("imageLocation", "made of the name"),
    ("creationDate", "they were made one after the other"),
    ("blockDeviceMapping./dev/xvda.ebs.snapshotId", "each image has its own"),
    ("enaSupport", "Bakehouse inherits it from the source; Packer 1.6.6 declares it only if the template does"),
    ("sriovNetSupport", "Bakehouse inherits it from the source; Packer 1.6.6 declares it only if the template does"),
    ("sourceImageId", "of a copy: the image of the build region, which each has its own of"),
];

/// The same of their snapshots.
const SNAPSHOT: [(&str, &str); 4] = [
    ("snapshotId", "each image has its own"),
    ("volumeId", "each was made of a volume of its own"),
    ("startTime", "they were made one after the other"),
    ("description", "Packer's says when, Bakehouse's says of what"),
];

/// The same of the files, and what of them.
const FILES: [(&str, &str); 2] = [
    ("/etc/motd: mode", "Packer gives each new uploaded file the mode 0600; with Bakehouse it keeps its own"),
    (
        "/opt/odd: content",
        "Packer's line goes through a shell of the host, which takes quotes and variables for its own",
    ),
];

/// The same of a Debian system in which a package was installed.
const DEBIAN: [(&str, &str); 4] = [
    ("/var/log/alternatives.log: content", "it says when"),
    ("/var/log/apt/history.log: content", "it says when"),
    ("/var/log/apt/term.log: content", "it says when"),
    ("/var/log/dpkg.log: content", "it says when"),
];

/// Removes what Packer itself leaves: it never removes its lock.
pub(crate) struct Lock(bool);

impl Lock {
    const PATH: &str = "/var/lock/packer-chroot";

    pub(crate) fn new() -> Self {
        Self(Path::new(Self::PATH).exists())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.0 {
            let _ = fs::remove_dir_all(Self::PATH);
        }
    }
}

/// Runs Packer on a template; returns its output. The endpoint of EC2 is in the template, as Packer 1.6.6 reads no
/// environment variable for it. In a mount namespace of its own, so that what it leaves mounted is unmounted with it.
fn packer(fixture: &Fixture, program: &Path, served: &Served, template: &str) -> String {
    let output = packer_command(fixture, program, served, template).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    said
}

pub(crate) fn packer_command(fixture: &Fixture, program: &Path, served: &Served, template: &str) -> Command {
    let mut own: Value = serde_json::from_str(&fs::read_to_string(template).unwrap()).unwrap();
    own["builders"][0]["custom_endpoint_ec2"] = served.url().into();
    own["variables"] = json!({ "by": "packer" });
    let template = fixture.file("packer.json", &own.to_string());
    let temporary = fixture.path().join("packer");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "--"])
        .arg(program)
        .args(["build", "-color=false", &template])
        .current_dir(fixture.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(["HOME", "TMPDIR", "PACKER_CACHE_DIR"].map(|name| (name, &temporary)))
        .env("CHECKPOINT_DISABLE", "1")
        .env("AWS_ACCESS_KEY_ID", &served.environment["AWS_ACCESS_KEY_ID"])
        .env("AWS_SECRET_ACCESS_KEY", &served.environment["AWS_SECRET_ACCESS_KEY"])
        // By default it polls every 2 s and more.
        .env("AWS_POLL_DELAY_SECONDS", "1")
        .stdin(Stdio::null());
    command
}

/// The one template. Everything in it that the two images may differ in would be in the lists above.
fn template(fixture: &Fixture) -> String {
    let upload = fixture.file("motd", "welcome\n");
    let script = fixture.file("finish.sh", "#!/bin/sh\nset -e\necho \"$STEP\" > /opt/step\nid -u >> /opt/step\n");
    let options = json!({
        "ami_name": "web-{{user `by`}}",
        "ami_description": "A web server & <more>",
        "ami_regions": [REGIONS[1]],
        "ami_users": ["123456789012"],
        "tags": { "Base": "{{.SourceAMI}}", "Stage": "prod" },
        "root_volume_size": 2,
        "device_path": DEVICE,
        "mount_partition": "1",
    });
    let inline = [
        "mkdir -p /opt/app && echo data > /opt/app/data && chmod 0640 /opt/app/data && chown 12:34 /opt/app/data",
        "ln -s app /opt/link && ln /opt/app/data /opt/hard && mkfifo /opt/pipe && mknod /opt/null c 1 3",
        "cp /bin/busybox /opt/suid && chmod 4755 /opt/suid",
        "rm /etc/old && mv /etc/moved /etc/new",
        "echo \"$GREETING\" > /opt/greeting && echo \"$ODD\" > /opt/odd",
        "umask > /opt/umask && pwd > /opt/pwd",
    ];
    let provisioners = json!([
        { "type": "shell", "inline": inline, "environment_vars": ["GREETING=hello world", "ODD=it's a \"test\" $HOME"] },
        { "type": "file", "source": upload, "destination": "/etc/motd" },
        { "type": "shell", "script": script, "environment_vars": ["STEP=two"] },
    ]);
    let path = fixture.template("web.json", options, provisioners);
    let mut template: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    template["variables"] = json!({ "by": "" });
    fixture.file("web.json", &template.to_string())
}

/// A base with what copying might lose.
fn base(fixture: &Fixture) {
    let raw = fixture.path().join("base.raw");
    base_disk(fixture.path(), &raw, |tree| {
        fs::write(tree.join("etc/old"), "old").unwrap();
        fs::write(tree.join("etc/moved"), "moved").unwrap();
        fs::write(tree.join("etc/marked"), "marked").unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::lsetxattr(tree.join("etc/marked"), "user.origin", b"base", flags).unwrap();
    });
    fixture.run(["local", "import", raw.to_str().unwrap(), "--name", "base"]).exits(0);
}

/// An image and its snapshot as EC2 describes them, permissions included, but for Bakehouse's own tags.
fn described(served: &Served, region: &str, image: &str) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let one = |action: &str, parameters: &str, list: &str| {
        let answer = Element::parse(&served.call(region, action, parameters));
        flat(&answer.child(list).children[0])
    };
    let all = |action: &str, parameters: &str, list: &str| {
        let answer = Element::parse(&served.call(region, action, parameters));
        flat(answer.child(list)).into_iter().map(|(key, value)| (format!("{list}.{key}"), value)).collect::<Vec<_>>()
    };
    let mut about = one("DescribeImages", &format!("ImageId.1={image}"), "imagesSet");
    for attribute in ["launchPermission", "productCodes"] {
        let parameters = format!("ImageId={image}&Attribute={attribute}");
        about.extend(all("DescribeImageAttribute", &parameters, attribute));
    }
    let snapshot = &about["blockDeviceMapping./dev/xvda.ebs.snapshotId"];
    let mut stored = one("DescribeSnapshots", &format!("SnapshotId.1={snapshot}"), "snapshotSet");
    let parameters = format!("SnapshotId={snapshot}&Attribute=createVolumePermission");
    stored.extend(all("DescribeSnapshotAttribute", &parameters, "createVolumePermission"));
    for map in [&mut about, &mut stored] {
        map.retain(|key, _| !key.starts_with("tagSet.bakehouse:"));
    }
    (about, stored)
}

/// The names of what differs.
fn differing(one: &BTreeMap<String, String>, two: &BTreeMap<String, String>) -> BTreeSet<String> {
    let keys: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != two.get(*key)).cloned().collect()
}

/// The names of a list, but those that do not apply.
fn expected(list: &[(&str, &str)], not: &[&str]) -> BTreeSet<String> {
    list.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !not.contains(&name.as_str())).collect()
}

/// What both made of one template.
struct Baked {
    served: Served,
    by_packer: [String; 2],
    by_bakehouse: [String; 2],
}

/// Packer, or a line saying why there is none. What differs from it is true of one version.
pub(crate) fn program(test: &str) -> Option<PathBuf> {
    let Some(program) = tools::find("packer") else {
        println!("SKIP {test}: no packer (cargo xtask setup installs it)");
        return None;
    };
    let output = Command::new(&program).arg("version").env("CHECKPOINT_DISABLE", "1").output().unwrap();
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(version.lines().next(), Some("Packer v1.6.6"), "{}", program.display());
    println!("{version}");
    Some(program)
}

fn bake(fixture: &Fixture, program: &Path, template: &str) -> Baked {
    let served = Served::start(fixture);
    let said = packer(fixture, program, &served, template);
    let by_packer = REGIONS.map(|region| image_in(&said, region).to_owned());
    assert!(fs::symlink_metadata(DEVICE).is_err(), "the device is gone with the attachment");
    // Packer never removes its mount point.
    fs::remove_dir(fixture.mounts().join("xvdp")).unwrap();
    let calls = served.calls();
    assert!(calls.iter().all(|call| call["code"].is_null()), "{calls:#?}");
    println!("Packer made {} calls of EC2:", calls.len());
    let mut actions: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        *actions.entry(call["action"].as_str().unwrap()).or_default() += 1;
    }
    for (action, count) in actions {
        println!("  {count} {action}");
    }
    let run = fixture.run(["build", template, "--local", "-var", "by=bakehouse"]).exits(0);
    let by_bakehouse = REGIONS.map(|region| image_in(&run.stdout, region).to_owned());
    Baked { served, by_packer, by_bakehouse }
}

/// Compares the files of two images: exactly the expected ones must differ.
#[track_caller]
fn compare(fixture: &Fixture, packer: &str, bakehouse: &str, wanted: &BTreeSet<String>) {
    let tree = |image: &str| Tree::of(&fixture.look_into(image).at("/"));
    let (one, two) = (tree(packer), tree(bakehouse));
    assert!(one.len() > 100, "{} files", one.len());
    let found = one.differences(&two);
    // The values may be of any length.
    let of_what = |line: &String| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
    assert_eq!(found.iter().map(of_what).collect::<BTreeSet<_>>(), *wanted, "{found:#?}");
    println!("{} files and directories; what differs: {found:#?}", one.len());
}

#[test]
fn root_packer_and_bakehouse_bake_the_same_image() {
    let test = "root_packer_and_bakehouse_bake_the_same_image";
    let Some(fixture) = Fixture::bare(test) else { return };
    let Some(program) = program(test) else { return };
    let _lock = Lock::new();
    base(&fixture);
    let baked = bake(&fixture, &program, &template(&fixture));
    for ((region, packer), bakehouse) in REGIONS.iter().zip(&baked.by_packer).zip(&baked.by_bakehouse) {
        let one = described(&baked.served, region, packer);
        let two = described(&baked.served, region, bakehouse);
        // The comparison is only valid if both have described it.
        assert_eq!(one.0["launchPermission.0.userId"], "123456789012");
        assert_eq!(one.0["tagSet.Stage"], "prod");
        let is_copy = *region != REGIONS[0];
        let not: &[&str] = if is_copy { &[] } else { &["sourceImageId"] };
        assert_eq!(differing(&one.0, &two.0), expected(&IMAGE, not), "{region}: {one:#?} {two:#?}");
        let not: &[&str] = if is_copy { &["volumeId"] } else { &[] };
        assert_eq!(differing(&one.1, &two.1), expected(&SNAPSHOT, not), "{region}: {one:#?} {two:#?}");
        let inside = fixture.look_into(bakehouse);
        assert_eq!(inside.read("/opt/greeting"), "hello world\n");
        assert_eq!(inside.read("/opt/odd"), "it's a \"test\" $HOME\n");
        compare(&fixture, packer, bakehouse, &expected(&FILES, &[]));
    }
    assert!(baked.served.end(), "it ends well on SIGINT");
    fixture.nothing_left(2 * REGIONS.len());
}

#[test]
fn root_packer_and_bakehouse_install_the_same_package() {
    let test = "root_packer_and_bakehouse_install_the_same_package";
    let Some(base) = std::env::var_os("BAKEHOUSE_TEST_BASE") else {
        println!("SKIP {test}: no Debian base in BAKEHOUSE_TEST_BASE (`cargo xtask base` makes one)");
        return;
    };
    let Some(fixture) = Fixture::bare(test) else { return };
    let Some(program) = program(test) else { return };
    let _lock = Lock::new();
    fixture.run(["local", "import", base.to_str().unwrap(), "--name", "base"]).exits(0);
    let lines =
        ["apt-get update", "apt-get install -y --no-install-recommends less", "apt-get clean", "useradd -m cook"];
    let provisioners = json!([
        { "type": "shell", "inline": lines, "environment_vars": ["DEBIAN_FRONTEND=noninteractive"] },
    ]);
    let options = json!({
        "ami_name": "less-{{user `by`}}",
        "ami_regions": [REGIONS[1]],
        "device_path": DEVICE,
        "mount_partition": "1",
    });
    let path = fixture.template("less.json", options, provisioners);
    let mut template: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    template["variables"] = json!({ "by": "" });
    let baked = bake(&fixture, &program, &fixture.file("less.json", &template.to_string()));
    compare(&fixture, &baked.by_packer[0], &baked.by_bakehouse[0], &expected(&DEBIAN, &[]));
    assert!(baked.served.end(), "it ends well on SIGINT");
    fixture.nothing_left(2 * REGIONS.len());
}

/// The disk has no partitions when it is attached: their device names must appear when they are made.
#[test]
fn root_packer_makes_an_image_from_scratch() {
    let test = "root_packer_makes_an_image_from_scratch";
    let Some(fixture) = Fixture::bare(test) else { return };
    let Some(program) = program(test) else { return };
    let _lock = Lock::new();
    let options = json!({
        "source_ami_filter": null,
        "ami_name": "scratch",
        "from_scratch": true,
        "ami_virtualization_type": "hvm",
        "root_volume_size": 1,
        "root_device_name": "/dev/xvda",
        "ami_block_device_mappings": [{ "device_name": "/dev/xvda", "volume_type": "gp3" }],
        "device_path": DEVICE,
        "mount_partition": "1",
        "copy_files": [],
        "pre_mount_commands": [
            "printf 'label: gpt\\nstart=2048, type=L\\n' | sfdisk --quiet --no-reread --no-tell-kernel {{.Device}}",
            "partx --update {{.Device}}",
            "for try in 1 2 3 4 5 6 7 8 9 10; do test -b {{.Device}}1 && break; sleep 0.1; done",
            "mkfs.ext4 -q -F -L fresh {{.Device}}1",
        ],
        "post_mount_commands": [
            "mkdir -p {{.MountPath}}/bin {{.MountPath}}/tmp {{.MountPath}}/proc/sys/fs/binfmt_misc {{.MountPath}}/sys",
            "cp $(command -v busybox) {{.MountPath}}/bin/busybox && ln -s busybox {{.MountPath}}/bin/sh",
            "ln -s busybox {{.MountPath}}/bin/chmod && ln -s busybox {{.MountPath}}/bin/rm",
        ],
    });
    let template =
        fixture.template("scratch.json", options, json!([{ "type": "shell", "inline": ["echo nothing > /made"] }]));
    let served = Served::start(&fixture);
    let said = packer(&fixture, &program, &served, &template);
    assert_eq!(fixture.look_into(image_in(&said, REGIONS[0])).read("/made"), "nothing\n");
    fs::remove_dir(fixture.mounts().join("xvdp")).unwrap();
    assert!(served.end());
    assert_eq!(fixture.images().len(), 1);
}

#[test]
fn root_packer_undoes_a_build_that_fails() {
    let test = "root_packer_undoes_a_build_that_fails";
    let Some(fixture) = Fixture::bare(test) else { return };
    let Some(program) = program(test) else { return };
    let _lock = Lock::new();
    base(&fixture);
    let options = json!({ "ami_name": "fails", "device_path": DEVICE, "mount_partition": "1" });
    let template = fixture.template("fails.json", options, json!([{ "type": "shell", "inline": ["exit 3"] }]));
    let served = Served::start(&fixture);
    let output = packer_command(&fixture, &program, &served, &template).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Script exited with non-zero exit status: 3"), "{said}");
    fs::remove_dir(fixture.mounts().join("xvdp")).unwrap();
    assert!(fs::symlink_metadata(DEVICE).is_err());
    assert!(served.end());
    fixture.nothing_left(0);
}
