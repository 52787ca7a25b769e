//! The `ansible-local` provisioner: uploads playbooks and what they need to a directory in the image, and runs Ansible
//! there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bakehouse_protocol::spec::{AnsibleLocal, SourceFile};

use crate::{
    ansible::galaxy_commands,
    attempt::Attempt,
    command_end::{self, Place},
    env::{self, shell_quoted},
    error::{ErrorContext, JobError},
    image_command::image_command,
    image_copy::copy_into,
    setup::Entered,
};

/// Packer's staging directory, in which each step has one of its own.
const STAGING: &str = "/tmp/packer-provisioner-ansible-local";
/// The name of the inventory that is made.
const INVENTORY: &str = "packer-provisioner-ansible-local";

/// Uploads everything, installs what the playbooks need, and runs them one after the other.
pub(crate) fn run(entered: &mut Entered<'_>, attempt: &Attempt, step: &AnsibleLocal) -> Result<(), JobError> {
    let cx = entered.cx();
    let staging = match &step.staging_directory {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(STAGING).join(format!("{}-{}", cx.job.build, attempt.step_id)),
    };
    let run = LocalRun { entered, attempt, step, staging: &staging };
    let result = run.run();
    if step.clean_staging_directory {
        // The directory of all staging directories, too, if that was the only one.
        let line = format!("rm -rf {} && {{ rmdir {STAGING} 2>/dev/null || true; }}", quoted(&staging));
        // After a time-out, too.
        let removed = LocalRun { attempt: &Attempt::unlimited(), ..run }.shell(&line, "removing the staging directory");
        result.and(removed)
    } else {
        result
    }
}

/// One try of a step.
struct LocalRun<'a, 'b> {
    entered: &'a Entered<'b>,
    attempt: &'a Attempt,
    step: &'a AnsibleLocal,
    staging: &'a Path,
}

impl LocalRun<'_, '_> {
    fn run(&self) -> Result<(), JobError> {
        let cx = self.entered.cx();
        let Self { step, staging, .. } = self;
        let image = &self.entered.chroot_mounts.image;
        // These directories stay unless the template has them removed: they are no mount points.
        image
            .create_dirs(staging, &mut Vec::new())
            .context(|| format!("creating {} in the image", staging.display()))?;
        if let Some(directory) = &step.playbook_dir {
            self.upload(directory, staging)?;
        }
        let mut playbooks = Vec::new();
        for playbook in &step.playbooks {
            playbooks.push(self.upload_playbook(playbook)?);
        }
        for (sources, below) in
            [(&step.playbook_paths, "playbooks"), (&step.role_paths, "roles"), (&step.collection_paths, "collections")]
        {
            for source in sources {
                self.upload(source, &staging.join(below).join(name(source)))?;
            }
        }
        for (directory, name) in [(&step.group_vars, "group_vars"), (&step.host_vars, "host_vars")] {
            if let Some(directory) = directory {
                self.upload(directory, &staging.join(name))?;
            }
        }
        let inventory = match &step.inventory {
            Some(inventory) => {
                let target = staging.join(name(inventory));
                self.upload(inventory, &target)?;
                target
            }
            None => {
                let target = staging.join(INVENTORY);
                let text = inventory(&step.inventory_groups);
                let operation = || format!("writing {} in the image", target.display());
                copy_into(self.entered, self.attempt, operation, |copier| {
                    copier.write(&mut text.as_bytes(), 0o644, &target)
                })?;
                target
            }
        };
        let enter = format!("cd {} && ", quoted(staging));
        self.run_galaxy(&enter)?;
        let data = self.entered.step_data();
        // Text for a shell, as with Packer: an argument may hold several words.
        let extra = data.render_all(&step.extra_arguments, cx.host.now())?.join(" ");
        let variables =
            format!("--extra-vars \"packer_build_name={} packer_builder_type=amazon-chroot\"", cx.job.data.build_name);
        let command = data.render(&bakehouse_protocol::DeferredTemplate(step.command.clone()), cx.host.now())?;
        for (playbook, source) in playbooks.iter().zip(&step.playbooks) {
            let line =
                format!("{enter}{command} {} {variables} {extra} -c local -i {}", quoted(playbook), quoted(&inventory));
            self.shell(&line, &format!("the playbook {}", source.written))?;
        }
        Ok(())
    }

    fn run_galaxy(&self, enter: &str) -> Result<(), JobError> {
        let Some(galaxy) = &self.step.galaxy else {
            return Ok(());
        };
        let target = self.staging.join(name(&galaxy.file));
        self.upload(&galaxy.file, &target)?;
        let path = self.entered.cx().source_path(&galaxy.file);
        let content = fs::read_to_string(path).context(|| format!("reading {}", galaxy.file.written))?;
        let mut galaxy = galaxy.clone();
        let below = |name: &str| Some(self.staging.join(name).display().to_string());
        galaxy.roles_path = galaxy.roles_path.or_else(|| below("roles"));
        galaxy.collections_path = galaxy.collections_path.or_else(|| below("galaxy_collections"));
        for words in galaxy_commands(&galaxy, &target.display().to_string(), &content) {
            let words: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
            self.shell(&format!("{enter}{} {}", galaxy.command, words.join(" ")), "ansible-galaxy")?;
        }
        Ok(())
    }

    /// Uploads a playbook, unless it came with `playbook_dir`, and returns its path in the image.
    fn upload_playbook(&self, playbook: &SourceFile) -> Result<PathBuf, JobError> {
        let cx = self.entered.cx();
        let path = cx.source_path(playbook);
        if let Some(directory) = &self.step.playbook_dir
            && let Ok(below) = path.strip_prefix(cx.source_path(directory))
        {
            return Ok(self.staging.join(below));
        }
        let target = self.staging.join(name(playbook));
        self.upload(playbook, &target)?;
        Ok(target)
    }

    /// Copies a file, or the content of a directory, to this path of the image.
    fn upload(&self, source: &SourceFile, target: &Path) -> Result<(), JobError> {
        let from = self.entered.cx().source_path(source);
        let operation = || format!("copying {} to {} in the image", source.written, target.display());
        let is_dir = fs::metadata(&from).context(operation)?.is_dir();
        let parent = target.parent().unwrap_or(Path::new("/"));
        self.entered.chroot_mounts.image.create_dirs(parent, &mut Vec::new()).context(operation)?;
        copy_into(self.entered, self.attempt, operation, |copier| {
            if is_dir { copier.directory(&from, target) } else { copier.file(&from, target) }
        })
    }

    /// Runs a command line by the image's shell.
    fn shell(&self, line: &str, what: &str) -> Result<(), JobError> {
        let cx = self.entered.cx();
        self.attempt.check(cx)?;
        let env = env::with_variables(&env::step_variables(&cx.job.data.build_name, Vec::new()));
        let argv = ["/bin/sh", "-c", line].map(str::to_owned).into();
        let command = image_command(self.entered, argv, env, self.attempt)?;
        command_end::run(cx, &command, what, Place::Image, &[0], &self.attempt.timeout_text())
    }
}

/// Returns the inventory with the image itself, in these groups.
fn inventory(groups: &[String]) -> String {
    match groups {
        [] => "127.0.0.1\n".to_owned(),
        groups => groups.iter().map(|group| format!("[{group}]\n127.0.0.1\n")).collect(),
    }
}

fn name(source: &SourceFile) -> PathBuf {
    Path::new(&source.path).file_name().unwrap_or_default().into()
}

fn quoted(path: &Path) -> String {
    shell_quoted(&path.display().to_string())
}
