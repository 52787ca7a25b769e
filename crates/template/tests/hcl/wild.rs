//! Templates as people write them.

use std::path::{Path, PathBuf};

use bakehouse_template::{Context, LoadRequest, TemplateSource, load};

use crate::common::NOW;

fn request(directory: &str, template: &str) -> LoadRequest {
    let here: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hcl/inputs").join(directory);
    let now = bakehouse_protocol::Timestamp(NOW);
    let context = Context { now, working_directory: here, ..Context::default() };
    LoadRequest::new(TemplateSource::Path(template.into()), context)
}

#[test]
fn blocks_inside_packer_belong_at_the_root() {
    let problems = load(&request("nested", "pilot.pkr.hcl")).unwrap_err();
    let found: Vec<(String, String, Option<String>)> = problems
        .errors
        .iter()
        .map(|it| (it.excerpt().unwrap().to_owned(), it.to_string(), it.help_text().map(str::to_owned)))
        .collect();
    let help = Some("It belongs at the root of the template, outside of all other blocks.".to_owned());
    assert_eq!(
        found,
        [
            ("source".to_owned(), "`source` is not a block of `packer`".to_owned(), help.clone()),
            ("build".to_owned(), "`build` is not a block of `packer`".to_owned(), help),
        ]
    );
}
