//! The templates that both programs are given: those of `tests/templates`, and those of the tables beside this file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

/// A template, and what both programs should say of it.
pub(crate) struct Case {
    /// What the list of differences calls it.
    pub(crate) name: String,
    /// Its language, if the same is asked in both.
    pub(crate) language: &'static str,
    pub(crate) directory: PathBuf,
    /// The arguments of `validate`, the template's path last.
    pub(crate) arguments: Vec<String>,
    /// Whether it should be accepted; `None` if it is enough that both say the same.
    pub(crate) should: Option<bool>,
}

/// The files that the templates name: a path and its content.
const FILES: [(&str, &str); 6] = [
    ("script.sh", "#!/bin/sh\ntrue\n"),
    ("dir/file", "content\n"),
    ("texts.json", r#"{"site": "web"}"#),
    ("numbers.json", r#"{"site": 1}"#),
    ("values.pkrvars.hcl", "site = \"web\"\n"),
    ("block.pkrvars.hcl", "variable \"site\" {}\n"),
];

/// The options, in JSON: `{"BLOCK TYPE": {"base": {…}, "options": {NAME: {"with": {…}, LABEL: VALUE, …}}}}`. `base`
/// is a block that is valid without the option; `with` adds to it, or removes by null; `key` is the option's name where
/// it is not the entry's. A label begins with `right`, `weak` (both programs say the same), `type` (a wrong type or an
/// unknown name) or `value` (a wrong value). `weak` is asked in both languages, whose types are not equally strict.
const OPTIONS: [&str; 2] = [include_str!("builder.json"), include_str!("steps.json")];

/// Whole templates, with the language of each file.
const TEMPLATES: [(&str, &str); 3] = [
    ("json", include_str!("json.txt")),
    ("pkr.hcl", include_str!("hcl-blocks.txt")),
    ("pkr.hcl", include_str!("hcl-values.txt")),
];

/// What stands for the least parts of a template in these files. The first may contain the others.
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("@TEMPLATE@", "@BUILD@\n}"),
    ("@BUILD@", "@SOURCE@\nbuild {\n  sources = [\"amazon-chroot.x\"]"),
    (
        "@SOURCE@",
        "source \"amazon-chroot\" \"x\" {\n  source_ami = \"ami-0123456789abcdef0\"\n  ami_name   = \"web\"\n}",
    ),
    ("@BUILDER@", r#"{"type": "amazon-chroot", "source_ami": "ami-0123456789abcdef0", "ami_name": "web"}"#),
];

/// Returns all cases. Their files are written to a directory.
pub(crate) fn cases(directory: &Path) -> Vec<Case> {
    for (name, content) in FILES {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let mut cases = corpus();
    let mut add = |name: String, language, extension, text: &str, mut arguments: Vec<String>, should| {
        let file = format!("{}.{extension}", cases.len());
        fs::write(directory.join(&file), text).unwrap();
        arguments.push(file);
        cases.push(Case { name, language, directory: directory.to_owned(), arguments, should });
    };
    for OptionCase { block, kind, option, label, options } in OPTIONS.into_iter().flat_map(option_cases) {
        let name = format!("{kind}: {option}: {label}");
        let name = if block == "post-processor" { format!("{block} {name}") } else { name };
        let begins = |word: &str| label.starts_with(word);
        let should = if begins("weak") { None } else { Some(begins("right")) };
        let (json, hcl) = templates(&block, &kind, &options);
        add(name.clone(), "JSON", "json", &json.to_string(), vec![], should);
        if begins("weak") {
            add(name, "HCL2", "pkr.json", &hcl.to_string(), vec![], should);
        }
    }
    for (extension, file) in TEMPLATES {
        for (head, text) in file.split("\n=== ").skip(1).map(|part| part.split_once('\n').unwrap_or((part, ""))) {
            let (should, name) = head.split_once(' ').unwrap();
            let (name, arguments) = name.split_once(" | ").unwrap_or((name, ""));
            assert!(["accepted", "refused"].contains(&should), "{head}");
            let text = PLACEHOLDERS.into_iter().fold(text.to_owned(), |text, (mark, part)| text.replace(mark, part));
            let language = if extension == "json" { "JSON" } else { "HCL2" };
            let arguments = arguments.split_whitespace().map(str::to_owned).collect();
            add(format!("{language}: {name}"), language, extension, &text, arguments, Some(should == "accepted"));
        }
    }
    cases
}

/// Returns the folders of `tests/templates`, each with what its template needs.
fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let case = |directory: PathBuf| {
        let has = |name: &&str| directory.join(name).exists();
        let template = ["template.json", "template.pkr.json"].into_iter().find(has).unwrap_or(".");
        let var_file = ["vars.json"].into_iter().find(has).map(|name| format!("-var-file={name}"));
        Case {
            name: format!("tests/templates/{}", directory.file_name().unwrap().to_str().unwrap()),
            language: "",
            arguments: var_file.into_iter().chain([template.to_owned()]).collect(),
            directory,
            should: None,
        }
    };
    folders.map(case).collect()
}

/// A block with a value of one of its options.
struct OptionCase {
    /// `builder`, `provisioner` or `post-processor`.
    block: String,
    kind: String,
    option: String,
    label: String,
    /// All options of the block.
    options: Map<String, Value>,
}

/// Returns the cases of a table.
fn option_cases(table: &str) -> Vec<OptionCase> {
    let object = |value: &Value| value.as_object().unwrap().clone();
    let mut all = Vec::new();
    for (head, group) in object(&serde_json::from_str(table).unwrap()) {
        let (block, kind) = head.split_once(' ').unwrap();
        for (name, entry) in object(&group["options"]) {
            let key = entry["key"].as_str().unwrap_or(&name);
            let with = entry["with"].as_object().into_iter().flatten();
            let labels = object(&entry).into_iter().filter(|(label, _)| !["with", "key"].contains(&label.as_str()));
            for (label, value) in labels {
                let mut options = object(&group["base"]);
                for (name, value) in with.clone() {
                    options.insert(name.clone(), value.clone());
                }
                options.insert(key.to_owned(), value);
                // Null removes; that null itself is the same as nothing is weak typing.
                options.retain(|_, value| label.starts_with("weak") || !value.is_null());
                let (block, kind, option) = (block.to_owned(), kind.to_owned(), name.clone());
                all.push(OptionCase { block, kind, option, label, options });
            }
        }
    }
    all
}

/// Returns a template with a block in JSON, and in the JSON form of HCL2.
fn templates(block: &str, kind: &str, options: &Map<String, Value>) -> (Value, Value) {
    let base = json!({ "source_ami": "ami-0123456789abcdef0", "ami_name": "web" });
    let is_builder = block == "builder";
    let source = if is_builder { Value::Object(options.clone()) } else { base };
    let mut builder = source.clone();
    builder["type"] = "amazon-chroot".into();
    let mut json = json!({ "builders": [builder] });
    let mut hcl = json!({
        "source": { "amazon-chroot": { "x": source } },
        "build": { "sources": ["amazon-chroot.x"] },
    });
    if !is_builder {
        let mut step = Value::Object(options.clone());
        step["type"] = kind.into();
        json[format!("{block}s")] = json!([step]);
        hcl["build"][block] = json!({ kind: options });
    }
    (json, hcl)
}
