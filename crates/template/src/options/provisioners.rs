//! The options of the provisioners: their own and those that Packer wraps around each.

use super::table::{Kind, Opt, Table, opt, unsupported};
use crate::fields::BUILD;

const PAUSE: Opt = opt("pause_before", Kind::Duration, "how long to wait before each attempt");
const TIMEOUT: Opt = opt(
    "timeout",
    Kind::Duration,
    "the timeout of one attempt; no effect together with `pause_before`, as with Packer",
);
const RETRIES: Opt = opt("max_retries", Kind::Integer, "how many times to retry after a failure; default 0");

/// `shell`.
pub(crate) const SHELL: Table = Table {
    owner: "shell",
    options: &[
        opt("inline", Kind::DeferredList(BUILD), "lines of one script, run by `/bin/sh -e`"),
        opt("script", Kind::String, "a script of the build host; must exist"),
        opt("scripts", Kind::StringList, "several scripts, run in order; must exist"),
        opt("environment_vars", Kind::DeferredList(BUILD), "`KEY=value` each"),
        opt("valid_exit_codes", Kind::IntegerList, "exit codes that mean success; default `[0]`"),
        TIMEOUT,
        RETRIES,
        PAUSE,
        unsupported("inline_shebang", "the first line of an inline script"),
        unsupported("env", "variables as an object"),
        unsupported("execute_command", "how a script is run; Bakehouse runs it directly"),
        unsupported("env_var_format", "how variables are written"),
        unsupported("use_env_var_file", "variables in a file"),
        unsupported("remote_folder", "where scripts are uploaded"),
        unsupported("remote_file", "the name of scripts there"),
        unsupported("remote_path", "where a script is uploaded"),
        unsupported("binary", "line breaks are not converted"),
        unsupported("expect_disconnect", "no meaning in a chroot"),
        unsupported("start_retry_timeout", "how long to try to start a script"),
        unsupported("skip_clean", "keeps the script in the image"),
        unsupported("pause_after", "wait after the step"),
    ],
};

/// `file`.
pub(crate) const FILE: Table = Table {
    owner: "file",
    options: &[
        opt(
            "source",
            Kind::Deferred(BUILD),
            "a file or directory; for an upload it must exist; a directory with a trailing `/` means its content",
        ),
        opt("sources", Kind::DeferredList(BUILD), "several; added to `source`"),
        opt("destination", Kind::Deferred(BUILD), "where it goes; required; with a trailing `/`: into that directory"),
        opt("direction", Kind::String, "`upload` (default) or `download`"),
        TIMEOUT,
        RETRIES,
        PAUSE,
        unsupported("content", "text instead of a file"),
        unsupported("generated", "a source that a later step makes"),
    ],
};
