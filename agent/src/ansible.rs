//! The `ansible` provisioner: runs `ansible-playbook` of the host with the image as its target, over the connection
//! plugin `chroot` (of the collection community.general).

use std::{
    fs,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{
    Timestamp,
    spec::{Ansible, Galaxy},
};

use crate::{
    attempt::Attempt,
    command_end::{self, Place},
    env,
    error::{ErrorContext, JobError},
    host::Command,
    host_command::host_command,
    render::TemplateData,
    setup::Entered,
};

/// Installs what the playbook needs, and runs it.
pub(crate) fn run(entered: &Entered<'_>, attempt: &Attempt, step: &Ansible) -> Result<(), JobError> {
    let cx = entered.cx();
    let data = entered.step_data();
    let own = data.render_variables(&step.environment, cx.host.now())?;
    let env = env::with_variables(&own.into_iter().collect());

    if let Some(galaxy) = &step.galaxy {
        let file = cx.source_path(&galaxy.file);
        let content = fs::read_to_string(&file).context(|| format!("reading {}", galaxy.file.written))?;
        for arguments in galaxy_commands(galaxy, &file.display().to_string(), &content) {
            let argv = std::iter::once(galaxy.command.clone()).chain(arguments).collect();
            run_program(entered, attempt, argv, &env)?;
        }
    }

    let mut extra = data.render_all(&step.extra_arguments, cx.host.now())?;
    let root = &entered.chroot_mounts.image.path;
    let names_inventory = end_host_lists(&mut extra, root);
    let mut argv = vec![step.command.clone()];
    for variable in
        [format!("packer_build_name=\"{}\"", cx.job.data.build_name), "packer_builder_type=amazon-chroot".into()]
    {
        argv.extend(["-e".to_owned(), variable]);
    }
    let made = match &step.inventory {
        None if !names_inventory => {
            let line = host_line(step, &data, root, cx.host.now())?;
            Some(Made::write(entered, attempt, step, &inventory(step, &line, !sets_connection(&extra)))?)
        }
        _ => None,
    };
    let given = step.inventory.as_ref().map(|inventory| cx.source_path(inventory));
    argv.append(&mut extra);
    if let Some(inventory) = made.as_ref().map(|made| &made.0).or(given.as_ref()) {
        argv.extend(["-i".to_owned(), inventory.display().to_string()]);
    }
    argv.push(cx.source_path(&step.playbook).display().to_string());
    run_program(entered, attempt, argv, &env)
}

fn run_program(
    entered: &Entered<'_>,
    attempt: &Attempt,
    argv: Vec<String>,
    env: &[(String, String)],
) -> Result<(), JobError> {
    let cx = entered.cx();
    attempt.check(cx)?;
    let name = argv.first().cloned().unwrap_or_default();
    // What it starts in the image belongs to the steps' namespaces: the image's `/proc` shows those.
    let command = Command { in_image: true, ..host_command(cx, argv, env.to_vec(), attempt)? };
    command_end::run(cx, &command, &format!("`{name}`"), Place::Host, &[0], &attempt.timeout_text())
}

/// Returns the arguments of `ansible-galaxy`, once for roles and once for collections, as far as the requirements file
/// has them. A file without either word is of the old format: a list of roles.
pub(crate) fn galaxy_commands(galaxy: &Galaxy, file: &str, content: &str) -> Vec<Vec<String>> {
    let has = |section: &str| content.lines().any(|line| line.starts_with(section));
    let arguments = |verb: &[&str], path: Option<&str>| {
        let mut words = [verb, &["-r", file]].concat();
        words.extend(galaxy.force.then_some("-f"));
        words.extend(galaxy.force_with_deps.then_some("--force-with-deps"));
        words.extend(path.map(|path| ["-p", path]).into_iter().flatten());
        words.into_iter().map(str::to_owned).collect()
    };
    let mut commands = Vec::new();
    if has("roles:") || !has("collections:") {
        commands.push(arguments(&["install"], galaxy.roles_path.as_deref()));
    }
    if has("collections:") {
        commands.push(arguments(&["collection", "install"], galaxy.collections_path.as_deref()));
    }
    commands
}

/// An inventory that was made for a step. It is removed when this is dropped: it may be in a directory of the
/// template's.
struct Made(PathBuf);

impl Made {
    fn write(entered: &Entered<'_>, attempt: &Attempt, step: &Ansible, text: &str) -> Result<Self, JobError> {
        let cx = entered.cx();
        let directory = match &step.inventory_directory {
            Some(directory) => cx.source_path(directory),
            None => cx.private_dir.to_owned(),
        };
        // Builds at the same time may share the directory.
        let made = Self(directory.join(format!("bakehouse-ansible-inventory-{}-{}", cx.job.build, attempt.id)));
        fs::write(&made.0, text).context(|| format!("writing {}", made.0.display()))?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns the image's line in the inventory, without its connection.
fn host_line(step: &Ansible, data: &TemplateData, root: &Path, now: Timestamp) -> Result<String, JobError> {
    let (alias, root) = (&step.host_alias, root.display().to_string());
    let Some(template) = &step.inventory_template else {
        return Ok(format!("{alias} ansible_host={}", env::shell_quoted(&root)));
    };
    // There is no SSH, so neither a user nor a port.
    let data = data.clone().with("HostAlias", alias).with("Host", root).with("User", "root").with("Port", "");
    Ok(data.render(template, now)?.trim_end().to_owned())
}

/// Returns the inventory with the image as the only host.
fn inventory(step: &Ansible, line: &str, with_connection: bool) -> String {
    let alias = &step.host_alias;
    let mut text = String::new();
    if with_connection {
        // A line of its own: the template's may end in a comment, or set another connection.
        text += &format!("{} ansible_connection=chroot\n", line.split_whitespace().next().unwrap_or(alias));
    }
    text += &format!("{line}\n");
    for group in &step.groups {
        text += &format!("[{group}]\n{alias}\n");
    }
    for group in &step.empty_groups {
        text += &format!("[{group}]\n");
    }
    text
}

/// Whether arguments of ansible-playbook say how it connects.
fn sets_connection(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument.starts_with("-c") || argument.starts_with("--connection"))
}

/// Whether arguments of ansible-playbook name an inventory. If that is the image's directory, as in Packer's
/// documentation, a comma is added: without one Ansible takes it for a directory with inventories.
fn end_host_lists(arguments: &mut [String], root: &Path) -> bool {
    let mut names_inventory = false;
    let mut next_is_inventory = false;
    for argument in arguments {
        let value = if std::mem::take(&mut next_is_inventory) {
            Some(argument.as_str())
        } else {
            next_is_inventory = ["-i", "--inventory", "--inventory-file"].contains(&argument.as_str());
            ["--inventory=", "--inventory-file=", "-i"].iter().find_map(|option| argument.strip_prefix(option))
        };
        names_inventory |= value.is_some() || next_is_inventory;
        if value.is_some_and(|value| Path::new(value) == root) {
            argument.push(',');
        }
    }
    names_inventory
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::spec::SourceFile;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_images_directory_becomes_a_list_of_hosts() {
        for (before, after, named) in [
            ("--connection=chroot --inventory-file=/mnt/x", "--connection=chroot --inventory-file=/mnt/x,", true),
            ("-i /mnt/x/ -v", "-i /mnt/x/, -v", true),
            ("--inventory /mnt/x, -i hosts", "--inventory /mnt/x, -i hosts", true),
            ("-i/mnt/x", "-i/mnt/x,", true),
            ("-e path=/mnt/x /mnt/x", "-e path=/mnt/x /mnt/x", false),
        ] {
            let mut arguments = words(before);
            assert_eq!(end_host_lists(&mut arguments, Path::new("/mnt/x")), named, "{before}");
            assert_eq!(arguments, words(after));
        }
    }

    #[test]
    fn roles_and_collections_are_installed_as_the_file_has_them() {
        let mut galaxy = Galaxy {
            file: SourceFile { written: "r.yml".into(), path: "r.yml".into() },
            command: "ansible-galaxy".into(),
            force: false,
            force_with_deps: false,
            roles_path: None,
            collections_path: None,
        };
        let lines = |galaxy: &Galaxy, content| {
            galaxy_commands(galaxy, "/r.yml", content).iter().map(|words| words.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(lines(&galaxy, "- src: x\n"), ["install -r /r.yml"]);
        assert_eq!(lines(&galaxy, "---\ncollections:\n- x\n"), ["collection install -r /r.yml"]);
        (galaxy.force, galaxy.force_with_deps) = (true, true);
        (galaxy.roles_path, galaxy.collections_path) = (Some("r".into()), Some("c".into()));
        assert_eq!(
            lines(&galaxy, "collections:\nroles:\n"),
            ["install -r /r.yml -f --force-with-deps -p r", "collection install -r /r.yml -f --force-with-deps -p c"]
        );
    }
}
