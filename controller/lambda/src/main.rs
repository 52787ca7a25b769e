//! bootstrap.

fn main() {}
