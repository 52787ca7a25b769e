//! The Python programs that tests use, each in a virtual environment of its own, so that none decides the version of
//! what another one needs: `<cache>/bakehouse-tools/NAME-VERSION/bin/PROGRAM`. `BAKEHOUSE_TOOLS` names another
//! directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::sh::{self, Error, Result};

/// Where the tests look for them.
pub(crate) const DIRECTORY: &str = "BAKEHOUSE_TOOLS";

/// A file that is there once an environment is whole.
const WHOLE: &str = "bakehouse-tool";

struct Tool {
    /// PyPI's name.
    package: &'static str,
    /// What of it is wanted besides.
    extra: &'static str,
    version: &'static str,
    /// Other packages that are pinned with it.
    with: &'static [&'static str],
    program: &'static str,
    why: &'static str,
}

/// Links release programs for an older glibc than this machine's. Only packaging needs it.
const ZIGBUILD: Tool = Tool {
    package: "cargo-zigbuild",
    extra: "",
    version: "0.24.0",
    with: &["ziglang==0.17.1"],
    program: "cargo-zigbuild",
    why: "links for Amazon Linux",
};

const TOOLS: [Tool; 4] = [
    Tool { package: "awscli", extra: "", version: "1.46.3", with: &[], program: "aws", why: "asks the embedded cloud" },
    Tool {
        package: "moto",
        extra: "[server]",
        version: "5.2.5",
        with: &[],
        program: "moto_server",
        why: "plays SQS, DynamoDB, S3",
    },
    Tool {
        package: "cfn-lint",
        extra: "",
        version: "1.58.0",
        with: &[],
        program: "cfn-lint",
        why: "checks the stack's template",
    },
    Tool {
        package: "checkov",
        extra: "",
        version: "3.3.30",
        with: &[],
        program: "checkov",
        why: "checks what the stack allows",
    },
];

impl Tool {
    fn directory(&self, all: &Path) -> PathBuf {
        all.join(format!("{}-{}", self.package, self.version))
    }

    fn is_there(&self, all: &Path) -> bool {
        let directory = self.directory(all);
        directory.join(WHOLE).exists() && directory.join("bin").join(self.program).exists()
    }

    /// Makes the environment anew. It is known as whole only at the end.
    fn make(&self, all: &Path) -> Result<()> {
        let directory = self.directory(all);
        self.remove_others(all, None);
        sh::output(sh::command("python3").args(["-m", "venv"]).arg(&directory))?;
        let requirement = format!("{}{}=={}", self.package, self.extra, self.version);
        let mut pip = sh::command(directory.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-input", &requirement]).args(self.with);
        sh::output(&mut pip)?;
        let whole = directory.join(WHOLE);
        fs::write(&whole, &requirement).map_err(Error::file("write", &whole))?;
        self.remove_others(all, Some(&directory));
        Ok(())
    }

    /// Removes the environments of this tool but one: other versions, and one that did not become whole.
    fn remove_others(&self, all: &Path, but: Option<&Path>) {
        let prefix = format!("{}-", self.package);
        let is_version = |name: &str| {
            name.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        };
        for entry in fs::read_dir(all).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_str().is_some_and(is_version) && Some(path.as_path()) != but {
                // One that stays is found before or after this one by who looks; it is no worse than before.
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// Where they are.
pub(crate) fn directory() -> PathBuf {
    if let Some(given) = std::env::var_os(DIRECTORY) {
        return given.into();
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("bakehouse-tools")
}

/// A program of them, if it is there.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let all = directory();
    let tool = TOOLS.iter().find(|tool| tool.program == name && tool.is_there(&all))?;
    Some(tool.directory(&all).join("bin").join(name))
}

/// Makes those that are missing. Needs no root.
///
/// # Errors
/// `Unready` if there is no Python with venv, or no way to PyPI.
pub(crate) fn setup() -> Result<()> {
    ensure(&TOOLS).map(drop)
}

/// Returns the paths of `cargo-zigbuild` and of the Python that has zig. Installed if missing.
///
/// # Errors
/// As [`setup`].
pub(crate) fn zigbuild() -> Result<PathBuf> {
    ensure(std::slice::from_ref(&ZIGBUILD)).map(|all| ZIGBUILD.directory(&all).join("bin"))
}

/// Creates those that are missing. Returns the directory of all.
fn ensure(tools: &[Tool]) -> Result<PathBuf> {
    let all = directory();
    let (there, missing): (Vec<&Tool>, Vec<&Tool>) = tools.iter().partition(|tool| tool.is_there(&all));
    let names = |tools: &[&Tool]| tools.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");
    if missing.is_empty() {
        eprintln!("tools: all there ({})", names(&there));
        return Ok(all);
    }
    fs::create_dir_all(&all).map_err(Error::file("make", &all))?;
    for tool in &missing {
        eprintln!("tools: making {} ({}) in {}", tool.program, tool.why, tool.directory(&all).display());
        tool.make(&all).map_err(|error| {
            let what = format!("{} {}", tool.package, tool.version);
            Error::Unready(format!("could not install {what} from PyPI: {error}"))
        })?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_goes_and_another_tool_stays() {
        let all = std::env::temp_dir().join(format!("bakehouse-python-{}", std::process::id()));
        for name in ["moto-5.0.0", "moto-5.2.5", "moto-server-1", "awscli-1.0"] {
            fs::create_dir_all(all.join(name)).unwrap();
        }
        let moto = &TOOLS[1];
        moto.remove_others(&all, Some(&moto.directory(&all)));
        let mut left: Vec<_> = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        fs::remove_dir_all(&all).unwrap();
        assert_eq!(left, ["awscli-1.0", "moto-5.2.5", "moto-server-1"]);
    }
}
