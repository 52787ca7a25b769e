//! Names and an outside for tests.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use bakehouse_hcl::{
    Budget, DirectoryEntry, Error, Evaluator, FileKind, Outside, Scope, Value, parse_expression, parse_template,
};

/// Names with given values.
pub struct Names(pub BTreeMap<String, Value>);

impl Scope for Names {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// A machine at 2026-11-22 21:22:09 UTC with a few files, whose random bytes count up.
#[derive(Default)]
pub struct Machine {
    pub files: BTreeMap<&'static str, &'static [u8]>,
    pub next: Cell<u8>,
}

impl Outside for Machine {
    fn now(&self) -> jiff::Timestamp {
        "2026-11-22T21:22:09.195Z".parse().unwrap()
    }

    fn random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.next.get();
            self.next.set(self.next.get().wrapping_add(1));
        }
    }

    fn working_directory(&self) -> &Path {
        Path::new("/work")
    }

    fn template_directory(&self) -> &Path {
        Path::new("/work/templates")
    }

    fn home_directory(&self) -> Option<PathBuf> {
        Some(PathBuf::from("/home/ann"))
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = path.to_str().and_then(|path| self.files.get(path));
        found.map(|bytes| bytes.to_vec()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn file_kind(&self, path: &Path) -> io::Result<FileKind> {
        if path.to_str().is_some_and(|path| self.files.contains_key(path)) {
            Ok(FileKind::File)
        } else if self.files.keys().any(|file| Path::new(file).starts_with(path)) {
            Ok(FileKind::Directory)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = BTreeMap::new();
        for file in self.files.keys() {
            if let Ok(rest) = Path::new(file).strip_prefix(path) {
                let mut parts = rest.iter();
                let name = parts.next().unwrap().to_str().unwrap().to_owned();
                entries.insert(name, if parts.next().is_some() { FileKind::Directory } else { FileKind::File });
            }
        }
        if entries.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(entries.into_iter().map(|(name, kind)| DirectoryEntry { name, kind }).collect())
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        match (name, arguments) {
            ("env", [Value::String(name)]) => Some(Ok(format!("value of {name}").into())),
            _ => None,
        }
    }

    fn function_names(&self) -> &[&str] {
        &["env"]
    }
}

/// The names that the tests use.
pub fn names() -> Names {
    let mut names = BTreeMap::new();
    let sample = r#"{
        name = "web"
        size = 8
        yes = true
        none = null
        list = ["a", "b", "c"]
        numbers = [3, 1, 2]
        tags = { Env = "prod", Name = "web" }
        disks = [{ name = "root", size = 8 }, { name = "data", size = 100 }]
    }"#;
    let sample = bakehouse_hcl::evaluate_literal(&parse_expression(sample).unwrap()).unwrap();
    names.insert("var".to_owned(), sample);
    let build = BTreeMap::from([("SourceAMI".to_owned(), Value::Deferred("{{.SourceAMI}}".to_owned()))]);
    names.insert("build".to_owned(), Value::Map(build));
    Names(names)
}

/// Evaluates an expression with [`names`].
pub fn evaluate(text: &str) -> Result<Value, Error> {
    evaluate_on(&Machine::default(), text)
}

/// Evaluates an expression with [`names`] on a machine.
pub fn evaluate_on(machine: &Machine, text: &str) -> Result<Value, Error> {
    let expression = parse_expression(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Evaluator::new(&names(), machine, &Budget::default()).evaluate(&expression)
}

/// Evaluates a template with [`names`].
pub fn evaluate_template(text: &str) -> Result<Value, Error> {
    let template = parse_template(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Evaluator::new(&names(), &Machine::default(), &Budget::default()).evaluate_template(&template)
}

/// Checks that each expression has the value of the expression beside it.
pub fn assert_values(table: &[(&str, &str)]) {
    let wrong = table.iter().filter(|(text, wanted)| evaluate(text) != evaluate(wanted) || evaluate(wanted).is_err());
    let wrong: Vec<String> = wrong
        .map(|(text, wanted)| format!("{text}\n    is     {:?}\n    wanted {:?}\n", evaluate(text), evaluate(wanted)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

/// Checks that each expression has an error at the text and with the message beside it.
pub fn assert_errors(table: &[(&str, &str, &str)]) {
    let mut wrong = String::new();
    for (text, at, message) in table {
        let described = match evaluate(text) {
            Ok(value) => format!("{value:?}"),
            Err(error) => {
                let help = error.help.map(|help| format!("; {help}")).unwrap_or_default();
                format!("{:?}: {}{help}", &text[error.span], error.message)
            }
        };
        let wanted = format!("{at:?}: {message}");
        if described != wanted {
            wrong += &format!("{text}\n    is     {described}\n    wanted {wanted}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
