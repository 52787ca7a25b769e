//! The `bakehouse` program as a user has it: built, then run with `--json`, so that its output can be shown at once
//! and its result be read.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::sh::{self, Error, Result};

/// Builds the release program and returns its path.
pub(crate) fn build() -> Result<PathBuf> {
    sh::run(sh::cargo().args(["build", "--package", "bakehouse", "--release"]))?;
    Ok(sh::target()?.join("release").join("bakehouse"))
}

/// The program with the state directory it is to use.
pub(crate) struct Bakehouse {
    pub(crate) program: PathBuf,
    pub(crate) state: PathBuf,
}

/// What a build came to.
pub(crate) struct Baked {
    pub(crate) build: String,
    pub(crate) images: Vec<Image>,
    pub(crate) phases: Vec<(String, Duration)>,
    pub(crate) bytes_changed: Option<u64>,
}

/// An image in one region.
pub(crate) struct Image {
    pub(crate) region: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) disk: String,
}

impl Bakehouse {
    /// `bakehouse --state DIR` with these arguments, run in this folder.
    pub(crate) fn command(&self, arguments: &[&str], folder: &Path) -> Command {
        let mut command = sh::command(&self.program);
        command.arg("--state").arg(&self.state).args(arguments).current_dir(folder);
        command
    }

    /// Builds a template and shows the output at once.
    ///
    /// # Errors
    /// If it cannot be started, or does not succeed.
    pub(crate) fn bake(&self, template: &Path, variables: &[(&str, &str)]) -> Result<Baked> {
        let mut command = self.command(&["build"], &sh::root());
        command.arg(template).args(["--local", "--json"]);
        for (name, value) in variables {
            command.arg("-var").arg(format!("{name}={value}"));
        }
        command.stdout(Stdio::piped());
        let spawned = command.spawn();
        let failed = |source| Error::Start { command: sh::shown(&command), source };
        let mut child = spawned.map_err(failed)?;
        let mut last = Value::Null;
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let line = line.map_err(failed)?;
            let Ok(event) = serde_json::from_str::<Value>(&line) else {
                println!("  {line}");
                continue;
            };
            if let Some(text) = shown(&event) {
                println!("{text}");
            }
            last = event;
        }
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            return Err(Error::Ended { command: sh::shown(&command), status, said: String::new() });
        }
        finished(&last).ok_or_else(|| Error::Failed(format!("`{}` did not say how it ended", sh::shown(&command))))
    }

    /// The embedded cloud's images, newest last, as `bakehouse local images --json` tells them.
    pub(crate) fn images(&self) -> Result<Vec<Value>> {
        let answer = sh::json(&mut self.command(&["local", "images", "--json"], &sh::root()))?;
        Ok(match answer {
            Value::Array(images) => images,
            Value::Object(mut fields) => match fields.remove("images") {
                Some(Value::Array(images)) => images,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        })
    }
}

/// The line a person sees of an event, if it has anything to say to one.
fn shown(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str();
    Some(match text("event")? {
        "phase" => format!("  {}", text("phase")?),
        "provisioner" => {
            let index = event["index"].as_u64()? + 1;
            format!("    {index}/{} {}", event["of"], text("title")?)
        }
        "output" => format!("      │ {}", text("line")?),
        "note" => format!("    note: {}", text("text")?),
        "made" => format!("    + {} {} ({})", text("kind")?, text("id")?, text("region")?),
        "removed" => format!("    - {} {} ({})", text("kind")?, text("id")?, text("region")?),
        "failed" => format!("    FAILED: {}", text("message")?),
        _ => return None,
    })
}

fn finished(last: &Value) -> Option<Baked> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or("?").to_owned();
    if last["event"] != "finished" || last["outcome"] != "succeeded" {
        return None;
    }
    let list = |name: &str| last[name].as_array().into_iter().flatten();
    Some(Baked {
        build: text(last, "build"),
        images: list("images")
            .map(|image| Image {
                region: text(image, "region"),
                id: text(image, "id"),
                name: text(image, "name"),
                disk: text(image, "disk"),
            })
            .collect(),
        phases: list("phases")
            .map(|phase| {
                let time = phase["milliseconds"].as_u64().unwrap_or_default();
                (text(phase, "phase"), Duration::from_millis(time))
            })
            .collect(),
        bytes_changed: last["bytes_changed"].as_u64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_a_build_ended() {
        let mut last = serde_json::json!({
            "event": "finished", "build": "b-1", "outcome": "succeeded",
            "images": [{"region": "us-east-1", "id": "ami-1", "name": "web", "disk": "/s/web.raw"}],
            "phases": [{"phase": "creating", "milliseconds": 123}],
            "bytes_changed": 7,
        });
        let baked = finished(&last).unwrap();
        assert_eq!((baked.build.as_str(), baked.bytes_changed), ("b-1", Some(7)));
        assert_eq!(baked.images[0].disk, "/s/web.raw");
        assert_eq!(baked.phases, [("creating".to_owned(), Duration::from_millis(123))]);
        last["outcome"] = "failed".into();
        assert!(finished(&last).is_none());
    }

    #[test]
    fn shows_output_and_phases() {
        let said = |event: Value| shown(&event);
        assert_eq!(said(serde_json::json!({"event": "output", "line": "hi"})).unwrap(), "      │ hi");
        assert_eq!(said(serde_json::json!({"event": "phase", "phase": "creating"})).unwrap(), "  creating");
        assert_eq!(said(serde_json::json!({"event": "agent", "phase": "find"})), None);
    }
}
