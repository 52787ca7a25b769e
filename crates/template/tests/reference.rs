//! The reference for users has every option of the tables, as the tables have it.

#[test]
fn the_reference_has_every_option() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/template-reference.md");
    let page = std::fs::read_to_string(page).expect("docs/template-reference.md can be read");
    let reference = bakehouse_template::reference();
    let missing: Vec<&str> = reference.lines().filter(|line| !page.lines().any(|known| known == *line)).collect();
    assert!(missing.is_empty(), "add to docs/template-reference.md:\n{}", missing.join("\n"));
}

#[test]
#[ignore = "prints the tables, to be pasted into docs/template-reference.md"]
fn print() {
    println!("{}", bakehouse_template::reference());
}
