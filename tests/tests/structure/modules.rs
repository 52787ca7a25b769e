//! Which modules of a package use which others, read from the source: what the test that no two import each other
//! looks at.
//!
//! An edge goes from a module to the module that *defines* what it uses, through re-exports (`pub use`), which are no
//! edges themselves. Items for tests (`#[cfg(test)]`) do not count. Method calls name no module and are not seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility,
    visit::{self, Visit},
};

/// A module's path from the root of its crate; the root's is empty.
type ModulePath = Vec<String>;

/// How deep a name is followed through re-exports.
const DEPTH: usize = 16;

/// The modules of one crate, and what each uses.
#[derive(Debug, Default)]
pub struct Modules {
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Debug, Default)]
struct Module {
    /// What it defines itself, in the namespace of types or of values.
    items: BTreeSet<String>,
    /// The names that it imports or re-exports, with their paths.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Every path that it mentions.
    paths: BTreeSet<Vec<String>>,
}

/// Modules that import each other, directly or through others.
#[derive(Debug)]
pub struct Cycle {
    /// From, to, and the path in the source that makes the edge.
    pub edges: Vec<(String, String, String)>,
}

impl Modules {
    /// Reads the crate whose root is this file.
    ///
    /// # Errors
    /// A file that can't be read or parsed.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut modules = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_path_buf();
        modules.read_file(root, &folder, Vec::new())?;
        Ok(modules)
    }

    /// `folder`: where the files of its child modules are.
    fn read_file(&mut self, file: &Path, folder: &Path, path: ModulePath) -> Result<(), String> {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        self.read_items(parsed.items, folder, path)
    }

    fn read_items(&mut self, items: Vec<Item>, folder: &Path, path: ModulePath) -> Result<(), String> {
        let mut module = Module::default();
        let mut children = Vec::new();
        for item in items {
            match item {
                Item::Mod(child) if !is_test(&child.attrs) => children.push(child),
                item => {
                    let mut collector = Collector { module: &mut module };
                    collector.visit_item(&item);
                }
            }
        }
        self.modules.insert(path.clone(), module);
        children.into_iter().try_for_each(|child| self.read_child(child, folder, &path))
    }

    fn read_child(&mut self, child: ItemMod, folder: &Path, parent: &[String]) -> Result<(), String> {
        let name = child.ident.to_string();
        let path = [parent, std::slice::from_ref(&name)].concat();
        let own = folder.join(&name);
        if let Some((_, items)) = child.content {
            return self.read_items(items, &own, path);
        }
        let beside = folder.join(format!("{name}.rs"));
        let (file, folder): (PathBuf, PathBuf) = match path_attribute(&child.attrs) {
            Some(given) if given.ends_with("mod.rs") => {
                let file = folder.join(given);
                let beside = file.parent().unwrap_or(folder).to_owned();
                (file, beside)
            }
            Some(given) => (folder.join(given), own),
            None if beside.is_file() => (beside, own),
            None => (own.join("mod.rs"), own),
        };
        self.read_file(&file, &folder, path)
    }

    /// Returns the groups of modules that import each other, as few as there are.
    pub fn cycles(&self) -> Vec<Cycle> {
        let mut edges: BTreeMap<&ModulePath, BTreeMap<ModulePath, String>> = BTreeMap::new();
        for (path, module) in &self.modules {
            for used in &module.paths {
                if let Some(target) = self.defining(path, used, 0)
                    && target != *path
                {
                    edges.entry(path).or_default().entry(target).or_insert_with(|| used.join("::"));
                }
            }
        }
        let next = |from: &ModulePath| edges.get(from).into_iter().flat_map(|to| to.keys());
        let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = self
            .modules
            .keys()
            .map(|from| {
                let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
                while let Some(at) = open.pop() {
                    open.extend(next(at).filter(|to| seen.insert(*to)));
                }
                (from, seen)
            })
            .collect();
        let mut grouped = BTreeSet::new();
        let mut cycles = Vec::new();
        for (from, to) in reached.iter().filter(|(from, to)| to.contains(**from)) {
            if grouped.contains(from) {
                continue;
            }
            let group: BTreeSet<_> = to.iter().filter(|other| reached[**other].contains(*from)).copied().collect();
            grouped.extend(group.iter().copied());
            let inside = edges.iter().filter(|(from, _)| group.contains(**from)).flat_map(|(from, to)| {
                let to = to.iter().filter(|(to, _)| group.contains(to));
                to.map(|(to, used)| (shown(from), shown(to), used.clone()))
            });
            cycles.push(Cycle { edges: inside.collect() });
        }
        cycles
    }

    /// Returns the module that defines what `used` names in `from`; none if it is a module, or another crate's.
    fn defining(&self, from: &[String], used: &[String], depth: usize) -> Option<ModulePath> {
        if depth > DEPTH {
            return None;
        }
        let mut at = from.to_vec();
        let mut rest = used;
        let mut is_start = true;
        while let Some((segment, after)) = rest.split_first() {
            match segment.as_str() {
                "crate" if is_start => at.clear(),
                "self" | "Self" if is_start => {}
                "super" => drop(at.pop()?),
                name => {
                    let module = self.modules.get(&at)?;
                    let child = [at.as_slice(), &[name.to_owned()]].concat();
                    if self.modules.contains_key(&child) {
                        at = child;
                    } else if module.items.contains(name) {
                        return Some(at);
                    } else if let Some(import) = module.imports.get(name)
                        && !(import.first() == Some(segment) && at == from && used == import)
                    {
                        let import = self.within(&at, import, depth + 1)?;
                        return self.defining(&[], &[import.as_slice(), after].concat(), depth + 1);
                    } else {
                        let found = module.globs.iter().find_map(|glob| {
                            let glob = self.within(&at, glob, depth + 1)?;
                            self.defining(&[], &[glob.as_slice(), rest].concat(), depth + 1)
                        });
                        return found;
                    }
                }
            }
            is_start = false;
            rest = after;
        }
        None
    }

    /// Returns a path as seen from the root: that of an import is relative to its module. None for another crate's.
    fn within(&self, at: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let crate_root = std::slice::from_ref(path.first()?);
        match crate_root[0].as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([at, &path[1..]].concat()),
            "super" => {
                let ups = path.iter().take_while(|segment| *segment == "super").count();
                Some([at.get(..at.len().checked_sub(ups)?)?, &path[ups..]].concat())
            }
            name => {
                let child = [at, crate_root].concat();
                let is_own = self.modules.contains_key(&child)
                    || self.modules.get(at)?.items.contains(name)
                    || (path.len() > 1
                        && self.modules.get(at)?.imports.get(name).is_some_and(|to| to[..] != path[..1]));
                if !is_own || depth > DEPTH {
                    return None;
                }
                Some([at, path].concat())
            }
        }
    }
}

fn shown(path: &[String]) -> String {
    if path.is_empty() { "(root)".to_owned() } else { path.join("::") }
}

/// Collects what one module defines, imports and mentions.
struct Collector<'a> {
    module: &'a mut Module,
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Impl(item) => (&item.attrs, None),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Mod(item) => (&item.attrs, None),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Union(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            _ => return,
        };
        if is_test(attributes) {
            return;
        }
        self.module.items.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        self.add_use(&item.tree, &mut Vec::new(), is_reexport);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.module.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        // What is within is tokens only: every `a::b` of them may be a path.
        let text = call.tokens.to_string().replace(" :: ", "::");
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let paths = words.map(|word| word.trim_matches(':')).filter(|word| word.contains("::"));
        self.module.paths.extend(paths.map(|path| path.split("::").map(str::to_owned).collect()));
        visit::visit_macro(self, call);
    }
}

impl Collector<'_> {
    fn add_use(&mut self, tree: &UseTree, before: &mut Vec<String>, is_reexport: bool) {
        let depth = before.len();
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_use(&path.tree, before, is_reexport);
            }
            UseTree::Name(name) if name.ident == "self" => {
                let name = before.last().cloned().unwrap_or_default();
                self.add_import(name, before.clone(), is_reexport);
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                before.push(name.clone());
                self.add_import(name, before.clone(), is_reexport);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    before.push(rename.ident.to_string());
                }
                self.add_import(rename.rename.to_string(), before.clone(), is_reexport);
            }
            UseTree::Glob(_) => self.module.globs.push(before.clone()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, before, is_reexport);
                }
            }
        }
        before.truncate(depth);
    }

    fn add_import(&mut self, name: String, path: Vec<String>, is_reexport: bool) {
        if !is_reexport {
            self.module.paths.insert(path.clone());
        }
        self.module.imports.insert(name, path);
    }
}

/// Whether an item is there in tests only.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
    })
}

/// The file that `#[path = "…"]` gives.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(given) if given.path.is_ident("path") => match &given.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}
