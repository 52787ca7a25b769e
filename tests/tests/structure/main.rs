//! The shape of the source: no two modules of a package import each other, and the documents name what is there.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod modules;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use modules::Modules;
use tree::Tree;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The root files of every crate of the workspace: libraries, programs and test programs.
fn crate_roots() -> Vec<PathBuf> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, members) = manifest.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let packages = members.split(',').map(|member| member.trim().trim_matches('"')).filter(|member| !member.is_empty());
    let mut roots = Vec::new();
    for package in packages.map(|member| root().join(member)) {
        roots.extend(["src/lib.rs", "src/main.rs"].map(|file| package.join(file)));
        for entry in fs::read_dir(package.join("tests")).into_iter().flatten() {
            let path = entry.unwrap().path();
            roots.push(if path.is_dir() { path.join("main.rs") } else { path });
        }
    }
    roots.retain(|root| root.is_file() && root.extension().is_some_and(|extension| extension == "rs"));
    roots
}

#[test]
fn no_two_modules_import_each_other() {
    let roots = crate_roots();
    assert!(roots.len() > 30, "only {} crates found", roots.len());
    let mut found = String::new();
    for file in roots {
        for cycle in Modules::read(&file).unwrap().cycles() {
            found += &format!("\n{}\n", file.strip_prefix(root()).unwrap().display());
            for (from, to, path) in cycle.edges {
                found += &format!("  {from} uses {path} of {to}\n");
            }
        }
    }
    assert!(found.is_empty(), "modules that import each other:\n{found}");
}

/// That the test above can fail: what it has to see through.
#[test]
fn cycles_are_found_through_reexports_and_macros() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("lib.rs", "mod a; mod b; mod c; pub use a::A; #[cfg(test)] mod tests { use crate::c::C; }");
    write("a.rs", "use crate::b::B; pub struct A(B);");
    write("b.rs", "pub struct B; fn f() { println!(\"{}\", crate::A::NAME); }");
    write("c.rs", "use crate::A; pub struct C(A);");
    let cycles = Modules::read(&dir.path().join("lib.rs")).unwrap().cycles();
    assert_eq!(cycles.len(), 1);
    let edges: Vec<_> = cycles[0].edges.iter().map(|(from, to, _)| (from.as_str(), to.as_str())).collect();
    assert_eq!(edges, [("a", "b"), ("b", "a")]);
}

#[test]
fn documents_name_files_and_tests_that_exist() {
    let tree = Tree::read(&root());
    let documents: Vec<&str> = tree.documents().collect();
    assert!(documents.contains(&"ARCHITECTURE.md") && documents.len() > 20, "{documents:?}");
    let missing: Vec<_> =
        documents.iter().map(|name| (name, tree.missing(name))).filter(|(_, m)| !m.is_empty()).collect();
    assert!(missing.is_empty(), "named in a document, but not there: {missing:#?}");
}

#[test]
fn comments_fit_the_line_width() {
    assert_eq!(Tree::read(&root()).long_comments(), <[&str; 0]>::default());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.rs"), format!("//! {}\n//! | {}", "a".repeat(117), "a".repeat(117))).unwrap();
    assert_eq!(Tree::read(dir.path()).long_comments(), ["a.rs:1"]);
}

/// Such a file is right on one machine only.
#[test]
fn no_file_names_the_directory_of_the_clone() {
    let root = root();
    // A short path, such as `/work`, is in examples.
    if root.components().count() > 2 {
        let path = root.to_string_lossy();
        assert_eq!(Tree::read(&root).files_with_path_of(&path), <[&str; 0]>::default(), "{path}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plan.golden"), "file -> /home/me/bakehouse/out").unwrap();
    assert_eq!(Tree::read(dir.path()).files_with_path_of("/home/me/bakehouse"), ["plan.golden"]);
}

/// That `documents_name_files_and_tests_that_exist` can fail.
#[test]
fn files_links_and_tests_that_are_not_there_are_found() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.rs"), "fn root_pair_a() {}").unwrap();
    let text = "`a.rs`, `{a,b}.rs`, [a](a.rs#L1), [c](c.md), 'test(root_pair_a)', root_pair_d, `*_tests.rs`";
    fs::write(dir.path().join("d.md"), text).unwrap();
    assert_eq!(Tree::read(dir.path()).missing("d.md"), ["b.rs", "c.md", "root_pair_d"]);
}
