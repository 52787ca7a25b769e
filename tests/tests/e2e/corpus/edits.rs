//! What is changed in the templates of `tests/templates` before they are built here: as little as can be.

/// The folders; each has a test.
pub(super) const NAMES: [&str; 9] =
    ["access", "clone", "encrypted", "functions", "hcl-json", "hcl-web", "provisioners", "scratch", "several"];

/// The environment variables that templates read.
pub(super) const VARIABLES: [(&str, &str); 2] = [("STAGE", "test"), ("TOKEN", "s3cret-token")];

/// A text that takes the place of another wherever that stands in a file.
pub(super) struct Edit {
    pub(super) folder: &'static str,
    pub(super) file: &'static str,
    pub(super) from: &'static str,
    /// `BASE_IMAGE`, `BASE_SNAPSHOT`, `HOST_ARCHITECTURE` and `NEXT_YEAR` stand for what is so here.
    pub(super) to: &'static str,
    pub(super) why: &'static str,
}

const fn edit(
    folder: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    why: &'static str,
) -> Edit {
    Edit { folder, file, from, to, why }
}

const MADE_UP: &str = "ami-0123456789abcdef0";
const NO_SUCH_ID: &str = "the id is made up";
const FOREIGN: &str = "images of another account are in the embedded cloud only if somebody imports them, as his own";
const OTHER_SERVICE: &str = "the embedded cloud has neither Parameter Store nor Secrets Manager";

pub(super) const EDITS: &[Edit] = &[
    edit("access", "template.json", MADE_UP, "BASE_IMAGE", NO_SUCH_ID),
    edit("clone", "template.json", "136693071363", "self", FOREIGN),
    edit(
        "clone",
        "template.json",
        "\"bakehouse_ssm_parameters\": [\"/images/web/{{user `stage`}}\"],",
        "",
        OTHER_SERVICE,
    ),
    edit("clone", "template.json", "2027-06-01T00:00:00Z", "NEXT_YEAR", "a time that will have passed some day"),
    edit("encrypted", "template.json", MADE_UP, "BASE_IMAGE", NO_SUCH_ID),
    edit("functions", "functions.pkr.hcl", MADE_UP, "BASE_IMAGE", NO_SUCH_ID),
    edit("hcl-json", "template.pkr.json", MADE_UP, "BASE_IMAGE", NO_SUCH_ID),
    edit("hcl-web", "web.pkr.hcl", "136693071363", "self", FOREIGN),
    edit(
        "hcl-web",
        "web.pkr.hcl",
        "data \"amazon-parameterstore\" \"channel\" {\n  name            = \"/images/channel\"\n  with_decryption = true\n}",
        "",
        OTHER_SERVICE,
    ),
    edit("hcl-web", "web.pkr.hcl", "data.amazon-parameterstore.channel.value", "\"stable\"", OTHER_SERVICE),
    edit(
        "hcl-web",
        "web.pkr.hcl",
        "data \"amazon-secretsmanager\" \"license\" {\n  name          = \"images/license\"\n  key           = \"value\"\n  \
         version_stage = \"AWSCURRENT\"\n}",
        "",
        OTHER_SERVICE,
    ),
    edit(
        "hcl-web",
        "web.pkr.hcl",
        "data \"amazon-secretsmanager\" \"older\" {\n  name       = \"images/license\"\n  version_id = \
         \"01234567-89ab-cdef-0123-456789abcdef\"\n}",
        "",
        OTHER_SERVICE,
    ),
    edit("provisioners", "template.json", MADE_UP, "BASE_IMAGE", NO_SUCH_ID),
    edit(
        "provisioners",
        "template.json",
        "\"ami_name\"",
        "\"chroot_mounts\": [[\"proc\", \"proc\", \"/proc\"], [\"bind\", \"/dev\", \"/dev\"], \
         [\"bind\", \"/dev/shm\", \"/dev/shm\"], [\"bind\", \"/usr\", \"/usr\"], [\"bind\", \"/usr/lib\", \"/lib\"], \
         [\"bind\", \"/usr/lib64\", \"/lib64\"]], \"ami_name\"",
        "bash, Python and Ansible are the host's, so that nothing is downloaded",
    ),
    edit("scratch", "template.json", "arm64", "HOST_ARCHITECTURE", "a host builds images of its own architecture"),
    edit(
        "scratch",
        "template.json",
        "sfdisk --quiet {{.Device}}",
        "sfdisk --quiet --no-reread --no-tell-kernel {{.Device}} && partx --update {{.Device}}",
        "the kernel does not read the partitions of a loop device again by itself, as it does of EBS's",
    ),
    edit("scratch", "template.json", "snap-0123456789abcdef0", "BASE_SNAPSHOT", NO_SUCH_ID),
    edit("several", "template.json", MADE_UP, "BASE_IMAGE", NO_SUCH_ID),
];
