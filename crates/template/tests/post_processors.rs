//! The post-processors and their chains.

mod common;

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{PostAction, PostProcessor, Script},
};
use common::{Fixture, messages, warnings, with_options};

fn template(post_processors: &str) -> String {
    with_options(r#""name": "web""#).replacen('{', &format!(r#"{{"post-processors": {post_processors}, "#), 1)
}

/// Returns the chains, and the directory that files are in.
fn chains(post_processors: &str) -> (Vec<Vec<PostProcessor>>, String) {
    let fixture = Fixture::new(&template(post_processors));
    let mut loaded = fixture.load().unwrap_or_else(|problems| panic!("{:?}", messages(&problems)));
    (loaded.builds.remove(0).post_processors, fixture.directory.path().display().to_string())
}

fn names(chains: &[Vec<PostProcessor>]) -> Vec<Vec<&str>> {
    chains.iter().map(|chain| chain.iter().map(|it| it.name.as_str()).collect()).collect()
}

#[test]
fn entries_are_types_objects_and_lists() {
    let (chains, _) = chains(
        r#"["manifest", {"type": "shell-local", "inline": ["a"], "name": "tell"},
        ["manifest", {"type": "checksum", "keep_input_artifact": true}], []]"#,
    );
    assert_eq!(names(&chains), [vec!["manifest"], vec!["tell"], vec!["manifest", "checksum"]]);
    assert_eq!(chains[2][1].keep_input_artifact, Some(true));
}

#[test]
fn manifest() {
    let (chains, here) = chains(
        r#"["manifest", {"type": "manifest", "filename": "out/{{build_name}}.json", "strip_path": true,
        "strip_time": true, "custom_data": {"b": "{{build `SourceAMI`}}", "a": 1}}]"#,
    );
    let data = |name: &str, value: &str| (name.to_owned(), DeferredTemplate(value.to_owned()));
    let expected = PostAction::Manifest {
        output: format!("{here}/out/web.json"),
        strip_time: true,
        custom_data: vec![data("b", "{{.SourceAMI}}"), data("a", "1")],
    };
    assert_eq!(chains[1][0].action, expected);
    let PostAction::Manifest { output, strip_time: false, .. } = &chains[0][0].action else { panic!() };
    assert_eq!(*output, format!("{here}/packer-manifest.json"));
}

#[test]
fn shell_local() {
    let (chains, _) =
        chains(r#"[{"type": "shell-local", "command": "echo {{build `SourceAMI`}}", "environment_vars": ["A=b"]}]"#);
    let PostAction::ShellLocal(shell) = &chains[0][0].action else { panic!() };
    assert_eq!(shell.scripts, [Script::Inline(vec![DeferredTemplate("echo {{.SourceAMI}}".into())])]);
    assert_eq!(shell.environment, [("A".into(), DeferredTemplate("b".into()))]);
}

#[test]
fn a_checksum_of_an_image_writes_nothing() {
    let checksum = r#"[{"type": "checksum", "checksum_types": ["sha256"], "output": "{{.ChecksumType}}.txt"}]"#;
    assert_eq!(chains(checksum).0[0][0].action, PostAction::Checksum);
    assert_eq!(warnings(&template(checksum)), ["`checksum` writes nothing: an image has no files"]);
}

#[test]
fn except_ends_a_chain() {
    let mut fixture = Fixture::new(&template(
        r#"[["manifest", {"type": "shell-local", "inline": ["a"], "name": "tell"}, "checksum"], "checksum"]"#,
    ));
    fixture.request.except = vec!["tell".into()];
    let loaded = fixture.load().unwrap();
    assert_eq!(names(&loaded.builds[0].post_processors), [vec!["manifest"], vec!["checksum"]]);
    assert_eq!(loaded.warnings.len(), 1, "only that of checksum: {:?}", loaded.warnings);
}

#[test]
fn those_of_other_builds_are_not_read() {
    let other = r#"[{"type": "vagrant", "only": ["other"]}, {"type": "artifice", "except": ["web"]}, "manifest"]"#;
    let two = template(other).replace(r#""builders": ["#, r#""builders": [{"type": "qemu", "name": "other"}, "#);
    assert_eq!(names(&Fixture::new(&two).load().unwrap().builds[0].post_processors), [["manifest"]]);
}

#[test]
fn what_cannot_be_used_is_refused() {
    for (post_processors, excerpt, message) in [
        (r#"["vagrant"]"#, "\"vagrant\"", "there is no post-processor \"vagrant\""),
        (
            r#"[["artifice"]]"#,
            "\"artifice\"",
            "the post-processor \"artifice\" cannot be used: it puts files in place of the images",
        ),
        (r#"[{"type": "manifest", "keep_input_artifact": "true"}]"#, "\"true\"", "`keep_input_artifact` is a string"),
        (r#"[{"type": "manifest", "only": "web"}]"#, "\"web\"", "`only` is a string"),
        (r#"[{"type": "manifest", "only": ["wob"]}]"#, "\"wob\"", "there is no builder \"wob\""),
        (r#"[{"type": "manifest", "override": {}}]"#, "\"override\"", "`override` is not an option of manifest"),
        (r#"[{"output": "x"}]"#, "{", "this post-processor has no type"),
        (r#"[{"type": "checksum", "checksum_types": ["crc"]}]"#, "\"crc\"", "there is no checksum \"crc\""),
        (r#"{"type": "manifest"}"#, r#"{"type": "manifest"}"#, "`post-processors` is an object"),
    ] {
        let problems = Fixture::new(&template(post_processors)).load().unwrap_err();
        assert_eq!(messages(&problems), [(excerpt.to_owned(), message.to_owned())], "{post_processors}");
    }
}
