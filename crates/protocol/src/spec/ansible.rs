//! The provisioners `ansible` and `ansible-local`.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{deferred::DeferredTemplate, file::SourceFile};

/// `ansible`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ansible {
    /// `playbook_file`.
    pub playbook: SourceFile,
    /// `command`; default `ansible-playbook`.
    pub command: String,
    /// `extra_arguments`.
    pub extra_arguments: Vec<DeferredTemplate>,
    /// `ansible_env_vars`: `KEY=value`.
    pub environment: Vec<(String, DeferredTemplate)>,
    /// `inventory_file`; absent: an inventory with the image alone is made.
    pub inventory: Option<SourceFile>,
    /// `inventory_directory`: where it is made; absent: in the job's private directory.
    #[serde(default)]
    pub inventory_directory: Option<SourceFile>,
    /// `inventory_file_template`: the image's line in it; may use `.HostAlias`, `.Host`, `.User`, `.Port` and the
    /// fields of [`crate::RunData`].
    #[serde(default)]
    pub inventory_template: Option<DeferredTemplate>,
    /// `groups`, `host_alias`, `empty_groups` of the inventory that is made.
    pub groups: Vec<String>,
    /// `empty_groups`.
    pub empty_groups: Vec<String>,
    /// `host_alias`; default `default`.
    pub host_alias: String,
    /// What `ansible-galaxy` installs first.
    pub galaxy: Option<Galaxy>,
}

/// The options of `ansible-galaxy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Galaxy {
    /// `galaxy_file`: the requirements.
    pub file: SourceFile,
    /// `galaxy_command`; default `ansible-galaxy`.
    pub command: String,
    /// `galaxy_force_install`.
    pub force: bool,
    /// `galaxy_force_with_deps`.
    pub force_with_deps: bool,
    /// `roles_path`: where roles are installed.
    pub roles_path: Option<String>,
    /// `collections_path`: where collections are installed.
    pub collections_path: Option<String>,
}

/// `ansible-local`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsibleLocal {
    /// `playbook_file` or `playbook_files`: run one after the other.
    pub playbooks: Vec<SourceFile>,
    /// `playbook_dir`: uploaded with everything in it.
    pub playbook_dir: Option<SourceFile>,
    /// `playbook_paths`, `role_paths`, `collection_paths`: directories that are uploaded.
    pub playbook_paths: Vec<SourceFile>,
    /// `role_paths`.
    pub role_paths: Vec<SourceFile>,
    /// `collection_paths`.
    pub collection_paths: Vec<SourceFile>,
    /// `group_vars`: a directory.
    pub group_vars: Option<SourceFile>,
    /// `host_vars`: a directory.
    pub host_vars: Option<SourceFile>,
    /// `inventory_file`; absent: an inventory with 127.0.0.1 in `inventory_groups` is made.
    pub inventory: Option<SourceFile>,
    /// `inventory_groups`.
    pub inventory_groups: Vec<String>,
    /// `command`; may use the fields of [`crate::RunData`].
    pub command: String,
    /// `extra_arguments`.
    pub extra_arguments: Vec<DeferredTemplate>,
    /// `staging_directory` in the image; absent: `/tmp/packer-provisioner-ansible-local/` and a name of its own.
    pub staging_directory: Option<String>,
    /// `clean_staging_directory`.
    pub clean_staging_directory: bool,
    /// What `ansible-galaxy` installs first, inside the image.
    pub galaxy: Option<Galaxy>,
}
