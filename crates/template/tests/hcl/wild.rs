//! Templates as people write them.

use std::path::{Path, PathBuf};

use bakehouse_protocol::spec::{Action, PostAction, Script};
use bakehouse_template::{Context, LoadRequest, TemplateSource, load};

use crate::common::{NOW, messages};

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
#[test]
fn a_directory_of_several_builders() {
    let mut request = request("harbor", ".");
    request.only = vec!["amazon-chroot.*".to_owned()];
    let loaded = load(&request).unwrap_or_else(|problems| panic!("{:#?}", messages(&problems)));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["these mappings replace all of the source's"]);
    assert_eq!(loaded.skipped, ["amazon-ebssurrogate.harbor-arm", "parallels-iso.harbor-desk", "qemu.harbor-desk"]);
    let spec = &loaded.builds[0];
    assert_eq!(spec.image.name, "harbor 9.4 20261122212209 x86_64");
    assert_eq!(spec.image.description.0, "Harbor 9.4 (X86_64), the 4th of the nines");
    assert_eq!(spec.image.tags.iter().map(|(_, value)| value.0.as_str()).next_back(), Some("x86_64"));
    assert!(spec.image.tags.iter().any(|(key, value)| (key.0.as_str(), value.0.as_str()) == ("Minor", "4")));
    assert_eq!(spec.image.block_device_mappings.len(), 1);
    assert!(matches!(spec.provisioners[0].action, Action::Ansible(_)));
    let Action::Shell(shell) = &spec.provisioners[1].action else { panic!() };
    assert!(matches!(&shell.scripts[0], Script::Inline(lines) if lines[0].0 == "grep 9.4 /etc/harbor"));
    assert_eq!(loaded.files.len(), 5);
}

#[test]
fn without_a_selection_other_builders_are_told() {
    let loaded = load(&request("harbor", ".")).unwrap_or_else(|problems| panic!("{:#?}", messages(&problems)));
    assert_eq!((loaded.builds.len(), loaded.skipped.len(), loaded.warnings.len()), (1, 3, 4));
}

#[test]
fn a_file_with_a_data_source_and_a_manifest() {
    let mut request = request("crates", "crate.pkr.hcl");
    request.context.environment.insert("CRATE_REGION".to_owned(), "eu-north-1".to_owned());
    let loaded = load(&request).unwrap_or_else(|problems| panic!("{:#?}", messages(&problems)));
    let spec = &loaded.builds[0];
    assert_eq!(spec.region.as_ref().unwrap().as_str(), "eu-north-1");
    assert_eq!(spec.image.name, "crates-0.9.3");
    assert!(spec.image.tags.iter().any(|(key, value)| key.0 == "made_from" && value.0 == "{{ .SourceAMIName }}"));
    assert!(
        matches!(&spec.post_processors[0][0].action, PostAction::Manifest { output, .. } if output.ends_with("/crates.manifest.json"))
    );
    let Action::Shell(shell) = &spec.provisioners[2].action else { panic!() };
    assert!(matches!(&shell.scripts[0], Script::Inline(lines) if lines[1].0.contains("|eu-north-1.depot.invalid|g' ")));
    assert_eq!(spec.provisioners.len(), 4);
}
