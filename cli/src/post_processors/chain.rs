//! Runs the chains of post-processors of a build.

use std::path::Path;

use bakehouse_protocol::{
    Stream, Timestamp,
    mask::Mask,
    spec::{PostAction, PostProcessor},
};

use super::{
    artifact::{Artifact, BUILDER_TYPE},
    error::PostError,
    manifest::ManifestBuild,
    manifest_file,
    run_data::{Fields, render},
    shell_local::{self, Surroundings},
};

/// What is told while post-processors run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PostEvent<'a> {
    /// One begins: its name and its type.
    Begins {
        /// Its name, or its type.
        name: &'a str,
        /// Its type.
        kind: &'static str,
    },
    /// It printed a line.
    Output {
        /// Its type.
        kind: &'static str,
        /// Where.
        stream: Stream,
        /// The line, with whatever is in it.
        line: &'a str,
    },
    /// A remark.
    Note(&'a str),
}

/// What the post-processors of a build are run with.
pub(crate) struct Run<'a> {
    /// The images.
    pub(crate) artifact: &'a Artifact,
    /// One for each run of the command.
    pub(crate) run_uuid: &'a str,
    /// `-force`.
    pub(crate) force: bool,
    /// The fields of the texts.
    pub(crate) fields: &'a Fields,
    pub(crate) now: Timestamp,
    /// The working directory.
    pub(crate) directory: &'a Path,
    /// Where scripts are written.
    pub(crate) temporary: &'a Path,
    pub(crate) mask: &'a Mask,
    pub(crate) is_cancelled: &'a dyn Fn() -> bool,
}

/// Runs every chain; one that fails keeps no other from running. Returns the names of those that failed, and why.
pub(crate) fn run_chains(
    chains: &[Vec<PostProcessor>],
    run: &Run<'_>,
    tell: &mut dyn FnMut(PostEvent<'_>),
) -> Vec<(String, PostError)> {
    let mut failed = Vec::new();
    for chain in chains {
        for post_processor in chain {
            if let Err(error) = run_one(post_processor, run, tell) {
                let is_cancelled = matches!(error, PostError::Cancelled { .. });
                failed.push((post_processor.name.clone(), error));
                if is_cancelled {
                    return failed;
                }
                break;
            }
        }
    }
    failed
}

fn run_one(
    post_processor: &PostProcessor,
    run: &Run<'_>,
    tell: &mut dyn FnMut(PostEvent<'_>),
) -> Result<(), PostError> {
    let kind = kind(&post_processor.action);
    tell(PostEvent::Begins { name: &post_processor.name, kind });
    if post_processor.keep_input_artifact == Some(false) {
        tell(PostEvent::Note(&format!("{kind} always keeps the images: `keep_input_artifact` changes nothing")));
    }
    match &post_processor.action {
        PostAction::Manifest { output, strip_time, custom_data } => {
            let custom_data = custom_data.iter().map(|(key, value)| {
                let value = render(&format!("`custom_data` {key}"), value, run.fields, run.now)?;
                Ok((key.clone(), run.mask.apply(&value).into_owned()))
            });
            let custom_data = custom_data.collect::<Result<std::collections::BTreeMap<_, _>, PostError>>()?;
            let build = ManifestBuild {
                name: run.mask.apply(&run.artifact.build_name).into_owned(),
                builder_type: BUILDER_TYPE.to_owned(),
                build_time: if *strip_time { 0 } else { i64::try_from(run.now.0 / 1000).unwrap_or(i64::MAX) },
                files: serde_json::Value::Null,
                artifact_id: run.artifact.id(),
                packer_run_uuid: run.run_uuid.to_owned(),
                custom_data: (!custom_data.is_empty()).then_some(custom_data),
            };
            manifest_file::add(&run.directory.join(output), build, run.force)
        }
        PostAction::Checksum => {
            tell(PostEvent::Note("an image has no files, so there is no checksum to write"));
            Ok(())
        }
        PostAction::ShellLocal(shell) => {
            let around = Surroundings {
                build_name: &run.artifact.build_name,
                run_uuid: run.run_uuid,
                fields: run.fields,
                now: run.now,
                directory: run.directory,
                temporary: run.temporary,
                is_cancelled: run.is_cancelled,
            };
            shell_local::run(shell, &around, &mut |stream, line| tell(PostEvent::Output { kind, stream, line }))
        }
    }
}

/// Returns the type of a post-processor.
fn kind(action: &PostAction) -> &'static str {
    match action {
        PostAction::Manifest { .. } => "manifest",
        PostAction::Checksum => "checksum",
        PostAction::ShellLocal(_) => "shell-local",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::{
        DeferredTemplate,
        spec::{Script, ShellLocal},
    };
    use std::fs;

    fn post_processor(name: &str, action: PostAction) -> PostProcessor {
        PostProcessor { name: name.to_owned(), keep_input_artifact: None, action }
    }

    fn shell(line: &str) -> PostProcessor {
        let scripts = vec![Script::Inline(vec![DeferredTemplate(line.to_owned())])];
        let shell = ShellLocal {
            scripts,
            environment: Vec::new(),
            valid_exit_codes: Vec::new(),
            inline_shebang: None,
            execute_command: Vec::new(),
            env_var_format: None,
            tempfile_extension: String::new(),
        };
        post_processor("shell-local", PostAction::ShellLocal(shell))
    }

    fn manifest(strip_time: bool) -> PostProcessor {
        let custom_data = vec![("key".to_owned(), DeferredTemplate("is hunter2".to_owned()))];
        let action = PostAction::Manifest { output: "m.json".to_owned(), strip_time, custom_data };
        post_processor("the list", action)
    }

    /// What the chains tell, and which failed.
    fn run(directory: &Path, chains: &[Vec<PostProcessor>], is_cancelled: bool) -> (Vec<String>, Vec<String>) {
        let images = vec![("us-east-1".to_owned(), "ami-1".to_owned())];
        let mut told = Vec::new();
        let run = Run {
            artifact: &Artifact { build_name: "web".to_owned(), images },
            run_uuid: "run-1",
            force: false,
            fields: &Fields::new(),
            now: Timestamp(1_795_382_528_000),
            directory,
            temporary: directory,
            mask: &Mask::new(&["hunter2".to_owned()]),
            is_cancelled: &|| is_cancelled,
        };
        let failed = run_chains(chains, &run, &mut |event| told.push(format!("{event:?}")));
        (told, failed.into_iter().map(|(name, error)| format!("{name}: {error}")).collect())
    }

    #[test]
    fn a_failure_ends_its_chain_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let chains = [vec![shell("false"), shell("touch never")], vec![shell("touch other"), manifest(false)]];
        let (told, failed) = run(dir.path(), &chains, false);
        assert_eq!(failed, ["shell-local: the inline script exited with status 1"]);
        assert!(dir.path().join("other").exists() && !dir.path().join("never").exists());
        assert_eq!(told.iter().filter(|line| line.starts_with("Begins")).count(), 3);
    }

    #[test]
    fn the_manifest_hides_sensitive_values() {
        let dir = tempfile::tempdir().unwrap();
        let (_, failed) = run(dir.path(), &[vec![manifest(false)], vec![manifest(true)]], false);
        assert_eq!(failed, Vec::<String>::new());
        let text = fs::read_to_string(dir.path().join("m.json")).unwrap();
        assert_eq!(text.matches("\"key\": \"is \\u003csensitive\\u003e\"").count(), 2, "{text}");
        assert_eq!(text.matches("\"build_time\": 1795382528").count(), 1, "{text}");
        assert_eq!(text.matches("\"artifact_id\": \"us-east-1:ami-1\"").count(), 2, "{text}");
    }

    #[test]
    fn cancelling_ends_all_chains() {
        let dir = tempfile::tempdir().unwrap();
        let (told, failed) = run(dir.path(), &[vec![shell("sleep 30")], vec![shell("true")]], true);
        assert_eq!(failed, ["shell-local: cancelled in the inline script"]);
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn the_images_are_always_kept() {
        let dir = tempfile::tempdir().unwrap();
        let checksum =
            PostProcessor { keep_input_artifact: Some(false), ..post_processor("checksum", PostAction::Checksum) };
        let (told, failed) = run(dir.path(), &[vec![checksum]], false);
        assert!(failed.is_empty() && told[1].contains("always keeps the images"), "{told:?}");
    }
}
