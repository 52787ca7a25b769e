//! `cargo xtask package`: what a stack deploys, built for where it runs. Amazon Linux 2023 has glibc 2.34, older than
//! most machines that build: zig links for it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{
    glibc, python,
    sh::{self, Error, Result},
};

/// The processor that the stack's function and hosts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    /// Intel and AMD.
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    /// Graviton.
    #[value(name = "arm64", alias = "aarch64")]
    Arm64,
}

impl Arch {
    /// As EC2, Lambda and the stack's parameter write it.
    fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

/// The programs: the controller and the agent.
const CONTROLLER: &str = "bootstrap";
const AGENT: &str = "bakehouse-agent";

/// Builds and packs. `out` gets a directory named by the architecture.
///
/// # Errors
/// `Unready` if the Rust target is not installed.
pub(crate) fn package(arch: Arch, out: Option<PathBuf>) -> Result<()> {
    need_target(arch)?;
    let zig = python::zigbuild()?;
    let begun = Instant::now();
    let programs = build(arch, &zig)?;
    let took = begun.elapsed().as_secs();
    for program in [CONTROLLER, AGENT] {
        let newest = glibc::check(&programs.join(program), glibc::AMAZON_LINUX_2023).map_err(Error::Failed)?;
        println!("{program}: asks for glibc {newest}; Amazon Linux 2023 has {}", glibc::AMAZON_LINUX_2023);
    }
    let out = out.unwrap_or_else(|| sh::root().join("dist")).join(arch.name());
    let packed = pack(arch, &programs, &out)?;
    println!("built in {took} s; in {}:", out.display());
    for file in &packed {
        let size = fs::metadata(out.join(file)).map_err(Error::file("look at", &out.join(file)))?.len();
        println!("  {file}  {:.1} MiB", size as f64 / f64::from(1 << 20));
    }
    println!("{}", upload(arch, &out)?);
    Ok(())
}

fn need_target(arch: Arch) -> Result<()> {
    let libraries = sh::output(sh::command("rustc").args(["--print", "target-libdir", "--target", arch.target()]))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    Err(Error::Unready(format!(
        "Rust's standard library for {} is not installed. Run:\n    rustup target add {}",
        arch.name(),
        arch.target()
    )))
}

/// Where the programs are then.
fn build(arch: Arch, zig: &Path) -> Result<PathBuf> {
    let glibc::Version(major, minor) = glibc::AMAZON_LINUX_2023;
    let mut cargo = sh::cargo();
    // The program, and the Python that has zig.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(zig.to_owned()).chain(std::env::split_paths(&path)));
    cargo.env("PATH", path.map_err(|error| Error::Unready(format!("PATH: {error}")))?);
    cargo.args(["zigbuild", "--release", "--locked", "--bins"]);
    cargo.args(["--package", "bakehouse-lambda", "--package", "bakehouse-agent-daemon"]);
    cargo.arg("--target").arg(format!("{}.{major}.{minor}", arch.target()));
    sh::run(&mut cargo)?;
    Ok(sh::target()?.join(arch.target()).join("release"))
}

/// Packs the programs in `programs` into `out`, each with its digest beside it. The same programs give the same bytes.
/// Returns the names of the files.
fn pack(arch: Arch, programs: &Path, out: &Path) -> Result<[String; 2]> {
    let stage = out.join("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(Error::file("remove", &stage))?;
    }
    let agent = stage.join(format!("{AGENT}-{}-{}", env!("CARGO_PKG_VERSION"), arch.name()));
    fs::create_dir_all(&agent).map_err(Error::file("make", &agent))?;
    let copy = |from: &Path, to: PathBuf| fs::copy(from, &to).map(drop).map_err(Error::file("copy", from));
    copy(&programs.join(CONTROLLER), stage.join(CONTROLLER))?;
    copy(&programs.join(AGENT), agent.join(AGENT))?;
    let dist = sh::root().join("agent/daemon/dist");
    for file in ["bakehouse-agent.service", "agent.json"] {
        copy(&dist.join(file), agent.join(file))?;
    }
    copy(&sh::root().join("infra/install.sh"), agent.join("install.sh"))?;

    let (zip, archive) = (format!("{CONTROLLER}.zip"), format!("{AGENT}.tar.gz"));
    // Python's own module: with the executable bit, without which Lambda can't start it, and without the time.
    let script = "import sys, zipfile\n\
        entry = zipfile.ZipInfo('bootstrap')\n\
        entry.external_attr, entry.compress_type = 0o100755 << 16, zipfile.ZIP_DEFLATED\n\
        zipfile.ZipFile(sys.argv[2], 'w').writestr(entry, open(sys.argv[1], 'rb').read(), compresslevel=9)";
    sh::output(sh::command("python3").args(["-c", script]).arg(stage.join(CONTROLLER)).arg(out.join(&zip)))?;
    let mut tar = sh::command("tar");
    tar.env("GZIP", "-9n").current_dir(&stage);
    tar.args(["--create", "--gzip", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=u+rw,go=u-w", "--file"]).arg(out.join(&archive)).args(agent.file_name());
    sh::output(&mut tar)?;
    fs::remove_dir_all(&stage).map_err(Error::file("remove", &stage))?;
    let packed = [zip, archive];
    for file in &packed {
        let said = sh::output(sh::command("sha256sum").arg(file).current_dir(out))?;
        let digest = out.join(format!("{file}.sha256"));
        fs::write(&digest, said).map_err(Error::file("write", &digest))?;
    }
    Ok(packed)
}

/// What to do with them.
fn upload(arch: Arch, out: &Path) -> Result<String> {
    let digest = |file: &str| -> Result<String> {
        let path = out.join(format!("{file}.sha256"));
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
    };
    let (controller, agent) = (digest("bootstrap.zip")?, digest("bakehouse-agent.tar.gz")?);
    // A key of its own for each content: an update with the same key would change nothing.
    let key = |digest: &str| format!("bakehouse/{}", &digest[..digest.len().min(16)]);
    let (controller_key, agent_key) =
        (format!("{}/bootstrap.zip", key(&controller)), format!("{}/bakehouse-agent.tar.gz", key(&agent)));
    Ok(format!(
        "upload them to a bucket in the stack's Region, and give the stack these parameters (docs/deploy.md):\n  \
         aws s3 cp {out}/bootstrap.zip s3://BUCKET/{controller_key}\n  \
         aws s3 cp {out}/bakehouse-agent.tar.gz s3://BUCKET/{agent_key}\n  \
         CodeBucket=BUCKET CodeKey={controller_key} AgentKey={agent_key} AgentSha256={agent} Architecture={arch}",
        out = out.display(),
        arch = arch.name(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("bakehouse-package-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Stand-ins for the programs: what is tested is the packing.
    fn programs(scratch: &Scratch) -> PathBuf {
        let programs = scratch.0.join("programs");
        fs::create_dir_all(&programs).unwrap();
        for program in [CONTROLLER, AGENT] {
            let file = programs.join(program);
            fs::write(&file, format!("#!/bin/sh\necho {program}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        programs
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_unpacked_can_be_installed_and_started() {
        let scratch = Scratch::new("install");
        let out = scratch.0.join("out");
        pack(Arch::X86_64, &programs(&scratch), &out).unwrap();
        sh::output(
            sh::command("sha256sum")
                .args(["--check", "bootstrap.zip.sha256", "bakehouse-agent.tar.gz.sha256"])
                .current_dir(&out),
        )
        .unwrap();

        let listed = sh::output(
            sh::command("python3")
                .args(["-c", "import sys, zipfile\nfor one in zipfile.ZipFile(sys.argv[1]).infolist(): print(one.filename, oct(one.external_attr >> 16))"])
                .arg(out.join("bootstrap.zip")),
        )
        .unwrap();
        assert_eq!(listed, "bootstrap 0o100755\n");

        // As the hosts' user data does it.
        let there = scratch.0.join("there");
        fs::create_dir_all(&there).unwrap();
        let mut tar = sh::command("tar");
        tar.args(["--extract", "--gzip", "--no-same-owner", "--strip-components=1", "--file"]);
        sh::output(tar.arg(out.join("bakehouse-agent.tar.gz")).current_dir(&there)).unwrap();
        let root = scratch.0.join("root");
        let install =
            || sh::output(sh::command("sh").arg("./install.sh").env("DESTDIR", &root).current_dir(&there)).unwrap();
        install();
        let agent = root.join("usr/local/bin/bakehouse-agent");
        assert_eq!(mode(&agent), 0o755);
        assert_eq!(sh::output(&mut sh::command(&agent)).unwrap(), "bakehouse-agent\n");
        let unit = fs::read_to_string(root.join("etc/systemd/system/bakehouse-agent.service")).unwrap();
        assert!(
            unit.contains("ExecStart=/usr/local/bin/bakehouse-agent run --config /etc/bakehouse/agent.json"),
            "{unit}"
        );
        // An upgrade leaves the settings as they are.
        let settings = root.join("etc/bakehouse/agent.json");
        fs::write(&settings, "{}").unwrap();
        install();
        assert_eq!(fs::read_to_string(&settings).unwrap(), "{}");
    }

    #[test]
    fn the_same_programs_give_the_same_bytes() {
        let scratch = Scratch::new("same");
        let programs = programs(&scratch);
        let digests = ["one", "two"].map(|name| {
            let out = scratch.0.join(name);
            let packed = pack(Arch::Arm64, &programs, &out).unwrap();
            packed.map(|file| fs::read_to_string(out.join(format!("{file}.sha256"))).unwrap())
        });
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn the_parameters_are_those_of_the_template() {
        let scratch = Scratch::new("parameters");
        let out = scratch.0.join("out");
        pack(Arch::Arm64, &programs(&scratch), &out).unwrap();
        let said = upload(Arch::Arm64, &out).unwrap();
        let template = fs::read_to_string(sh::root().join("infra/bakehouse.yaml")).unwrap();
        let parameters = said.lines().last().unwrap().split_whitespace();
        let names: Vec<&str> = parameters.filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
        assert_eq!(names, ["CodeBucket", "CodeKey", "AgentKey", "AgentSha256", "Architecture"]);
        for name in names {
            assert!(template.contains(&format!("\n  {name}:\n    Type: String\n")), "{name}");
        }
    }

    /// What was built here for Amazon Linux, if anything was.
    #[test]
    fn built_programs_run_on_amazon_linux() {
        let built = |arch: Arch| sh::target().unwrap().join(arch.target()).join("release");
        let mut seen = false;
        for arch in [Arch::X86_64, Arch::Arm64] {
            for program in [CONTROLLER, AGENT] {
                let program = built(arch).join(program);
                if program.exists() {
                    seen = true;
                    glibc::check(&program, glibc::AMAZON_LINUX_2023).unwrap();
                }
            }
        }
        if !seen {
            println!(
                "SKIP built_programs_run_on_amazon_linux: not applicable: none are built here (cargo xtask package)"
            );
        }
    }
}
