//! All functions, by name.

use super::{
    encoding, files, function::Function, hashes, json, lists, maps, network, numbers, patterns, printf, sets, strings,
    times, yaml,
};

const TABLES: [&[Function]; 14] = [
    encoding::FUNCTIONS,
    files::FUNCTIONS,
    hashes::FUNCTIONS,
    json::FUNCTIONS,
    lists::FUNCTIONS,
    maps::FUNCTIONS,
    network::FUNCTIONS,
    numbers::FUNCTIONS,
    patterns::FUNCTIONS,
    printf::FUNCTIONS,
    sets::FUNCTIONS,
    strings::FUNCTIONS,
    times::FUNCTIONS,
    yaml::FUNCTIONS,
];

/// Returns the function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// The names of the functions of this crate, but for `try`, `can`, `convert` and `templatefile`.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.name)
}

fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.into_iter().flatten()
}
