//! A template in HCL2 is read, or its mistakes are named: it never panics, and a mistake is always at a place in the
//! text.
#![no_main]

use std::{fs, path::PathBuf};

use bakehouse_template::{Context, LoadRequest, TemplateSource, load};
use libfuzzer_sys::{Corpus, fuzz_target};

thread_local! {
    /// Only files are read as HCL2.
    static FILE: PathBuf = std::env::temp_dir().join(format!("bakehouse-fuzz-{}.pkr.hcl", std::process::id()));
}

fuzz_target!(|text: &str| -> Corpus {
    let path = FILE.with(PathBuf::clone);
    if fs::write(&path, text).is_err() {
        return Corpus::Reject;
    }
    let context = Context { working_directory: "/nonexistent".into(), ..Context::default() };
    let loaded = load(&LoadRequest::new(TemplateSource::Path(path.clone()), context));
    let _ = fs::remove_file(&path);
    let diagnostics = match loaded {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems.errors,
    };
    for diagnostic in &diagnostics {
        let _ = (diagnostic.to_string(), diagnostic.position(), diagnostic.excerpt());
    }
    Corpus::Keep
});
