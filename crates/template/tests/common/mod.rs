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

    /// Returns a fixture with one template in HCL.
    pub fn hcl(template: &str) -> Self {
        Self::new("").template("web.pkr.hcl", template)
    }

    /// Takes another template, in a file.
    pub fn template(mut self, name: &str, text: &str) -> Self {
        self.request.template = TemplateSource::Path(name.into());
        self.file(name, text)
    }

    /// Writes a file.
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Takes the template in the directory instead of one file.
    pub fn whole_directory(mut self) -> Self {
        self.request.template = TemplateSource::Path(".".into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.request.context.environment.insert(name.to_owned(), value.to_owned());
        self
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

    /// Returns the only build.
    pub fn build(&self) -> BuildSpec {
        match self.load() {
            Ok(mut loaded) if loaded.builds.len() == 1 => loaded.builds.remove(0),
            Ok(loaded) => panic!("{} builds", loaded.builds.len()),
            Err(problems) => panic!("{:#?}", messages(&problems)),
        }
    }

    /// Returns the text at each error's location, and its message.
    pub fn mistakes(&self) -> Vec<(String, String)> {
        messages(&self.load().expect_err("the template has mistakes"))
    }

    pub fn warnings(&self) -> Vec<String> {
        match self.load() {
            Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
            Err(problems) => panic!("{:#?}", messages(&problems)),
        }
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
