//! A directory with the files that the templates of these tests name.
// Each test program uses a part of this.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, fs};

use bakehouse_protocol::{BuildSpec, Timestamp};
use bakehouse_template::{Context, LoadRequest, Loaded, Problems, TemplateSource, load};
use miette::{GraphicalReportHandler, GraphicalTheme};
use tempfile::TempDir;

/// 2026-11-22T21:22:09.195Z.
pub const NOW: u64 = 1_795_382_529_195;

pub struct Fixture {
    pub directory: TempDir,
    pub request: LoadRequest,
}

impl Fixture {
    pub fn new(template: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("setup.sh"), "#!/bin/sh\n").unwrap();
        fs::create_dir(directory.path().join("files")).unwrap();
        fs::write(directory.path().join("files/motd"), "hello\n").unwrap();
        let context = Context {
            now: Timestamp(NOW),
            environment: BTreeMap::from([("USER_NAME".to_owned(), "mo".to_owned())]),
            working_directory: directory.path().to_path_buf(),
            uuid_seed: 7,
            root: "/".into(),
        };
        let template = TemplateSource::Text { name: "web.json".to_owned(), text: template.to_owned() };
        Self { directory, request: LoadRequest::new(template, context) }
    }

    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.request.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn var_file(mut self, name: &str, text: &str) -> Self {
        fs::write(self.directory.path().join(name), text).unwrap();
        self.request.var_files.push(name.into());
        self
    }

    pub fn load(&self) -> Result<Loaded, Problems> {
        load(&self.request)
    }

    /// Returns all errors and warnings as they are printed, without the directory's name.
    pub fn report(&self) -> String {
        let problems = self.load().expect_err("the template has mistakes");
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
        let mut out = String::new();
        for diagnostic in problems.errors.iter().chain(&problems.warnings) {
            handler.render_report(&mut out, diagnostic).unwrap();
            out.push('\n');
        }
        out.replace(&self.directory.path().display().to_string(), "[here]")
    }
}

/// Returns a template with one builder, with these options and the required ones.
pub fn with_options(options: &str) -> String {
    let comma = if options.is_empty() { "" } else { ", " };
    format!(
        r#"{{"builders": [{{"type": "amazon-chroot", "ami_name": "web 1", "source_ami": "ami-01234567"{comma}{options}}}]}}"#
    )
}

/// Returns a template with one valid builder and this provisioner.
pub fn with_step(step: &str) -> String {
    format!(
        r#"{{"builders": [{{"type": "amazon-chroot", "ami_name": "web 1", "source_ami": "ami-01234567"}}], "provisioners": [{step}]}}"#
    )
}

pub fn load_text(template: &str) -> Result<Loaded, Problems> {
    Fixture::new(template).load()
}

/// Returns the build of a template with one builder.
pub fn build(template: &str) -> BuildSpec {
    match load_text(template) {
        Ok(mut loaded) => loaded.builds.remove(0),
        Err(problems) => panic!("{template}: {:?}", messages(&problems)),
    }
}

/// Returns the text at each error's location, and its message.
pub fn messages(problems: &Problems) -> Vec<(String, String)> {
    problems.errors.iter().map(|e| (e.excerpt().unwrap_or("").to_owned(), e.to_string())).collect()
}

/// Returns the text at the location of a template's only error, and its message.
pub fn mistake(template: &str) -> (String, String) {
    let problems = load_text(template).expect_err(template);
    let mut all = messages(&problems);
    assert_eq!(all.len(), 1, "{template}: {all:?}");
    all.remove(0)
}

pub fn warnings(template: &str) -> Vec<String> {
    load_text(template).expect(template).warnings.iter().map(ToString::to_string).collect()
}
