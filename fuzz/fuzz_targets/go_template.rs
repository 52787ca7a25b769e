//! A Go template is parsed and rendered, or refused: it never panics.
#![no_main]

use std::collections::BTreeMap;

use bakehouse_gotemplate::{Value, deferred};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let data = BTreeMap::from([("SourceAMI".to_owned(), Value::String("ami-0123".to_owned()))]);
    let _ = deferred::render(text, &data, 1_795_382_528_000);
});
