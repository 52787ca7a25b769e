//! Linters for CloudFormation and IAM. Exceptions are in the template, each with its
//! reason (`Metadata: checkov: skip`).

use bakehouse_tests::{template::path, tools};
use serde_json::Value;

/// Properties, values, references, cycles, policies and the actions in them: cfn-lint knows CloudFormation's own
/// schemas.
#[test]
fn cfn_lint_finds_nothing() {
    let Some(mut lint) = tools::command("cfn_lint_finds_nothing", "cfn-lint") else { return };
    let output = lint.args(["--include-checks", "I", "--"]).arg(path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

/// A check of the check: an action that does not exist, and a property that does not.
#[test]
fn cfn_lint_finds_what_is_wrong() {
    let Some(mut lint) = tools::command("cfn_lint_finds_what_is_wrong", "cfn-lint") else { return };
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("wrong.yaml");
    let text = std::fs::read_to_string(path()).unwrap();
    let changed = text.replace("ec2:DetachVolume", "ec2:DetachDisk").replace("VisibilityTimeout:", "Visibility:");
    std::fs::write(&wrong, changed).unwrap();
    let output = lint.args(["--include-checks", "I", "--"]).arg(&wrong).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("detachdisk"), "{said}");
    assert!(said.contains("'Visibility' was unexpected"), "{said}");
}

#[test]
fn checkov_finds_nothing_but_the_templates_exceptions() {
    let test = "checkov_finds_nothing_but_the_templates_exceptions";
    let Some(mut checkov) = tools::command(test, "checkov") else { return };
    // It looks for settings in the home directory and in the working directory: it is to find none.
    let directory = tempfile::tempdir().unwrap();
    checkov.env("HOME", directory.path()).current_dir(directory.path());
    checkov.args(["--framework", "cloudformation", "--skip-download", "--output", "json", "--file"]);
    let output = checkov.arg(path().canonicalize().unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
    let failed = report["results"]["failed_checks"].as_array().unwrap();
    let failed: Vec<String> = failed
        .iter()
        .map(|check| format!("{} {}: {}", check["check_id"], check["resource"], check["check_name"]))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // Something was looked at, and each excuse is for a check that would fail.
    assert!(report["summary"]["passed"].as_u64().unwrap() > 50, "{}", report["summary"]);
    let excuses = std::fs::read_to_string(path()).unwrap().matches("- id: CKV").count();
    assert_eq!(report["summary"]["skipped"].as_u64(), Some(excuses as u64), "{}", report["summary"]);
}
