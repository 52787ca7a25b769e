//! What is written: what the documents name (source files, tests, other documents), how wide comments are, and whether
//! a file holds only in the directory where it was made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The files of a source tree, by their paths from its root.
pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<String>,
    /// The text of each Rust file, by its path.
    source: BTreeMap<String, String>,
}

impl Tree {
    /// Reads a source tree, without hidden directories and what was built.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self { root: root.to_owned(), files: Vec::new(), source: BTreeMap::new() };
        let mut directories = vec![root.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let (path, name) = (entry.path(), entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    if name != "target" && !name.to_string_lossy().starts_with('.') {
                        directories.push(path);
                    }
                    continue;
                }
                let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if file.ends_with(".rs") {
                    tree.source.insert(file.clone(), fs::read_to_string(&path).unwrap());
                }
                tree.files.push(file);
            }
        }
        tree
    }

    /// Returns the documents, without the history, which names what was.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str).filter(|file| file.ends_with(".md") && *file != "CHANGELOG.md")
    }

    /// Returns the comments that are longer than a line of code may be, as `FILE:LINE`. rustfmt leaves them alone.
    pub(crate) fn long_comments(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (file, text) in &self.source {
            for (number, line) in (1..).zip(text.lines()) {
                let text_of_line = line.trim_start();
                let is_table = ["// |", "//! |", "/// |"].iter().any(|table| text_of_line.starts_with(table));
                if text_of_line.starts_with("//") && !is_table && line.chars().count() > 120 {
                    found.push(format!("{file}:{number}"));
                }
            }
        }
        found
    }

    /// Returns the text files that name the directory of the tree, such as an expected output that a test has written.
    pub(crate) fn files_with_path_of(&self, root: &str) -> Vec<&str> {
        let names_root = |file: &&str| fs::read_to_string(self.root.join(file)).is_ok_and(|text| text.contains(root));
        self.files.iter().map(String::as_str).filter(names_root).collect()
    }

    /// Returns what a document names and the tree does not have.
    pub(crate) fn missing(&self, document: &str) -> Vec<String> {
        let text = fs::read_to_string(self.root.join(document)).unwrap();
        let directory = self.root.join(document).parent().unwrap().to_owned();
        let mut missing = Vec::new();
        for quoted in text.split('`').skip(1).step_by(2).filter(|quoted| quoted.ends_with(".rs")) {
            missing.extend(alternatives(quoted).into_iter().filter(|file| !self.has_file(file)));
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !link.is_empty() && !link.contains("://") && !directory.join(link).exists() {
                missing.push(link.to_owned());
            }
        }
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        for test in words.filter(|word| word.starts_with("root_pair_")) {
            let definition = format!("fn {test}(");
            if !self.source.values().any(|text| text.contains(&definition)) {
                missing.push(test.to_owned());
            }
        }
        missing
    }

    /// Returns whether a file's path ends like this. Patterns are not looked up.
    fn has_file(&self, end: &str) -> bool {
        end.contains(['*', ' ', '<']) || self.files.iter().any(|file| format!("/{file}").ends_with(&format!("/{end}")))
    }
}

/// Returns the paths that `a/{b,c}.rs` stands for.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((inner, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    inner.split(',').map(|one| format!("{before}{one}{after}")).collect()
}
