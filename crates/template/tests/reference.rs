//! The template reference has every option, as declared.

#[test]
fn the_reference_has_every_option() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/template-reference.md");
    let page = std::fs::read_to_string(path).expect("docs/template-reference.md can be read");
    let reference = bakehouse_template::reference();
    let missing: Vec<&str> = reference.lines().filter(|line| !page.lines().any(|known| known == *line)).collect();
    assert!(missing.is_empty(), "add to docs/template-reference.md:\n{}", missing.join("\n"));
}

#[test]
#[ignore = "prints the tables, to be pasted into docs/template-reference.md"]
fn print() {
    println!("{}", bakehouse_template::reference());
}
