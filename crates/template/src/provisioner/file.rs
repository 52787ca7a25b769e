//! The `file` provisioner.

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, Download, SourceFile, Upload},
};

use super::step::Step;
use crate::{
    files::{self, Wanted},
    tree::Located,
};

impl Step<'_> {
    pub(super) fn file(&self) -> Option<Action> {
        let values = self.values;
        let download = match values.string("direction") {
            None => false,
            Some(text) if text.value == "upload" => false,
            Some(text) if text.value == "download" => true,
            Some(text) => {
                let message = format!("`direction` cannot be \"{}\"", text.value);
                self.error(&text.location, message, "Write \"upload\" or \"download\".");
                return None;
            }
        };
        let mut sources = values.deferred_list("sources").unwrap_or_default();
        sources.extend(values.deferred("source").filter(|text| !text.value.0.is_empty()));
        let source = ["source", "sources"].into_iter().find_map(|option| Some((option, values.location(option)?)));
        let content = values.location("content");
        match (source, content) {
            (None, None) => {
                let help = "Write \"source\": \"…\" or \"content\": \"…\".";
                self.error(&values.anchor, "this file step has no source", help);
            }
            (Some((option, _)), Some(location)) => {
                let message = format!("`content` cannot be combined with `{option}`");
                self.error(location, message, "Write a step for each.");
                return None;
            }
            _ => {}
        }
        let destination = values.deferred("destination").filter(|text| !text.value.0.is_empty());
        if destination.is_none() && !values.is_invalid("destination") {
            self.error(&values.anchor, "this file step has no destination", "Write \"destination\": \"…\".");
        }
        let invalid = ["source", "sources", "direction", "content"].iter().any(|option| values.is_invalid(option));
        if download {
            for option in ["content", "generated"] {
                if let Some(location) = values.location(option) {
                    let message = format!("`{option}` cannot be combined with the direction \"download\"");
                    self.error(location, message, "Remove one of the two.");
                }
            }
            let sources = self.download_sources(&sources);
            let destination = self.download_destination(&destination?)?;
            return (!invalid).then_some(Action::Download(Download { sources: sources?, destination }));
        }
        let found: Vec<Option<SourceFile>> = sources.iter().map(|source| self.upload_source(source)).collect();
        let sources = found.into_iter().collect::<Option<Vec<_>>>()?;
        let content = values.string("content").map(|text| text.value);
        let destination = destination?;
        self.check_path_in_image(&destination);
        if content.is_some() && destination.value.0.ends_with('/') {
            let message = format!("the destination \"{}\" of `content` is a directory", destination.value.0);
            self.error(&destination.location, message, "Write the path of the file, without / at its end.");
        }
        let is_lacking = invalid || (sources.is_empty() && content.is_none());
        (!is_lacking).then_some(Action::Upload(Upload {
            sources,
            content,
            generated: values.flag("generated"),
            destination: destination.value,
        }))
    }

    fn check_path_in_image(&self, path: &Located<DeferredTemplate>) {
        if !path.value.0.starts_with(['/', '{']) {
            let message = format!("the path \"{}\" in the image is not absolute", path.value.0);
            self.error(&path.location, message, "Write a path that starts with /.");
        }
    }

    /// Returns a path of the build host, which must not depend on the running build.
    fn host_path(&self, path: &Located<DeferredTemplate>) -> Option<Located<String>> {
        if path.value.0.contains("{{") {
            let message = "a path of the build host cannot use `build`";
            self.error(&path.location, message, "The values of `build` are not known yet when the file is looked for.");
            return None;
        }
        Some(Located::new(path.value.0.clone(), &path.location))
    }

    fn upload_source(&self, path: &Located<DeferredTemplate>) -> Option<SourceFile> {
        let path = self.host_path(path)?;
        if self.values.flag("generated") {
            let full = self.inputs.context.working_directory.join(&path.value);
            return Some(SourceFile { written: path.value, path: full.to_string_lossy().into_owned() });
        }
        files::check_exists(&path, "the file", Wanted::Either, self.inputs)
    }

    fn download_destination(&self, path: &Located<DeferredTemplate>) -> Option<String> {
        // `join` keeps a trailing slash, which means: into this directory.
        let path = self.host_path(path)?;
        Some(self.inputs.context.working_directory.join(&path.value).to_string_lossy().into_owned())
    }

    fn download_sources(&self, sources: &[Located<DeferredTemplate>]) -> Option<Vec<DeferredTemplate>> {
        let mut valid = !sources.is_empty();
        for source in sources {
            self.check_path_in_image(source);
            if source.value.0.ends_with('/') || source.value.0.contains(['*', '?', '[']) {
                valid = false;
                let message = format!("\"{}\" is not a single file", source.value.0);
                self.error(
                    &source.location,
                    message,
                    "A download takes single files: pack a directory in a shell step first.",
                );
            }
        }
        valid.then(|| sources.iter().map(|source| source.value.clone()).collect())
    }
}
