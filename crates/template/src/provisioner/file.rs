//! The `file` provisioner.

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, Download, SourceFile, Upload},
};

use super::step::Step;
use crate::{files, tree::Located};

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
        let is_set = |option| values.location(option).is_some();
        if !["source", "sources", "content"].into_iter().any(is_set) {
            self.error(&values.anchor, "this file step has no source", "Write \"source\": \"…\".");
        }
        let destination = values.deferred("destination").filter(|text| !text.value.0.is_empty());
        if destination.is_none() && !values.is_invalid("destination") {
            self.error(&values.anchor, "this file step has no destination", "Write \"destination\": \"…\".");
        }
        let invalid = ["source", "sources", "direction"].iter().any(|option| values.is_invalid(option));
        if download {
            let sources = self.download_sources(&sources);
            let destination = self.download_destination(&destination?)?;
            (!invalid).then_some(Action::Download(Download { sources: sources?, destination }))
        } else {
            let found: Vec<Option<SourceFile>> = sources.iter().map(|source| self.upload_source(source)).collect();
            let sources = found.into_iter().collect::<Option<Vec<_>>>().filter(|sources| !sources.is_empty());
            let destination = destination?;
            self.check_path_in_image(&destination);
            (!invalid).then_some(Action::Upload(Upload {
                sources: sources?,
                destination: destination.value,
                ..Upload::default()
            }))
        }
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
        files::check_exists(&path, "the file", true, self.inputs)
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
