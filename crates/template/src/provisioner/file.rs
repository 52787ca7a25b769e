//! `file`.

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, Download, SourceFile, Upload},
};

use super::step::Step;
use crate::{files, tree::At};

impl Step<'_> {
    pub(super) fn file(&self) -> Option<Action> {
        let values = self.values;
        let download = match values.text("direction") {
            None => false,
            Some(text) if text.value == "upload" => false,
            Some(text) if text.value == "download" => true,
            Some(text) => {
                let message = format!("`direction` cannot be \"{}\"", text.value);
                self.error(&text.place, message, "Write \"upload\" or \"download\".");
                return None;
            }
        };
        let mut sources = values.lates("sources").unwrap_or_default();
        sources.extend(values.late("source").filter(|text| !text.value.0.is_empty()));
        let given = |option| values.place(option).is_some();
        if !["source", "sources", "content"].into_iter().any(given) {
            self.error(&values.anchor, "this file step has no source", "Write \"source\": \"…\".");
        }
        let destination = values.late("destination").filter(|text| !text.value.0.is_empty());
        if destination.is_none() && !values.is_wrong("destination") {
            self.error(&values.anchor, "this file step has no destination", "Write \"destination\": \"…\".");
        }
        let wrong = ["source", "sources", "direction"].iter().any(|option| values.is_wrong(option));
        if download {
            let sources = self.download_sources(&sources);
            let destination = self.local(&destination?)?;
            (!wrong).then_some(Action::Download(Download { sources: sources?, destination }))
        } else {
            let found: Vec<Option<SourceFile>> = sources.iter().map(|source| self.upload_source(source)).collect();
            let sources = found.into_iter().collect::<Option<Vec<_>>>().filter(|sources| !sources.is_empty());
            let destination = destination?;
            self.in_image(&destination);
            (!wrong).then_some(Action::Upload(Upload { sources: sources?, destination: destination.value }))
        }
    }

    fn in_image(&self, path: &At<DeferredTemplate>) {
        if !path.value.0.starts_with(['/', '{']) {
            let message = format!("the path \"{}\" in the image is not absolute", path.value.0);
            self.error(&path.place, message, "Write a path that begins with /.");
        }
    }

    /// A path of the build host: known now.
    fn known(&self, path: &At<DeferredTemplate>) -> Option<At<String>> {
        if path.value.0.contains("{{") {
            let message = "a path of the build host cannot use `build`";
            self.error(&path.place, message, "What the build runs with is not known when the file is looked for.");
            return None;
        }
        Some(At::new(path.value.0.clone(), &path.place))
    }

    fn upload_source(&self, path: &At<DeferredTemplate>) -> Option<SourceFile> {
        let path = self.known(path)?;
        files::existing(&path, "the file", true, self.inputs)
    }

    fn local(&self, path: &At<DeferredTemplate>) -> Option<String> {
        // Joining keeps a trailing slash, which means: into this directory.
        let path = self.known(path)?;
        Some(self.inputs.context.working_directory.join(&path.value).to_string_lossy().into_owned())
    }

    fn download_sources(&self, sources: &[At<DeferredTemplate>]) -> Option<Vec<DeferredTemplate>> {
        let mut fine = !sources.is_empty();
        for source in sources {
            self.in_image(source);
            if source.value.0.ends_with('/') || source.value.0.contains(['*', '?', '[']) {
                fine = false;
                let message = format!("\"{}\" is not one file", source.value.0);
                self.error(
                    &source.place,
                    message,
                    "A download takes single files: pack a directory in a shell step first.",
                );
            }
        }
        fine.then(|| sources.iter().map(|source| source.value.clone()).collect())
    }
}
