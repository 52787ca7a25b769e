//! The options of the provisioners `ansible` and `ansible-local`, of version 1.1 of Packer's plugin.

use super::{
    provisioners::STEP,
    table::{Kind, Opt, Table, opt},
};
use crate::fields::{BUILD, INVENTORY};

const EXTRA_ARGUMENTS: Opt =
    opt("extra_arguments", Kind::DeferredList(BUILD), "further arguments, no shell reads them");
const GALAXY_FILE: Opt = opt("galaxy_file", Kind::String, "requirements, which ansible-galaxy installs first");
const GALAXY_COMMAND: Opt = opt("galaxy_command", Kind::String, "default `ansible-galaxy`");

/// What is about the SSH server that Packer sets up between ansible and the image.
const NO_SSH: &str = "ansible works in the image by its chroot connection, without SSH";
const NO_WINDOWS: &str = "it is about Windows";

/// `ansible`.
pub(crate) const ANSIBLE: Table = Table::new(
    "ansible",
    &[
        opt("playbook_file", Kind::String, "the playbook; required; must exist"),
        opt("command", Kind::String, "the program; default `ansible-playbook`"),
        EXTRA_ARGUMENTS,
        opt("ansible_env_vars", Kind::DeferredList(BUILD), "`KEY=value` each"),
        opt(
            "inventory_file",
            Kind::String,
            "an inventory, or hosts with a comma behind each; default: one with the image alone",
        ),
        opt(
            "inventory_directory",
            Kind::String,
            "where the inventory is made, beside `group_vars` and `host_vars`; default: the build's own directory",
        ),
        opt(
            "inventory_file_template",
            Kind::Deferred(INVENTORY),
            "the image's line in the inventory that is made; default `{{.HostAlias}} ansible_host={{.Host}}`",
        ),
        opt("groups", Kind::StringList, "the image's groups in the inventory that is made"),
        opt("empty_groups", Kind::StringList, "groups without hosts in it"),
        opt("host_alias", Kind::String, "the image's name in it; default `default`"),
        GALAXY_FILE,
        GALAXY_COMMAND,
        opt("galaxy_force_install", Kind::Bool, "install again what is there"),
        opt("galaxy_force_with_deps", Kind::Bool, "and what it depends on"),
        opt("roles_path", Kind::String, "where ansible-galaxy installs roles"),
        opt("collections_path", Kind::String, "where ansible-galaxy installs collections"),
    ],
)
.common(STEP)
.renamed(&[("galaxycommand", "galaxy_command")])
.ignored(&[
    ("user", NO_SSH),
    ("local_port", NO_SSH),
    ("ssh_host_key_file", NO_SSH),
    ("ssh_authorized_key_file", NO_SSH),
    ("sftp_command", NO_SSH),
    ("use_sftp", NO_SSH),
    ("use_proxy", NO_SSH),
    ("ansible_ssh_extra_args", NO_SSH),
    ("ansible_proxy_key_type", NO_SSH),
    ("ansible_winrm_use_http", NO_WINDOWS),
    ("skip_version_check", "the version is not checked"),
    ("keep_inventory_file", "the inventory that is made is removed"),
]);

/// `ansible-local`.
pub(crate) const ANSIBLE_LOCAL: Table = Table::new(
    "ansible-local",
    &[
        opt("playbook_file", Kind::String, "the playbook; this or `playbook_files` is required; must exist"),
        opt("playbook_files", Kind::StringList, "several, run one after the other"),
        opt("playbook_dir", Kind::String, "a directory that is uploaded with everything in it"),
        opt("playbook_paths", Kind::StringList, "directories that are uploaded to `playbooks`"),
        opt("role_paths", Kind::StringList, "directories that are uploaded to `roles`"),
        opt("collection_paths", Kind::StringList, "directories that are uploaded to `collections`"),
        opt("group_vars", Kind::String, "a directory that is uploaded to `group_vars`"),
        opt("host_vars", Kind::String, "a directory that is uploaded to `host_vars`"),
        opt("inventory_file", Kind::String, "an inventory; default: one with 127.0.0.1"),
        opt("inventory_groups", Kind::StringList, "the groups of 127.0.0.1 in it"),
        opt(
            "command",
            Kind::Deferred(BUILD),
            "the command, read by a shell; default `ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook`",
        ),
        EXTRA_ARGUMENTS,
        opt(
            "staging_directory",
            Kind::String,
            "where files are in the image; default: a name of its own in `/tmp/packer-provisioner-ansible-local`",
        ),
        opt("clean_staging_directory", Kind::Bool, "remove it afterwards"),
        GALAXY_FILE,
        GALAXY_COMMAND,
        opt("galaxy_roles_path", Kind::String, "where ansible-galaxy installs roles, in the image"),
        opt("galaxy_collections_path", Kind::String, "where ansible-galaxy installs collections, in the image"),
    ],
)
.common(STEP)
.renamed(&[("galaxycommand", "galaxy_command")]);
