//! The options of the provisioners: their own and those that every provisioner has.

use super::table::{Kind, Opt, Table, opt};
use crate::fields::{BUILD, EXECUTE, EXECUTE_LOCAL};

/// The options of every provisioner.
pub(super) const STEP: &[Opt] = &[
    opt("pause_before", Kind::Duration, "how long to wait before each attempt"),
    opt("timeout", Kind::Duration, "the timeout of one attempt, the pause not included"),
    opt("max_retries", Kind::Integer, "how many times to retry after a failure; default 0"),
    opt("continue_on_error", Kind::Bool, "go on with the build if the step fails after its retries"),
];

const ENVIRONMENT: Opt = opt("environment_vars", Kind::DeferredList(BUILD), "`KEY=value` each");
const ENV: Opt = opt("env", Kind::DeferredMap(BUILD), "variables as an object; override `environment_vars`");
const EXIT_CODES: Opt = opt("valid_exit_codes", Kind::IntegerList, "exit codes that mean success; default `[0]`");
const SHEBANG: Opt = opt(
    "inline_shebang",
    Kind::String,
    "the first line of an inline script, without `#!`; default `/bin/sh -e`, or the first of the lines if it starts with `#!`",
);
const SCRIPT: Opt = opt("script", Kind::String, "a script of the build host; must exist");
const SCRIPTS: Opt = opt("scripts", Kind::StringList, "several scripts, run in order; must exist");
const FORMAT: Opt = opt(
    "env_var_format",
    Kind::String,
    "how `{{.Vars}}` has each variable: two `%s`, the name and the value; default `%s='%s' `, or `export %s='%s'` for a file",
);

/// `shell`.
pub(crate) const SHELL: Table = Table::new(
    "shell",
    &[
        opt("inline", Kind::DeferredList(BUILD), "lines of one script"),
        SCRIPT,
        SCRIPTS,
        ENVIRONMENT,
        ENV,
        EXIT_CODES,
        SHEBANG,
        opt(
            "execute_command",
            Kind::Deferred(EXECUTE),
            "how a script is run, by a shell in the image: `{{.Vars}} {{.Path}}`; default: it is run as it is",
        ),
        FORMAT,
        opt("use_env_var_file", Kind::Bool, "the variables are in a file, `{{.EnvVarFile}}`"),
        opt("remote_folder", Kind::String, "where scripts are in the image; default `/tmp`"),
        opt("remote_file", Kind::String, "the script's name there; default: a name of its own"),
        opt("remote_path", Kind::String, "where the script is in the image, instead of the two"),
        opt("binary", Kind::Bool, "line breaks are not converted from Windows' to Unix'"),
        opt("skip_clean", Kind::Bool, "the script stays in the image"),
        opt("start_retry_timeout", Kind::Duration, "how long uploading and starting a script is retried; default `5m`"),
        opt("pause_after", Kind::Duration, "how long to wait after the step"),
    ],
)
.common(STEP)
.ignored(&[("expect_disconnect", "a chroot has no connection that could break")]);

/// `shell-local`.
pub(crate) const SHELL_LOCAL: Table =
    Table::new("shell-local", SHELL_LOCAL_OPTIONS).common(STEP).ignored(SHELL_LOCAL_IGNORED);

pub(super) const SHELL_LOCAL_IGNORED: &[(&str, &str)] =
    &[("use_linux_pathing", "it is about Windows, and builds run on Linux")];

pub(super) const SHELL_LOCAL_OPTIONS: &[Opt] = &[
    opt("command", Kind::Deferred(BUILD), "one line, as `inline` with one"),
    opt("inline", Kind::DeferredList(BUILD), "lines of one script"),
    SCRIPT,
    SCRIPTS,
    ENVIRONMENT,
    ENV,
    EXIT_CODES,
    SHEBANG,
    opt(
        "execute_command",
        Kind::DeferredList(EXECUTE_LOCAL),
        "the program that runs a script, and its arguments; one element is run by `sh -c`; default: the script is run as it is",
    ),
    FORMAT,
    opt("tempfile_extension", Kind::String, "the extension of the file that an inline script is written to"),
    opt("only_on", Kind::StringList, "operating systems of the build host; skipped unless `linux` is among them"),
];

/// `file`.
pub(crate) const FILE: Table = Table::new(
    "file",
    &[
        opt(
            "source",
            Kind::Deferred(BUILD),
            "a file or directory; for an upload it must exist; a directory with a trailing `/` means its content",
        ),
        opt("sources", Kind::DeferredList(BUILD), "several; added to `source`"),
        opt("content", Kind::String, "the text of the file, instead of a source"),
        opt("generated", Kind::Bool, "the sources are made by earlier steps: they need not exist yet"),
        opt("destination", Kind::Deferred(BUILD), "where it goes; required; with a trailing `/`: into that directory"),
        opt("direction", Kind::String, "`upload` (default) or `download`"),
    ],
)
.common(STEP);

/// `breakpoint`.
pub(crate) const BREAKPOINT: Table = Table::new(
    "breakpoint",
    &[
        opt("note", Kind::String, "shown while the build waits for Enter"),
        opt("disable", Kind::Bool, "leave the step out"),
    ],
)
.common(STEP);

/// `sleep`.
pub(crate) const SLEEP: Table =
    Table::new("sleep", &[opt("duration", Kind::Duration, "how long to wait; required")]).common(STEP);
