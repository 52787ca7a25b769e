//! The names that expressions refer to.

use std::{borrow::Cow, collections::BTreeMap};

use bakehouse_hcl as hcl;
use bakehouse_hcl::{Value, nearest};

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Known,
    /// It depends on a data source that is not asked: it stands for any value.
    Unknown,
    /// It depends on a data source that is not supported, which is an error only where it is used.
    Unsupported,
    /// It has no value, and why has been reported.
    Invalid,
}

/// The variables, locals and data sources, and the names that are always there.
#[derive(Default)]
pub(super) struct Names {
    values: BTreeMap<&'static str, Value>,
    /// By the whole name: `var.x`, `data.amazon-ami.base`.
    states: BTreeMap<String, State>,
}

/// Every root name, for messages.
pub(super) const ROOTS: [&str; 7] = ["var", "local", "data", "source", "build", "path", "packer"];

/// How many parts the name of a value has, its root included.
fn parts(root: &str) -> Option<usize> {
    match root {
        "var" | "local" => Some(2),
        "data" => Some(3),
        _ => None,
    }
}

impl Names {
    /// Returns names with `var`, `local` and `data`, all without values yet, and these.
    pub(super) fn new(fixed: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let empty = ["var", "local", "data"].map(|root| (root, Value::Map(BTreeMap::new())));
        Self { values: empty.into_iter().chain(fixed).collect(), states: BTreeMap::new() }
    }

    /// Adds a whole name such as `local.x`, which has no value yet.
    pub(super) fn declare(&mut self, name: &str) {
        self.states.insert(name.to_owned(), State::Invalid);
    }

    /// Sets the value of a name such as `var.x`.
    pub(super) fn set(&mut self, root: &'static str, path: &[&str], value: Value, state: State) {
        self.states.insert(format!("{root}.{}", path.join(".")), state);
        if state >= State::Unsupported {
            return;
        }
        let mut map = self.values.entry(root).or_insert_with(|| Value::Map(BTreeMap::new()));
        for name in path {
            let Value::Map(entries) = map else { return };
            map = entries.entry((*name).to_owned()).or_insert_with(|| Value::Map(BTreeMap::new()));
        }
        *map = value;
    }

    /// Returns the names and values of a group, such as `var`.
    pub(super) fn group(&self, root: &str) -> impl Iterator<Item = (&String, &Value)> {
        let group =
            self.values.get(root).and_then(|value| if let Value::Map(group) = value { Some(group) } else { None });
        group.into_iter().flatten()
    }

    /// Returns the state of what a reference names; `None` if there is no such name.
    pub(super) fn state(&self, path: &[String]) -> Option<State> {
        let root = path.first()?;
        match parts(root) {
            Some(count) if path.len() >= count => self.states.get(&path[..count].join(".")).copied(),
            // A whole group of values, as in `var[local.name]`.
            Some(_) => Some(State::Known),
            None => Some(State::Known),
        }
    }

    /// Whether there is such a name, `var.x`, with a value or without.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.states.contains_key(name)
    }

    /// Returns the message and the help for a reference to a name that does not exist.
    pub(super) fn undefined(&self, path: &[String]) -> (String, String) {
        let root = path.first().map_or("", String::as_str);
        let name = path[..path.len().min(parts(root).unwrap_or(1))].join(".");
        // Without the root, which would make all names near each other.
        let known = self.states.keys().filter_map(|key| key.strip_prefix(root)?.strip_prefix('.'));
        let near = name.split_once('.').and_then(|(_, rest)| nearest(rest, known));
        let declare = match root {
            "var" => format!("variable \"{}\" {{ … }}", path.get(1).map_or("…", String::as_str)),
            "local" => format!("locals {{ {} = … }}", path.get(1).map_or("…", String::as_str)),
            _ => format!(
                "data \"{}\" \"{}\" {{ … }}",
                path.get(1).map_or("…", String::as_str),
                path.get(2).map_or("…", String::as_str)
            ),
        };
        let other_root = ["var", "local"].iter().find(|other| {
            **other != root && path.get(1).is_some_and(|name| self.is_declared(&format!("{other}.{name}")))
        });
        let help = match (near, other_root) {
            (_, Some(other)) => format!("Did you mean `{other}.{}`?", path[1]),
            (Some(near), None) => format!("Did you mean `{root}.{near}`?"),
            (None, None) => format!("Declare it: {declare}"),
        };
        let what = match root {
            "var" => "variable",
            "local" => "local",
            _ => "data source",
        };
        (format!("there is no {what} `{name}`"), help)
    }

    /// Returns the message and the help for a reference to a value that needs an unsupported data source.
    pub(super) fn unsupported(&self, path: &[String]) -> (String, String) {
        let help = "The data sources are amazon-ami, amazon-parameterstore, amazon-secretsmanager and null.".to_owned();
        if path.first().is_some_and(|root| root == "data") {
            let kind = path.get(1).map_or("", String::as_str);
            return (format!("there is no data source \"{kind}\""), help);
        }
        (format!("`{}` depends on a data source that is not supported", path[..path.len().min(2)].join(".")), help)
    }
}

/// The names at one place of the template.
pub(super) struct Scope<'a> {
    pub(super) names: &'a Names,
    /// `source` and `build`, where they can be used.
    pub(super) local: &'a BTreeMap<&'static str, Value>,
    pub(super) iterators: &'a [(String, Value)],
}

impl hcl::Scope for Scope<'_> {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        let iterator = self.iterators.iter().rev().find(|(iterator, _)| iterator == name).map(|(_, value)| value);
        iterator.or_else(|| self.local.get(name)).or_else(|| self.names.values.get(name)).map(Cow::Borrowed)
    }

    fn names(&self) -> Vec<&str> {
        let iterators = self.iterators.iter().map(|(name, _)| name.as_str());
        iterators.chain(self.local.keys().copied()).chain(self.names.values.keys().copied()).collect()
    }

    fn missing(&self, path: &[&str]) -> Option<(String, Option<String>)> {
        let [root] = path else { return None };
        let help = match *root {
            "build" => "It can be used in provisioners and post-processors only.".to_owned(),
            "source" => "It can be used in sources, provisioners and post-processors only.".to_owned(),
            "each" => "In the content of a `dynamic` block, write the block's type: tag.value.".to_owned(),
            "count" | "self" | "terraform" | "module" => "This is a name of Terraform's, not of Packer's.".to_owned(),
            name => match nearest(name, self.names()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("A string is written in quotes: \"{name}\". Names begin with {}.", ROOTS.join(", ")),
            },
        };
        let message = match *root {
            "build" | "source" => format!("`{root}` cannot be used here"),
            name => format!("there is no `{name}`"),
        };
        Some((message, Some(help)))
    }
}
