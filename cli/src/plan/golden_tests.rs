//! The plans of the templates in `tests/templates`, and that these use everything that there is.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bakehouse_controller::mask::Mask;
use bakehouse_protocol::{BuildId, Region, Timestamp};
use bakehouse_runner::dry_run::dry_run;
use bakehouse_template::{Context, External, LoadRequest, TemplateSource, load};

use super::{Assumed, PlanReport, offline, planned_build};

/// Other services, whose values are all secrets.
#[derive(Debug)]
struct Secrets;

impl External for Secrets {
    fn secret(&self, name: &str) -> Result<String, String> {
        Ok(format!(r#"{{"value": "s3cret of {name}"}}"#))
    }
    fn vault(&self, path: &str, key: &str) -> Result<String, String> {
        Ok(format!("s3cret of {path} {key}"))
    }
    fn consul_key(&self, key: &str) -> Result<String, String> {
        Ok(format!("s3cret of {key}"))
    }
}

const NOW: Timestamp = Timestamp(1_795_382_529_195);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/templates").canonicalize().unwrap()
}

/// The folders with a template each.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() > 5, "{folders:?}");
    folders
}

fn plan(folder: &Path) -> String {
    let single = ["template.json", "template.pkr.json"].into_iter().find(|name| folder.join(name).exists());
    let environment = [("STAGE", "test"), ("TOKEN", "s3cret-token")];
    let context = Context {
        now: NOW,
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        working_directory: folder.to_owned(),
        uuid_seed: 7,
        root: "/".into(),
    };
    let template = TemplateSource::Path(single.unwrap_or(".").into());
    let var_files = ["vars.json"].into_iter().filter(|name| folder.join(name).exists()).map(PathBuf::from).collect();
    let external: Option<Arc<dyn External>> = Some(Arc::new(Secrets));
    let request = LoadRequest { var_files, external, skip_data_sources: true, ..LoadRequest::new(template, context) };
    let loaded = load(&request);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}: {:#?}", folder.display(), problems.errors));
    let mask = Mask::new(&loaded.sensitive);
    let recipe = folder.file_name().unwrap().to_string_lossy().into_owned();
    let mut texts = Vec::new();
    for (number, spec) in (0..).zip(loaded.builds) {
        let region = spec.region.clone().unwrap_or_else(|| Region::new("us-east-1").unwrap());
        let id = BuildId::from_parts(NOW.0 / 1000, number);
        let build = planned_build(spec.clone(), region.clone(), &recipe, id, NOW);
        let (source, plan) = pollster::block_on(offline(&build)).unwrap();
        let run = dry_run(build, plan).unwrap();
        texts.push(PlanReport::new(&spec, &region, source.as_ref(), Assumed::Source, run, &mask).text());
    }
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    let text = format!("{}\n{}\n", texts.join("\n"), warnings.join("\n")).trim_end().to_owned() + "\n";
    // The same wherever the clone is.
    text.replace(&*folder.to_string_lossy(), "FOLDER")
}

#[test]
fn plans_are_as_their_golden_files_say() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let (is, path) = (plan(&folder), folder.join("plan.golden"));
        assert!(!is.contains("s3cret"), "a secret in the plan of {}", folder.display());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &is).unwrap();
        }
        let should = fs::read_to_string(&path).unwrap_or_default();
        if is != should {
            wrong.push(format!("{}: expected\n{should}\nbut it is\n{is}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// All template files, by folder.
fn texts() -> BTreeMap<PathBuf, String> {
    let is_template = |path: &Path| {
        let name = path.to_string_lossy();
        [".json", ".hcl"].iter().any(|end| name.ends_with(end))
    };
    let read = |folder: PathBuf| {
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| is_template(path));
        let text: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
        (folder, text)
    };
    folders().into_iter().map(read).collect()
}

/// Whether a text has a word by itself.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.split(|c: char| !is_part(c)).any(|it| it == word)
}

#[test]
fn the_templates_use_every_option_and_function() {
    let texts = texts();
    let all: String = texts.values().map(String::as_str).collect();
    // The names in the tables of the reference: "| `name` | …".
    let reference = bakehouse_template::reference();
    let options = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let functions = bakehouse_template::json_functions().map(str::to_owned);
    let hcl = bakehouse_hcl::functions::names().map(str::to_owned);
    let wanted: Vec<String> = options.map(str::to_owned).chain(functions).chain(hcl).collect();
    assert!(wanted.len() > 250, "{}", wanted.len());
    let missing: Vec<&String> = wanted.iter().filter(|name| !has_word(&all, name)).collect();
    assert_eq!(missing, [] as [&String; 0], "no template uses them");
}

#[test]
fn the_templates_use_every_block_of_hcl() {
    let all: String = texts().into_values().collect();
    let blocks = [
        "packer",
        "required_plugins",
        "variable",
        "validation",
        "variables",
        "locals",
        "local",
        "data",
        "source",
        "build",
        "provisioner",
        "error-cleanup-provisioner",
        "post-processor",
        "post-processors",
        "dynamic",
        "content",
        "iterator",
        "for_each",
        "labels",
        "override",
        "only",
        "except",
        "continue_on_error",
    ];
    let missing: Vec<&str> = blocks.into_iter().filter(|block| !has_word(&all, block)).collect();
    assert_eq!(missing, [] as [&str; 0]);
}
