//! The provisioners `ansible` and `ansible-local`.

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, Ansible, AnsibleLocal, Galaxy},
};

use super::step::Step;
use crate::files::Wanted;

/// The default of the plugin's `ansible-local`.
const LOCAL_COMMAND: &str = "ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook";

/// The names of the options that say where `ansible-galaxy` installs.
struct GalaxyPaths {
    roles: &'static str,
    collections: &'static str,
}

impl Step<'_> {
    pub(super) fn ansible(&self) -> Option<Action> {
        let playbook = self.source_file("playbook_file", Wanted::File);
        if playbook == Ok(None) {
            let help = "Write \"playbook_file\": \"…\".";
            self.error(&self.values.anchor, "this ansible step has no playbook", help);
        }
        let mut extra_arguments = self.extra_arguments();
        let hosts = self.values.string("inventory_file").filter(|text| text.value.contains(','));
        let inventory = match hosts {
            // Hosts, not a file: ansible tells them apart by the comma, too.
            Some(hosts) => {
                extra_arguments.insert(0, DeferredTemplate(format!("--inventory={}", hosts.value)));
                Ok(None)
            }
            None => self.source_file("inventory_file", Wanted::Either),
        };
        let directory = self.source_file("inventory_directory", Wanted::Directory);
        let environment = self.environment("ansible_env_vars");
        let galaxy = self.galaxy(&GalaxyPaths { roles: "roles_path", collections: "collections_path" });
        Some(Action::Ansible(Ansible {
            playbook: playbook.ok().flatten()?,
            command: self.text("command").unwrap_or_else(|| "ansible-playbook".to_owned()),
            extra_arguments,
            environment: environment?,
            inventory: inventory.ok()?,
            inventory_directory: directory.ok()?,
            inventory_template: self.values.deferred("inventory_file_template").map(|text| text.value),
            groups: self.texts("groups"),
            empty_groups: self.texts("empty_groups"),
            host_alias: self.text("host_alias").unwrap_or_else(|| "default".to_owned()),
            galaxy: galaxy.ok()?,
        }))
    }

    pub(super) fn ansible_local(&self) -> Option<Action> {
        let values = self.values;
        let single = self.source_file("playbook_file", Wanted::File);
        let several = self.source_files("playbook_files", Wanted::File);
        match (values.location("playbook_file"), values.location("playbook_files")) {
            (Some(_), Some(location)) => {
                let message = "`playbook_files` cannot be combined with `playbook_file`";
                self.error(location, message, "Write one of the two.");
            }
            (None, None) => {
                let help = "Write \"playbook_file\": \"…\".";
                self.error(&values.anchor, "this ansible-local step has no playbook", help);
            }
            _ => {}
        }
        let command = values.deferred("command").map(|it| it.value.0).filter(|command| !command.is_empty());
        let galaxy = self.galaxy(&GalaxyPaths { roles: "galaxy_roles_path", collections: "galaxy_collections_path" });
        let playbook_dir = self.source_file("playbook_dir", Wanted::Directory);
        let playbook_paths = self.source_files("playbook_paths", Wanted::Directory);
        let role_paths = self.source_files("role_paths", Wanted::Directory);
        let collection_paths = self.source_files("collection_paths", Wanted::Directory);
        let group_vars = self.source_file("group_vars", Wanted::Directory);
        let host_vars = self.source_file("host_vars", Wanted::Directory);
        let inventory = self.source_file("inventory_file", Wanted::File);
        Some(Action::AnsibleLocal(AnsibleLocal {
            playbooks: single.ok()?.into_iter().chain(several?).collect(),
            playbook_dir: playbook_dir.ok()?,
            playbook_paths: playbook_paths?,
            role_paths: role_paths?,
            collection_paths: collection_paths?,
            group_vars: group_vars.ok()?,
            host_vars: host_vars.ok()?,
            inventory: inventory.ok()?,
            inventory_groups: self.texts("inventory_groups"),
            command: command.unwrap_or_else(|| LOCAL_COMMAND.to_owned()),
            extra_arguments: self.extra_arguments(),
            staging_directory: self.path_in_image("staging_directory"),
            clean_staging_directory: values.flag("clean_staging_directory"),
            galaxy: galaxy.ok()?,
        }))
    }

    fn extra_arguments(&self) -> Vec<DeferredTemplate> {
        self.values.deferred_list("extra_arguments").unwrap_or_default().into_iter().map(|it| it.value).collect()
    }

    /// Returns what is to be installed first, `Ok(None)` if nothing is.
    fn galaxy(&self, paths: &GalaxyPaths) -> Result<Option<Galaxy>, ()> {
        let file = self.source_file("galaxy_file", Wanted::File)?;
        if file.is_none() {
            let options = ["galaxy_command", "galaxy_force_install", "galaxy_force_with_deps"];
            let pointless = options.into_iter().find_map(|option| Some((option, self.values.location(option)?)));
            if let Some((option, location)) = pointless {
                let message = format!("`{option}` has no effect without `galaxy_file`");
                self.warning(location, message, "Remove it, or write \"galaxy_file\": \"…\".");
            }
        }
        Ok(file.map(|file| Galaxy {
            file,
            command: self.text("galaxy_command").unwrap_or_else(|| "ansible-galaxy".to_owned()),
            force: self.values.flag("galaxy_force_install"),
            force_with_deps: self.values.flag("galaxy_force_with_deps"),
            roles_path: self.text(paths.roles),
            collections_path: self.text(paths.collections),
        }))
    }
}
