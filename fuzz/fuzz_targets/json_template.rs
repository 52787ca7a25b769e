//! A template in JSON is read, or its mistakes are named: it never panics, and a mistake is always at a place in the
//! text.
#![no_main]

use bakehouse_template::{Context, LoadRequest, TemplateSource, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let template = TemplateSource::Text { name: "fuzz.json".to_owned(), text: text.to_owned() };
    let context = Context { working_directory: "/nonexistent".into(), ..Context::default() };
    let request = LoadRequest::new(template, context);
    let diagnostics = match load(&request) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems.errors,
    };
    for diagnostic in &diagnostics {
        let _ = (diagnostic.to_string(), diagnostic.position(), diagnostic.excerpt());
    }
});
