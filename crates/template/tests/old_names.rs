//! What `packer fix` replaces is taken, and the name of today is told.

mod common;

use bakehouse_protocol::DeferredTemplate;
use common::{build, load_text, mistake, warnings, with_options, with_step};

#[test]
fn old_functions_and_fields_are_taken() {
    let template = with_options(
        r#""ami_description": "é \u00e9 {{ .CreateTime }} {{clean_image_name .SourceAMIName}} {{isotime \"15:04\" | clean_ami_name}}""#,
    );
    let expected = "é é 2026-11-22T21:22:09Z {{clean_resource_name .SourceAMIName}} 21-22";
    assert_eq!(build(&template).image.description, DeferredTemplate(expected.into()));
    let Ok(loaded) = load_text(&template) else { panic!() };
    let told: Vec<(String, String)> =
        loaded.warnings.iter().map(|it| (it.excerpt().unwrap_or_default().to_owned(), it.to_string())).collect();
    let function = |old: &str| (old.to_owned(), format!("`{old}` is the old name of `clean_resource_name`"));
    assert_eq!(
        told,
        [
            (".CreateTime".to_owned(), "`.CreateTime` is the old form of `isotime`".to_owned()),
            function("clean_image_name"),
            function("clean_ami_name")
        ]
    );
}

#[test]
fn a_mistake_beside_an_old_name_has_its_place() {
    let template = with_options(r#""ami_description": "{{isotime | clean_ami_name}} é {{nope}}""#);
    assert_eq!(mistake(&template), ("nope".to_owned(), "there is no function `nope`".to_owned()));
}

#[test]
fn old_options_are_taken() {
    let template = with_options(r#""enhanced_networking": true"#);
    assert_eq!(build(&template).image.attributes.ena_support, Some(true));
    let step = with_step(r#"{"type": "ansible-local", "playbook_file": "setup.sh", "galaxycommand": "g"}"#);
    assert_eq!(
        warnings(&step),
        ["`galaxycommand` is the old name of `galaxy_command`", "`galaxy_command` has no effect without `galaxy_file`"]
    );
}
