//! The options of the provisioners: their own and those that Packer wraps around each.

use super::table::{Kind, Opt, Table, later, opt};
use crate::known::RUN;

const PAUSE: Opt = opt("pause_before", Kind::Duration, "wait this long before each try");
const TIMEOUT: Opt =
    opt("timeout", Kind::Duration, "end a try after this long; without effect beside `pause_before`, as with Packer");
const RETRIES: Opt = opt("max_retries", Kind::Integer, "try this often again after a failure; default 0");
const ONLY: Opt = later("only", "runs for these builders only");
const EXCEPT: Opt = later("except", "does not run for these builders");
const OVERRIDE: Opt = later("override", "other options for one builder");

/// `shell`.
pub(crate) const SHELL: Table = Table {
    owner: "shell",
    options: &[
        opt("inline", Kind::Lates(RUN), "lines of one script, run by `/bin/sh -e`"),
        opt("script", Kind::Text, "a script of the build host; must exist"),
        opt("scripts", Kind::Texts, "several scripts, run in order; must exist"),
        opt("environment_vars", Kind::Lates(RUN), "`KEY=value` each"),
        opt("valid_exit_codes", Kind::Integers, "exit codes that are no failure; default `[0]`"),
        TIMEOUT,
        RETRIES,
        PAUSE,
        ONLY,
        EXCEPT,
        OVERRIDE,
        later("inline_shebang", "the first line of an inline script"),
        later("env", "variables as an object"),
        later("execute_command", "how a script is run; Bakehouse runs it directly"),
        later("env_var_format", "how variables are written"),
        later("use_env_var_file", "variables in a file"),
        later("remote_folder", "where scripts are put"),
        later("remote_file", "what scripts are called"),
        later("remote_path", "where a script is put"),
        later("binary", "no conversion of line ends"),
        later("expect_disconnect", "without meaning in a chroot"),
        later("start_retry_timeout", "how long to try to start a script"),
        later("skip_clean", "keeps the script in the image"),
        later("pause_after", "wait after the step"),
    ],
};

/// `file`.
pub(crate) const FILE: Table = Table {
    owner: "file",
    options: &[
        opt(
            "source",
            Kind::Late(RUN),
            "a file or directory; for an upload it must exist; a directory with a trailing `/` means its content",
        ),
        opt("sources", Kind::Lates(RUN), "several; added to `source`"),
        opt("destination", Kind::Late(RUN), "where it goes; required; with a trailing `/`: into that directory"),
        opt("direction", Kind::Text, "`upload` (default) or `download`"),
        TIMEOUT,
        RETRIES,
        PAUSE,
        ONLY,
        EXCEPT,
        OVERRIDE,
        later("content", "text instead of a file"),
        later("generated", "a source that a later step makes"),
    ],
};
