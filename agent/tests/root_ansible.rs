//! The steps `ansible` and `ansible-local`: with programs that tell what they were given, and with Ansible itself.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use bakehouse_protocol::{
    DeferredTemplate, Millis,
    spec::{Action, Ansible, AnsibleLocal, ChrootMount, Galaxy, Provisioner, SourceFile},
};
use support::{Disk, Layout, Run, inline, skip, step};

fn deferred(text: &str) -> DeferredTemplate {
    DeferredTemplate(text.to_owned())
}

fn source(path: &str) -> SourceFile {
    SourceFile { written: path.to_owned(), path: path.trim_end_matches('/').to_owned() }
}

fn galaxy(file: &str, command: &str) -> Galaxy {
    Galaxy {
        file: source(file),
        command: command.to_owned(),
        force: true,
        force_with_deps: false,
        roles_path: None,
        collections_path: None,
    }
}

fn ansible(command: &str) -> Ansible {
    Ansible {
        playbook: source("play.yml"),
        command: command.to_owned(),
        host_alias: "default".to_owned(),
        ..Ansible::default()
    }
}

fn ansible_local(command: &str) -> AnsibleLocal {
    AnsibleLocal {
        playbooks: vec![source("plays/play.yml")],
        playbook_dir: None,
        playbook_paths: vec![],
        role_paths: vec![],
        collection_paths: vec![],
        group_vars: None,
        host_vars: None,
        inventory: None,
        inventory_groups: vec![],
        command: command.to_owned(),
        extra_arguments: vec![],
        staging_directory: None,
        clean_staging_directory: false,
        galaxy: None,
    }
}

fn write(disk: &Disk, path: &str, content: &str) {
    let path = disk.dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(disk: &Disk, steps: Vec<Provisioner>) -> Run {
    let mut job = disk.job(steps);
    job.working_directory = disk.dir.path().display().to_string();
    disk.run(&job)
}

#[test]
fn root_ansible_is_given_an_inventory_with_the_image() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let tell = "#!/bin/sh\necho \"$@\"; env | grep ^ANSIBLE; while test $# -gt 1; do case $1 in -i) cat $2;; esac; shift; done";
    write(&disk, "tell", tell);
    write(&disk, "play.yml", "");
    write(&disk, "hosts", "own\n");
    write(&disk, "needs.yml", "roles:\n- a\ncollections:\n- b\n");
    let (dir, root) = (disk.dir.path().display().to_string(), disk.mount_path().display().to_string());
    let begin = "-e packer_build_name=\"web\" -e packer_builder_type=amazon-chroot";

    let made = step(Action::Ansible(Ansible {
        extra_arguments: ["-v", "--extra-vars", "base={{.SourceAMIName}}"].map(deferred).into(),
        environment: vec![("ANSIBLE_X".into(), deferred("it's $HOME"))],
        groups: vec!["web".into()],
        empty_groups: vec!["db".into()],
        host_alias: "image".into(),
        galaxy: Some(galaxy("needs.yml", "./tell")),
        ..ansible("./tell")
    }));
    let shown = run(&disk, vec![made]);
    shown.done();
    let output = shown.output();
    let inventory = output[4].split(' ').find(|word| word.contains("ansible-inventory")).unwrap();
    assert_eq!(
        output,
        [
            format!("install -r {dir}/needs.yml -f").as_str(),
            "ANSIBLE_X=it's $HOME",
            &format!("collection install -r {dir}/needs.yml -f"),
            "ANSIBLE_X=it's $HOME",
            &format!("{begin} -v --extra-vars base=base -i {inventory} {dir}/play.yml"),
            "ANSIBLE_X=it's $HOME",
            "image ansible_connection=chroot",
            &format!("image ansible_host='{root}'"),
            "[web]",
            "image",
            "[db]",
        ]
    );

    let arguments = |list: &[&str]| list.iter().map(|text| deferred(text)).collect();
    let documented = [deferred("--connection=chroot"), DeferredTemplate(format!("--inventory-file={root}"))];
    let own = Ansible {
        inventory: Some(source("hosts")),
        extra_arguments: arguments(&["-c", "chroot"]),
        ..ansible("./tell")
    };
    let shown = run(
        &disk,
        vec![
            step(Action::Ansible(Ansible { extra_arguments: documented.into(), ..ansible("./tell") })),
            step(Action::Ansible(own)),
        ],
    );
    shown.done();
    assert_eq!(
        shown.output(),
        [
            &format!("{begin} --connection=chroot --inventory-file={root}, {dir}/play.yml"),
            &format!("{begin} -c chroot -i {dir}/hosts {dir}/play.yml"),
            "own",
        ]
    );

    std::fs::create_dir(disk.dir.path().join("inventory")).unwrap();
    let beside = Ansible {
        inventory_directory: Some(source("inventory")),
        inventory_template: Some(deferred("{{.HostAlias}} ansible_host={{.Host}} base={{.SourceAMIName}} # one\n")),
        ..ansible("./tell")
    };
    let shown = run(&disk, vec![step(Action::Ansible(beside))]);
    shown.done();
    assert!(shown.output()[0].contains(&format!(" -i {dir}/inventory/bakehouse-ansible-inventory-")));
    let line = format!("default ansible_host={root} base=base # one");
    assert_eq!(shown.output()[1..], ["default ansible_connection=chroot", &line]);
    assert_eq!(std::fs::read_dir(disk.dir.path().join("inventory")).unwrap().count(), 0, "it is removed");

    let missing = run(&disk, vec![step(Action::Ansible(ansible("no-such-playbook")))]);
    assert_eq!(missing.failed().message, "no-such-playbook is not on the host");
    assert!(missing.failed().hint.as_deref().unwrap().starts_with("install it there"));
}

#[test]
fn root_ansible_local_uploads_runs_and_cleans_up() {
    if skip(&[]) {
        return;
    }
    let tell = "printf '#!/bin/sh\\necho \"${0##*/} $*\"; find . | sort; cat hosts packer-provisioner-ansible-local 2>/dev/null || true\\n' \
                | tee bin/ansible-playbook bin/ansible-galaxy > /dev/null; chmod 755 bin/ansible-*; ln -s busybox bin/find; ln -s busybox bin/sort";
    let disk = Disk::new("ext4", Layout::Bare, 1, tell);
    for (path, content) in [
        ("plays/play.yml", "p"),
        ("plays/roles/r1/tasks/main.yml", "r"),
        ("plays/needs.yml", "- src: x\n"),
        ("more/r2/tasks/main.yml", "r"),
        ("vars/all", "v"),
        ("hosts", "own hosts\n"),
    ] {
        write(&disk, path, content);
    }
    let begin = "--extra-vars packer_build_name=web packer_builder_type=amazon-chroot";
    let small = run(
        &disk,
        vec![step(Action::AnsibleLocal(AnsibleLocal {
            inventory_groups: vec!["web".into()],
            extra_arguments: vec![deferred("--extra-vars \"base={{.SourceAMIName}}\" -v")],
            ..ansible_local("X=1 ansible-playbook")
        }))],
    );
    small.done();
    let staging = format!("/tmp/packer-provisioner-ansible-local/{}-0", disk.build);
    assert_eq!(
        small.output(),
        [
            &format!(
                "ansible-playbook {staging}/play.yml {begin} --extra-vars base=base -v -c local -i \
                 {staging}/packer-provisioner-ansible-local"
            ),
            ".",
            "./packer-provisioner-ansible-local",
            "./play.yml",
            "[web]",
            "127.0.0.1",
        ]
    );
    assert_eq!(
        disk.inspect(&format!("ls .{staging}; rm -r tmp/packer*")),
        "packer-provisioner-ansible-local\nplay.yml"
    );

    let large = run(
        &disk,
        vec![step(Action::AnsibleLocal(AnsibleLocal {
            playbook_dir: Some(source("plays")),
            role_paths: vec![source("more/r2")],
            group_vars: Some(source("vars")),
            inventory: Some(source("hosts")),
            staging_directory: Some("/srv/stage".into()),
            clean_staging_directory: true,
            galaxy: Some(galaxy("plays/needs.yml", "ansible-galaxy")),
            ..ansible_local("ansible-playbook")
        }))],
    );
    large.done();
    let output = large.output();
    assert_eq!(output[0], "ansible-galaxy install -r /srv/stage/needs.yml -f -p /srv/stage/roles");
    let second = output.iter().position(|line| line.starts_with("ansible-playbook")).unwrap();
    assert_eq!(output[second], format!("ansible-playbook /srv/stage/play.yml {begin} -c local -i /srv/stage/hosts"));
    for file in
        ["./roles/r1/tasks/main.yml", "./roles/r2/tasks/main.yml", "./group_vars/all", "./needs.yml", "own hosts"]
    {
        assert!(output[second..].contains(&file), "{file}: {output:?}");
    }
    assert_eq!(disk.inspect("ls -A srv tmp"), "srv:\n\ntmp:");

    let mut failing = ansible_local("false");
    failing.clean_staging_directory = true;
    let failed = run(&disk, vec![step(Action::AnsibleLocal(failing))]);
    assert_eq!(failed.failed().message, "the playbook plays/play.yml exited with status 1");

    let mut slow = ansible_local("sleep 60 #");
    slow.clean_staging_directory = true;
    let mut slow = step(Action::AnsibleLocal(slow));
    (slow.timeout, slow.continue_on_error) = (Some(Millis(500)), true);
    let timed_out = run(&disk, vec![slow, inline(&["ls -A /tmp | wc -l"])]);
    timed_out.done();
    assert_eq!(timed_out.output(), ["1"], "the script that looks");
}

#[test]
fn root_ansible_itself_sets_up_an_image() {
    if skip(&["ansible-playbook"]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    // `raw` needs no Python in the image.
    let play = "- hosts: all\n  gather_facts: false\n  tasks:\n  - raw: echo {{ packer_build_name }} $(readlink /proc/self) >> /etc/made\n";
    write(&disk, "play.yml", play);
    let root = disk.mount_path().display().to_string();
    let documented = [deferred("--connection=chroot"), DeferredTemplate(format!("--inventory-file={root}"))];
    let run = run(
        &disk,
        vec![
            inline(&["mkdir -p /usr/bin; ln -s busybox /bin/readlink"]),
            step(Action::Ansible(ansible("ansible-playbook"))),
            step(Action::Ansible(Ansible { extra_arguments: documented.into(), ..ansible("ansible-playbook") })),
        ],
    );
    run.done();
    let made = disk.inspect("cat etc/made");
    let words: Vec<&str> = made.split_whitespace().collect();
    assert!(words.len() == 4 && words[0] == "web" && words[1].parse::<u32>().is_ok(), "{made}: {:?}", run.output());
}

#[test]
fn root_ansible_itself_runs_inside_an_image() {
    if skip(&["ansible-playbook"]) || !Path::new("/usr/bin/python3").exists() {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "mkdir -p usr lib lib64");
    let role = "- copy:\n    content: \"{{ greeting }}\\n\"\n    dest: /etc/made\n    mode: '0640'\n";
    write(&disk, "role/greet/tasks/main.yml", role);
    write(&disk, "plays/play.yml", "- hosts: web\n  roles: [greet]\n");
    write(&disk, "vars/web", "greeting: hello\n");
    let mut job = disk.job(vec![step(Action::AnsibleLocal(AnsibleLocal {
        role_paths: vec![source("role/greet")],
        group_vars: Some(source("vars")),
        inventory_groups: vec!["web".into()],
        clean_staging_directory: true,
        ..ansible_local("PYTHONUNBUFFERED=1 /usr/bin/ansible-playbook")
    }))]);
    let bind =
        |source: &str, target: &str| ChrootMount { kind: "bind".into(), source: source.into(), target: target.into() };
    // The host's Python and Ansible in the image.
    let mut mounts = vec![
        bind("/usr", "/usr"),
        bind("/usr/lib", "/lib"),
        bind("/dev", "/dev"),
        bind("/dev/shm", "/dev/shm"),
        bind("/proc", "/proc"),
    ];
    mounts.extend(Path::new("/usr/lib64").exists().then(|| bind("/usr/lib64", "/lib64")));
    job.chroot.chroot_mounts = Some(mounts);
    let run = disk.run(&job);
    run.done();
    assert_eq!(disk.inspect("stat -c %a etc/made; cat etc/made; ls -A tmp"), "640\nhello", "{:?}", run.output());
}
