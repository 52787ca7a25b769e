//! The templates of `tests/templates`, each built in the embedded cloud as its author would build it, and what is in
//! the images. What had to be changed for that, and why, stands in `corpus/edits.rs`.

mod edits;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::common::{Fixture, Inside, Run, base_disk, image_in, sh};
use edits::{EDITS, NAMES, VARIABLES};

/// The name of the base image, which the filters of the templates find.
const BASE: &str = "debian-12-amd64-base";
/// The account of the embedded cloud.
const OWN: &str = "000000000000";

/// What the image that is built from must hold beside busybox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Busybox,
    /// Directories to which the host's bash, Python and Ansible are bound.
    Hosts,
    Debian,
}

/// A folder's copy in a fixture, its template as it can be built here.
struct Corpus {
    name: &'static str,
    folder: PathBuf,
    fixture: Fixture,
}

impl Corpus {
    /// Copies a folder, imports the base in `region` and edits the template. `None`, and a line saying why, where that
    /// can't be done.
    fn open(name: &'static str, base: Base, region: &str) -> Option<Self> {
        let fixture = Fixture::bare(&format!("root_corpus: {name}"))?;
        let raw = match std::env::var_os("BAKEHOUSE_TEST_BASE") {
            Some(debian) if base == Base::Debian => PathBuf::from(debian),
            None if base == Base::Debian => {
                println!("SKIP {name}: no Debian base in BAKEHOUSE_TEST_BASE (`cargo xtask base` makes one)");
                return None;
            }
            _ => {
                let raw = fixture.path().join("base.raw");
                base_disk(fixture.path(), &raw, |tree| {
                    if base == Base::Hosts {
                        host_directories(tree)
                    }
                });
                raw
            }
        };
        let folder = fixture.path().join(name);
        sh(&format!("cp -a {} {}", templates().join(name).display(), folder.display()));
        fixture.run(["local", "import", raw.to_str().unwrap(), "--name", BASE, "--region", region]).exits(0);
        let corpus = Self { name, folder, fixture };
        let base = corpus.facts(region, BASE);
        let values = [
            ("BASE_IMAGE", base["image_id"].as_str().unwrap().to_owned()),
            ("BASE_SNAPSHOT", base["block_device_mappings"][0]["ebs"]["snapshot_id"].as_str().unwrap().to_owned()),
            ("HOST_ARCHITECTURE", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }.to_owned()),
            ("NEXT_YEAR", sh("date --utc --date '1 year' +%FT00:00:00Z").trim().to_owned()),
        ];
        for edit in EDITS.iter().filter(|edit| edit.folder == name) {
            let path = corpus.folder.join(edit.file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(edit.from), "{name}/{}: there is no {:?} any more", edit.file, edit.from);
            let to = values.iter().fold(edit.to.to_owned(), |to, (name, value)| to.replace(name, value));
            fs::write(&path, text.replace(edit.from, &to)).unwrap();
        }
        Some(corpus)
    }

    /// Builds the template in its folder.
    fn build(&self, arguments: &[&str]) -> Run {
        let mut command = self.fixture.command(["build", "--local"]);
        command.args(arguments).current_dir(&self.folder).envs(VARIABLES);
        println!("building {}", self.name);
        command.output().unwrap().into()
    }

    /// What EC2 knows of an image of the embedded cloud's own account: its attributes, and the tags of its snapshots.
    fn facts(&self, region: &str, name: &str) -> Value {
        self.facts_of(OWN, region, name)
    }

    /// The same of an image of this account.
    fn facts_of(&self, account: &str, region: &str, name: &str) -> Value {
        let state = fs::read_to_string(self.fixture.state().join("cloud/state.json")).unwrap();
        let mut state: Value = serde_json::from_str(&state).unwrap();
        let region_state = state["model"]["regions"][region].take();
        let images = region_state["images"].as_object().unwrap();
        let is_it = |image: &&Value| {
            let facts = &image["facts"];
            facts["name"].as_str().unwrap().starts_with(name) && facts["owner_id"] == account
        };
        let found: Vec<&Value> = images.values().filter(is_it).collect();
        let [image] = found[..] else {
            panic!("{}: {} images of the name {name} in {region}: {images:#?}", self.name, found.len())
        };
        let mut facts = image["facts"].clone();
        facts["protection"] = image["protection"].clone();
        let snapshot = facts["block_device_mappings"][0]["ebs"]["snapshot_id"].as_str().unwrap_or_default().to_owned();
        facts["snapshot"] = region_state["snapshots"][snapshot]["facts"].clone();
        facts
    }

    /// Asserts these of an image's attributes.
    #[track_caller]
    fn has(&self, region: &str, name: &str, wanted: Value) {
        let facts = self.facts(region, name);
        for (pointer, value) in wanted.as_object().unwrap() {
            let found = facts.pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(found, value, "{}: {pointer} of {name} in {region}: {facts:#}", self.name);
        }
    }

    /// Asserts that an account has a copy of its own, which it shares with nobody.
    fn has_account_copy(&self, account: &str, region: &str, name: &str, builder: &str) {
        let facts = self.facts_of(account, region, name);
        for (pointer, value) in [
            ("/snapshot/owner_id", account),
            ("/tags/bakehouse:builder", builder),
            ("/tags/bakehouse:expires", "never"),
            ("/snapshot/tags/bakehouse:expires", "never"),
        ] {
            assert_eq!(facts.pointer(pointer), Some(&value.into()), "{}: {pointer} {facts:#}", self.name);
        }
        for permission in ["/launch_permission/users", "/snapshot/create_volume_permission/users"] {
            assert_eq!(facts.pointer(permission), Some(&json!([])), "{}: {permission} {facts:#}", self.name);
        }
    }

    /// What is in an image.
    fn look_into(&self, region: &str, name: &str) -> Inside {
        self.fixture.look_into(self.facts(region, name)["image_id"].as_str().unwrap())
    }

    /// The builds of the manifest that a post-processor wrote.
    fn manifest(&self) -> Vec<Value> {
        let path = self.folder.join("manifest.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str::<Value>(&text).unwrap()["builds"].as_array().unwrap().clone()
    }
}

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

/// Makes the places to which `provisioners` binds the host's directories, and what its steps take for given.
fn host_directories(tree: &Path) {
    for directory in ["lib", "lib64", "srv", "var/tmp", "var/log"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    std::os::unix::fs::symlink("/usr/bin/bash", tree.join("bin/bash")).unwrap();
    fs::write(tree.join("etc/os-release"), "ID=base\n").unwrap();
}

/// The lines that the steps of a build wrote, those of its builder if there are several.
fn lines<'a>(run: &'a Run, builder: &str) -> Vec<&'a str> {
    let own =
        |line: &'a str| if builder.is_empty() { Some(line) } else { line.strip_prefix(builder)?.strip_prefix(": ") };
    run.stderr.lines().filter_map(own).filter_map(|line| line.trim_start().strip_prefix("| ")).collect()
}

#[test]
fn every_folder_is_built() {
    let folders = fs::read_dir(templates()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let folders: BTreeSet<String> =
        folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(folders, NAMES.map(ToOwned::to_owned).into(), "each folder has a test here, root_corpus_NAME");
    for edit in EDITS {
        assert!(NAMES.contains(&edit.folder) && !edit.why.is_empty(), "{}: {}", edit.folder, edit.from);
    }
}

/// Vault, Consul and Secrets Manager are other services: without values for them it is refused, with them it is built,
/// but for the builder whose source is a parameter of Parameter Store.
#[test]
fn root_corpus_access() {
    let Some(corpus) = Corpus::open("access", Base::Busybox, "us-east-1") else { return };
    corpus.build(&["template.json"]).exits(2).says(&[
        "vault: VAULT_TOKEN is not set",
        "consul_key: reading the key images/host from Consul",
        "aws_secretsmanager: the embedded cloud has no Secrets Manager: with --local, give the value with -var",
        "template.json has 4 mistakes",
    ]);
    let values = ["-var=key=k", "-var=host=h", "-var=token=t", "-var=whole=w"];
    let keys = corpus.build(&[&values[..], &["-only=keys", "template.json"]].concat());
    keys.exits(1).says(&["there is no Parameter Store here for /images/debian"]);
    corpus.fixture.nothing_left(0);
    let run = corpus.build(&[&values[..], &["-only=vault", "template.json"]].concat()).exits(0);
    assert_eq!(lines(&run, ""), ["h w"]);
    corpus.has("us-east-1", "vault ", json!({ "/tags/bakehouse:builder": "amazon-chroot.vault" }));
    corpus.fixture.nothing_left(1);
}

#[test]
fn root_corpus_clone() {
    let Some(corpus) = Corpus::open("clone", Base::Debian, "us-east-1") else { return };
    let run = corpus.build(&["template.json"]).exits(0);
    let said = lines(&run, "");
    assert!(said.contains(&"12884901888") && said.contains(&"/dev/xvdf"), "{said:?}");
    let base = corpus.facts("us-east-1", BASE)["image_id"].as_str().unwrap().to_owned();
    assert_eq!(*said.last().unwrap(), format!("{base} us-east-1"));
    for region in ["us-east-1", "eu-west-1", "us-west-2"] {
        let wanted = json!({
            "/tags/Name": "web", "/tags/Stage": "test", "/tags/Region": region, "/tags/Base": "<no value>",
            "/snapshot/tags/Name": "web's disk", "/snapshot/tags/Kind": "root", "/snapshot/tags/Stage": "test",
            "/snapshot/create_volume_permission/users": ["123456789012"],
            "/launch_permission/users": ["123456789012"],
            "/launch_permission/organizations/0": "arn:aws:organizations::111122223333:organization/o-abcdefghij",
            "/launch_permission/organizational_units/0":
                "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-ab12-cdefghij",
            "/product_codes": ["0123456789abcdefghijklmno"],
            "/boot_mode": "uefi-preferred", "/uefi_data": "QU1aTlVFRkk=", "/tpm_support": "v2.0",
            "/imds_support": "v2.0", "/ena_support": true, "/sriov_net_support": "simple",
            "/protection": "with_cooldown", "/watermarks": ["000000000000:hardened"],
            "/block_device_mappings/0/ebs/volume_size": 12, "/block_device_mappings/0/ebs/volume_type": "gp3",
        });
        corpus.has(region, "web ", wanted);
        let facts = corpus.facts(region, "web ");
        assert!(facts["deprecation_time"].is_u64(), "{facts:#}");
        let description = facts["description"].as_str().unwrap();
        assert!(description.starts_with(&format!("example.org and OTHERS, of {base} (")), "{description}");
        assert!(description.ends_with(&format!(" in {region}")), "{description}");
        let disk = corpus.fixture.export(image_in(&run.stdout, region));
        let lists = Inside::new(corpus.fixture.path(), &disk, "var/lib/apt/lists");
        assert!(fs::read_dir(lists.at("/var/lib/apt/lists")).unwrap().count() > 3, "apt-get update in {region}");
    }
    for region in ["us-east-1", "eu-central-1"] {
        corpus.has_account_copy("444455556666", region, "web ", "amazon-chroot.web");
    }
    corpus.fixture.nothing_left(5);
}

#[test]
fn root_corpus_encrypted() {
    let Some(corpus) = Corpus::open("encrypted", Base::Busybox, "us-east-1") else { return };
    let run = corpus.build(&["template.json"]).exits(0);
    // The image of the build region was only on the way.
    assert!(!run.stdout.contains("us-east-1"), "{}", run.stdout);
    let wanted = json!({
        "/name": "encrypted-036-b",
        "/block_device_mappings/0/ebs/encrypted": true,
        "/snapshot/encrypted": true,
        "/snapshot/kms_key_id": "mrk-12345678123412341234123456789012",
        "/snapshot/create_volume_permission/users": ["123456789012"],
    });
    corpus.has("eu-west-1", "encrypted-", wanted);
    assert!(corpus.facts("eu-west-1", "encrypted-")["deprecation_time"].is_u64());
    assert_eq!(corpus.look_into("eu-west-1", "encrypted-").read("/etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    corpus.has_account_copy("444455556666", "eu-west-1", "encrypted-", "amazon-chroot");
    let copy = corpus.facts_of("444455556666", "eu-west-1", "encrypted-");
    assert_eq!(copy["snapshot"]["kms_key_id"], "alias/theirs");
    corpus.fixture.nothing_left(2);
}

#[test]
fn root_corpus_functions() {
    let Some(corpus) = Corpus::open("functions", Base::Busybox, "us-east-1") else { return };
    let run = corpus.build(&["."]).exits(0);
    let said = lines(&run, "");
    for line in ["a-007", "a!,b!", "Hello you\\n", "2026-01-02T04:04:05Z", "1 2 1 3 2 1 255 8 -1"] {
        assert!(said.contains(&line), "no {line:?} in {said:#?}");
    }
    let wanted = json!({ "/tags/Network": "10.0.0.1 255.0.0.0 10.1.0.0/16 10.0.0.0/16 10.1.0.0/16" });
    corpus.has("us-east-1", "functions-", wanted);
    corpus.fixture.nothing_left(1);
}

#[test]
fn root_corpus_hcl_json() {
    let Some(corpus) = Corpus::open("hcl-json", Base::Busybox, "us-east-1") else { return };
    let run = corpus.build(&["template.pkr.json"]).exits(0);
    assert_eq!(*lines(&run, "").last().unwrap(), BASE);
    let name = format!("json-{}", sh("date --utc +%Y%m%d").trim());
    let wanted = json!({ "/tags/a": "1", "/tags/b": "2", "/block_device_mappings/0/ebs/volume_size": 8 });
    corpus.has("us-east-1", &name, wanted);
    let artifact = format!("us-east-1:{}", image_in(&run.stdout, "us-east-1"));
    assert_eq!(corpus.manifest()[0]["artifact_id"], artifact);
    corpus.fixture.nothing_left(1);
}

#[test]
fn root_corpus_hcl_web() {
    let Some(corpus) = Corpus::open("hcl-web", Base::Busybox, "us-east-1") else { return };
    let run = corpus.build(&["."]).exits(0);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("s3cret"), "{}{}", run.stdout, run.stderr);
    let base = corpus.facts("us-east-1", BASE)["image_id"].as_str().unwrap().to_owned();
    let small = lines(&run, "images.amazon-chroot.small");
    assert!(small.contains(&format!("{base} small hcl-web 1.16.0").as_str()), "{small:#?}");
    let large = lines(&run, "images.amazon-chroot.large");
    assert!(large.ends_with(&["test", "live", "images"]), "the last is of the post-processor: {large:#?}");
    assert!(!small.contains(&"images"), "except: {small:#?}");
    for (region, name, description) in [
        ("us-east-1", "web-small-", format!("small, of {BASE}")),
        ("us-east-1", "web-large-", "large".to_owned()),
        ("eu-west-1", "web-large-", "large".to_owned()),
    ] {
        let wanted = json!({
            "/description": description, "/launch_permission/users": ["111122223333"], "/protection": "on",
            "/block_device_mappings/0/ebs/volume_size": 10,
            "/tags/Test": "shared", "/tags/Live": "private", "/tags/Size": "010", "/tags/Base": BASE,
            "/tags/Stage-test": "0", "/tags/Stage-live": "1",
        });
        corpus.has(region, name, wanted);
        let motd = corpus.look_into(region, name).read("/etc/motd");
        // As with Packer, what follows a `~` in its line keeps its indentation.
        assert_eq!(motd, "Stages:\n    - test\n    - live\n    Token: s3cret-token\n", "{name} in {region}");
    }
    let manifest = corpus.manifest();
    let regions = |build: &Value| build["artifact_id"].as_str().unwrap().split(',').count();
    assert_eq!(manifest.iter().map(regions).collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]), "{manifest:#?}");
    for (account, region) in
        [("444455556666", "us-east-1"), ("777788889999", "us-east-1"), ("777788889999", "eu-west-1")]
    {
        corpus.has_account_copy(account, region, "web-large-", "images.amazon-chroot.large");
    }
    corpus.fixture.nothing_left(6);
}

#[test]
fn root_corpus_provisioners() {
    if ["/usr/bin/ansible-playbook", "/usr/bin/python3", "/usr/bin/bash"].iter().any(|it| !Path::new(it).exists()) {
        println!("SKIP root_corpus_provisioners: it binds the host's Ansible, Python and bash into the image");
        return;
    }
    let Some(corpus) = Corpus::open("provisioners", Base::Hosts, "us-east-1") else { return };
    // What an earlier command of its author's would have made.
    fs::create_dir(corpus.folder.join("made")).unwrap();
    fs::write(corpus.folder.join("made/later"), "later\n").unwrap();
    let run = corpus.build(&["template.json"]).exits(0);
    let base = corpus.facts("us-east-1", BASE)["image_id"].as_str().unwrap().to_owned();
    let said = lines(&run, "");
    assert_eq!(said[0], "hello");
    assert!(said[1].starts_with("/mnt/packer-amazon-chroot-volumes/"), "build.MountPath: {said:?}");
    assert!(said.contains(&base.as_str()) && said.last() == Some(&"done"), "{said:#?}");
    // Two scripts in the image, two on the host.
    assert_eq!(said.iter().filter(|line| **line == "set up").count(), 4, "{said:#?}");
    // Two by the connection to the image, two by Ansible inside.
    assert_eq!(said.iter().filter(|line| line.contains("failed=0") && line.contains("ok=1")).count(), 4, "{said:#?}");
    assert_eq!(fs::read_to_string(corpus.folder.join("out/os-release")).unwrap(), "ID=base\n");

    let image = corpus.look_into("us-east-1", "provisioned ");
    let script = fs::read_to_string(corpus.folder.join("files/setup.sh")).unwrap();
    assert_eq!(image.read("/srv/setup.sh"), script);
    assert_eq!(image.read("/srv/later"), "later\n");
    assert_eq!(image.read("/etc/motd"), "welcome\n");
    for uploaded in ["/srv/hosts", "/srv/play.yml", "/srv/requirements.yml"] {
        assert!(image.at(uploaded).exists(), "{uploaded}");
    }
    for gone in ["/var/tmp/greet.sh", "/tmp/setup.sh", "/tmp/ansible", "/usr/bin"] {
        assert!(!image.at(gone).exists(), "{gone} is in the image");
    }
    let manifest = corpus.manifest();
    assert_eq!(manifest[0]["custom_data"], json!({ "ami": base }));
    assert!(manifest[0]["build_time"].is_null(), "strip_time: {manifest:#?}");
    assert!(!corpus.folder.join("sums").exists(), "an image has no files to take a checksum of");
    corpus.fixture.nothing_left(1);
}

#[test]
fn root_corpus_scratch() {
    let Some(corpus) = Corpus::open("scratch", Base::Busybox, "eu-central-1") else { return };
    corpus.build(&["template.json"]).exits(0);
    let wanted = json!({
        "/root_device_name": "/dev/xvda", "/virtualization_type": "hvm",
        "/block_device_mappings/0/ebs/volume_type": "gp3", "/block_device_mappings/0/ebs/volume_size": 2,
        "/block_device_mappings/0/ebs/iops": 4000, "/block_device_mappings/0/ebs/throughput": 200,
        "/block_device_mappings/1/ebs/volume_size": 10, "/block_device_mappings/1/ebs/encrypted": true,
        "/block_device_mappings/2/virtual_name": "ephemeral0",
    });
    corpus.has("eu-central-1", "scratch-", wanted);
    let image = corpus.look_into("eu-central-1", "scratch-");
    assert!(image.at("/bin").is_dir() && image.at("/tmp").is_dir());
    corpus.fixture.nothing_left(1);
}

#[test]
fn root_corpus_several() {
    let Some(corpus) = Corpus::open("several", Base::Busybox, "us-east-1") else { return };
    let run = corpus.build(&["-var-file=vars.json", "template.json"]).exits(0).says(&["left alone: virtualbox-iso"]);
    let own = |builder| lines(&run, builder).into_iter().filter(|line| line.len() < 6).collect::<Vec<_>>();
    assert_eq!(own("amazon-chroot.small"), ["small", "any"]);
    assert_eq!(own("amazon-chroot.large"), ["large", "large"]);
    for region in ["us-east-1", "us-west-2"] {
        let wanted = json!({
            "/name": "small now", "/launch_permission/users": ["111122223333", "444455556666"],
            "/tags/Count": "3", "/tags/Build": "small amazon-chroot 1.16.0",
            "/block_device_mappings/0/ebs/volume_size": 10,
        });
        corpus.has(region, "small ", wanted);
    }
    let wanted = json!({ "/name": "large abc1-2.31-2-3wt", "/block_device_mappings/0/ebs/volume_size": 20 });
    corpus.has("us-east-1", "large ", wanted);
    corpus.fixture.nothing_left(3);
}
