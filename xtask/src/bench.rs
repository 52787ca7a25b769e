//! `cargo xtask bench`: what the project promises to be quick at.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    bakehouse::{self, Bakehouse},
    setup::{self, Purpose},
    sh::{self, Error, Result},
};

/// A build of an existing image that changes nothing: what is measured is bakehouse itself.
const NO_OP: &str = r#"{
  "builders": [{
    "type": "amazon-chroot",
    "region": "us-east-1",
    "ami_name": "noop-{{uuid}}",
    "source_ami_filter": {"filters": {"name": "bench-2g"}, "owners": ["self"], "most_recent": true}
  }]
}
"#;

/// Measures the parts, then whole commands, and prints a table of these.
pub(crate) fn bench() -> Result<()> {
    setup::setup(Purpose::Bench)?;
    for package in ["bakehouse-machine", "bakehouse-agent"] {
        eprintln!("\n{package}");
        sh::run(sh::cargo().args(["bench", "--package", package, "--benches"]))?;
    }

    let program = bakehouse::build()?;
    let folder = sh::target()?.join("xtask/bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
    let bakehouse = Bakehouse { program, state: folder.join("state") };
    let mut commands = vec![("bakehouse --help", format!("{} --help", quoted(&bakehouse.program)))];
    if sh::is_root() {
        commands.push(("no-op build, 2 GB sparse image", no_op(&bakehouse, &folder)?));
    } else {
        eprintln!("SKIP the no-op build: only root can attach a disk");
    }

    let results = folder.join("results.json");
    let mut hyperfine = sh::command("hyperfine");
    hyperfine.args(["--style", "none", "--warmup", "2", "--runs", "10", "--export-json"]).arg(&results);
    for (name, command) in &commands {
        hyperfine.args(["--command-name", name, command]);
    }
    sh::output(&mut hyperfine)?;
    let text = fs::read_to_string(&results).map_err(Error::file("read", &results))?;
    let results: Value =
        serde_json::from_str(&text).map_err(|source| Error::Answer { command: "hyperfine".to_owned(), source })?;
    print!("{}", table(&results));
    fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))
}

/// Imports a 2 GB image into the embedded cloud and returns the command that builds from it.
fn no_op(bakehouse: &Bakehouse, folder: &Path) -> Result<String> {
    let raw = folder.join("bench-2g.raw");
    let file = fs::File::create(&raw).map_err(Error::file("make", &raw))?;
    file.set_len(2 << 30).map_err(Error::file("size", &raw))?;
    drop(file);
    sh::output(sh::command("mkfs.ext4").args(["-q", "-F"]).arg(&raw))?;
    let mut import = bakehouse.command(&["local", "import"], folder);
    sh::output(import.arg(&raw).args(["--name", "bench-2g"]))?;
    let template = folder.join("noop.json");
    fs::write(&template, NO_OP).map_err(Error::file("write", &template))?;
    Ok(format!(
        "{} --state {} build {} --local",
        quoted(&bakehouse.program),
        quoted(&bakehouse.state),
        quoted(&template)
    ))
}

/// The path as one word for the shell that hyperfine uses.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

fn table(results: &Value) -> String {
    let mut table = format!("\n{:<34}{:>10}{:>10}{:>10}{:>10}\n", "command", "mean ms", "± ms", "min ms", "max ms");
    for result in results["results"].as_array().into_iter().flatten() {
        let ms = |name: &str| result[name].as_f64().unwrap_or_default() * 1_000.0;
        let name = result["command"].as_str().unwrap_or("?");
        table.push_str(&format!(
            "{name:<34}{:>10.1}{:>10.1}{:>10.1}{:>10.1}\n",
            ms("mean"),
            ms("stddev"),
            ms("min"),
            ms("max")
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_each_command() {
        let results = serde_json::json!({"results": [
            {"command": "bakehouse --help", "mean": 0.0021, "stddev": 0.0001, "min": 0.002, "max": 0.003},
        ]});
        let table = table(&results);
        assert_eq!(
            table.lines().last().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["bakehouse", "--help", "2.1", "0.1", "2.0", "3.0"]
        );
    }

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
