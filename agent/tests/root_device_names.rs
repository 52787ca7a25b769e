//! The names under which commands of a template know the volume's disk.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, ChrootMount, ChrootSpec, MountPartition, Script, ShellLocal},
};
use support::{Disk, Layout, inline, skip, step};

fn deferred(text: &str) -> DeferredTemplate {
    DeferredTemplate(text.to_owned())
}

fn on_host(line: &str) -> bakehouse_protocol::spec::Provisioner {
    step(Action::ShellLocal(ShellLocal {
        scripts: vec![Script::Inline(vec![deferred(line)])],
        ..ShellLocal::default()
    }))
}

/// Templates append the number to `.Device`, in the same command that makes the partition, too.
#[test]
fn root_a_number_after_the_device_is_its_partition() {
    if skip(&["mkfs.ext4", "partx"]) {
        return;
    }
    let before = fs::read_dir("/dev").unwrap().count();
    for name in [None, Some("/dev/xvdq"), Some("/dev/sdq")] {
        let mut disk = Disk::blank(1);
        disk.attach();
        let mut job = disk.job(vec![
            inline(&[
                "test {{.Device}} = $(cat /device)",
                "test -b {{.Device}}1; test -b {{.Device}}p1 || test ! -e {{.Device}}p1",
                "echo done",
            ]),
            on_host("test -b $(cat {{.MountPath}}/device)1"),
        ]);
        job.from_scratch = true;
        job.chroot.device_name = name.map(str::to_owned);
        job.chroot.pre_mount_commands = vec![deferred(
            "printf 'label: gpt\\nstart=2048, type=linux\\n' | sfdisk -q --no-reread --no-tell-kernel {{.Device}} && \
             partx --update {{.Device}} && mkfs.ext4 -qF -L root {{.Device}}1 && sync",
        )];
        job.chroot.post_mount_commands = vec![deferred(
            "cd {{.MountPath}}; mkdir bin tmp; cp /bin/busybox bin; ln -s busybox bin/sh; ln -s busybox bin/cat; \
             ln -s busybox bin/test; echo {{.Device}} > device; echo {{.Device}}; test -b {{.Device}}1",
        )];
        let run = disk.run(&job);
        run.done();
        let device = run.output()[0].to_owned();
        assert_eq!(run.output(), [device.as_str(), "done"]);
        match name {
            Some(name) => assert_eq!(device, name),
            None => assert!(device == disk.device || device.starts_with("/dev/xvd"), "{device}"),
        }
        disk.assert_nothing_left();
    }
    let after = fs::read_dir("/dev").unwrap().count();
    assert!(!fs::exists("/dev/xvdq").unwrap() && after <= before + 64, "the host's /dev is as it was");
}

#[test]
fn root_the_paths_of_a_template_lead_to_the_disk() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "mkdir dev");
    let number = |path: &str| format!("stat -L -c %t:%T {path}");
    let ours = support::sh(&number(&disk.device));
    let look = |names: &[&str]| names.iter().map(|name| number(name)).collect::<Vec<_>>().join("; ");

    let mut job = disk.job(vec![
        inline(&[&look(&["/dev/xvdq", "/dev/xvdq1"])]),
        on_host(&format!("{}; pwd", look(&["/dev/xvdq", "/dev/xvdq1"]))),
        // By the disk's name, as mount(8) and umount(8) resolve links.
        on_host(
            "umount -R /mnt/packer-amazon-chroot-volumes/xvdq/proc; umount /mnt/*/*/dev/pts /mnt/*/*/dev /mnt/*/*/sys; \
                 umount /dev/xvdq1; mount /dev/xvdq1 /mnt/packer-amazon-chroot-volumes/xvdq; umount /dev/xvdq1; \
                 mount /dev/xvdq1 /mnt/packer-amazon-chroot-volumes/xvdq",
        ),
    ]);
    job.chroot = ChrootSpec { device_name: Some("/dev/xvdq".into()), ..ChrootSpec::default() };
    let run = disk.run(&job);
    run.done();
    let output = run.output();
    assert_eq!((output[0], output[1]), (output[2], output[3]));
    assert_eq!((output[0], output[4]), (ours.as_str(), "/"));

    // The path of an NVMe disk that this host does not have; with a bind mount of the host's /dev.
    for path in ["/dev/nvme9n1p", "/dev/nvme9n1p1"] {
        let mut job = disk.job(vec![inline(&[&look(&["/dev/nvme9n1", "/dev/nvme9n1p1", "/dev/xvdq1"])])]);
        job.chroot.device_name = Some("/dev/xvdq".into());
        job.chroot.nvme_device_path = Some(path.into());
        job.chroot.mount_partition = Some(MountPartition::Number(1));
        let mount = ChrootMount { kind: "bind".into(), source: "/dev".into(), target: "/dev".into() };
        job.chroot.chroot_mounts = Some(vec![mount]);
        let run = disk.run(&job);
        run.done();
        assert_eq!((run.output()[0], run.output()[1]), (ours.as_str(), run.output()[2]));
    }
}
