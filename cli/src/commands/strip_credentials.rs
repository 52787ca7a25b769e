//! What a template says of how AWS is reached. A stack reaches it with a role of its own and uses none of that, which
//! is said; and its keys do not go into the bundle if the template can do without them.

use std::{collections::BTreeMap, io, path::Path};

use bakehouse_bundle::{Limits, Manifest, PackRequest, Packed, remove, unpack};
use bakehouse_protocol::access::Access;
use bakehouse_template::{Context, LoadRequest, Loaded, TemplateSource, load};

use crate::{report::CliError, templates::Read};

/// Packs a template and the files that it names; and what is to be said of options that a stack does not use.
pub(super) fn pack(order: PackRequest, read: &Read) -> Result<(Packed, Vec<String>), CliError> {
    let secrets = secrets(&read.loaded.access);
    let bare = if secrets.is_empty() { None } else { without(&order, &secrets, read)? };
    let is_bare = bare.is_some();
    let packed = bare.map_or_else(|| bakehouse_bundle::pack(&order), Ok)?;
    Ok((packed, notes(&read.loaded.access, is_bare)))
}

/// The values that only whoever signs with them needs.
fn secrets(all: &[Access]) -> Vec<String> {
    let mut secrets: Vec<String> = Vec::new();
    for access in all {
        if let Some(keys) = &access.keys {
            // A key without its secret would be a mistake of the template: both go.
            secrets.extend([keys.access_key.clone(), keys.secret_key.reveal().to_owned()]);
            secrets.extend(keys.token.iter().map(|token| token.reveal().to_owned()));
        }
        let external = access.assume_role.iter().filter_map(|role| role.external_id.as_ref());
        secrets.extend(external.map(|id| id.reveal().to_owned()));
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

/// The same bundle without these values, if there is one from which the controller loads the same builds. That is tried
/// as the controller does it, so nothing rests on how a template hands a value on.
fn without(order: &PackRequest, secrets: &[String], read: &Read) -> Result<Option<Packed>, CliError> {
    let Some(bare) = emptied(order, secrets) else { return Ok(None) };
    let packed = bakehouse_bundle::pack(&bare)?;
    let failed = |error: io::Error| CliError::failed(format!("making a temporary directory: {error}"));
    let home = tempfile::tempdir().map_err(failed)?;
    let dir = home.path().join("bundle");
    let manifest = unpack(packed.bytes.as_slice(), &dir, &Limits::default())?;
    let loaded = loaded(&dir, &manifest, &read.context);
    // What must not be shown is told to the agents, too; what they are not told they can't show.
    let builds = |loaded: &Loaded| {
        let mut builds = loaded.builds.clone();
        builds.iter_mut().for_each(|spec| spec.sensitive.retain(|value| !secrets.contains(value)));
        builds
    };
    let is_same = loaded
        .is_some_and(|loaded| builds(&loaded) == builds(&read.loaded) && self::secrets(&loaded.access).is_empty());
    let is_clean = !holds(&dir, secrets).map_err(failed)? && !is_in(&serde_json::to_string(&manifest)?, secrets);
    remove(&dir).map_err(failed)?;
    Ok((is_same && is_clean).then_some(packed))
}

/// Each of these values left empty, wherever a template's author writes one down.
fn emptied(order: &PackRequest, secrets: &[String]) -> Option<PackRequest> {
    let mut bare = order.clone();
    let full = |path: &Path| order.working_directory.join(path);
    // What variable files say goes among the variables, where a value can be left out.
    let mut vars = BTreeMap::new();
    for file in &order.var_files {
        let text = std::fs::read_to_string(full(file)).ok()?;
        vars.extend(serde_json::from_str::<BTreeMap<String, String>>(&text).ok()?);
    }
    vars.append(&mut bare.vars);
    bare.vars = vars;
    bare.var_files.clear();
    let values = bare.vars.values_mut().chain(bare.environment.values_mut());
    values.filter(|value| secrets.contains(value)).for_each(String::clear);
    let mut text = match bare.text {
        Some(text) => text,
        None => std::fs::read_to_string(full(&order.template)).ok()?,
    };
    for secret in secrets {
        text = text.replace(&serde_json::to_string(secret).ok()?, "\"\"");
    }
    bare.text = Some(text);
    Some(bare)
}

/// What the controller finds in a bundle.
fn loaded(dir: &Path, manifest: &Manifest, context: &Context) -> Option<Loaded> {
    let context = Context { environment: manifest.environment.clone(), root: dir.to_owned(), ..context.clone() };
    let request = LoadRequest {
        vars: manifest.vars.clone().into_iter().collect(),
        var_files: manifest.var_files.iter().map(Into::into).collect(),
        ..LoadRequest::new(TemplateSource::Path((&manifest.template).into()), context)
    };
    load(&request).ok()
}

fn is_in(text: &str, secrets: &[String]) -> bool {
    secrets.iter().any(|secret| text.contains(secret.as_str()))
}

/// Whether one of these values is in a file of the bundle, such as one that a step uploads.
fn holds(dir: &Path, secrets: &[String]) -> io::Result<bool> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let found = if kind.is_dir() {
            holds(&entry.path(), secrets)?
        } else {
            kind.is_file() && is_in(&String::from_utf8_lossy(&std::fs::read(entry.path())?), secrets)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A line for each option that a stack does not use.
fn notes(all: &[Access], is_bare: bool) -> Vec<String> {
    let mut notes = Vec::new();
    for (option, secret) in all.iter().flat_map(options) {
        let of_secret = match secret {
            None => String::new(),
            Some(what) if is_bare => format!("; {what} is left out of the bundle"),
            Some(what) => format!(
                "; {what} could not be left out of the bundle, where whoever may read the stack's bucket can read it: take \
                 it out of what is submitted"
            ),
        };
        let line = format!("`{option}` is not used: a stack reaches AWS with its own role{of_secret}");
        if !notes.contains(&line) {
            notes.push(line);
        }
    }
    notes
}

/// The options that a builder gives, each with what of it is secret.
fn options(access: &Access) -> Vec<(&'static str, Option<&'static str>)> {
    // Named one by one: an option that is added must be told, too.
    let Access {
        keys,
        profile,
        shared_credentials_file,
        assume_role: role,
        custom_endpoint_ec2,
        max_retries,
        mfa_code,
        decode_authorization_messages,
        insecure_skip_tls_verify,
        vault_aws_engine,
    } = access;
    let (keys, role) = (keys.as_ref(), role.as_ref());
    let external = role.is_some_and(|role| role.external_id.is_some());
    let value = Some("its value");
    [
        (keys.is_some(), "access_key", value),
        (keys.is_some(), "secret_key", value),
        (keys.is_some_and(|keys| keys.token.is_some()), "token", value),
        (profile.is_some(), "profile", None),
        (shared_credentials_file.is_some(), "shared_credentials_file", None),
        (role.is_some(), "assume_role", external.then_some("its `external_id`")),
        (custom_endpoint_ec2.is_some(), "custom_endpoint_ec2", None),
        (max_retries.is_some(), "max_retries", None),
        (mfa_code.is_some(), "mfa_code", None),
        (*decode_authorization_messages, "decode_authorization_messages", None),
        (*insecure_skip_tls_verify, "insecure_skip_tls_verify", None),
        (vault_aws_engine.is_some(), "vault_aws_engine", None),
    ]
    .into_iter()
    .filter(|(is_given, ..)| *is_given)
    .map(|(_, option, secret)| (option, secret))
    .collect()
}

#[cfg(test)]
mod tests {
    use bakehouse_bundle::source_files;
    use tempfile::TempDir;

    use super::*;
    use crate::{args::Variables, templates};

    /// A place with a template whose builder has these options and whose step has this command.
    struct Author {
        dir: TempDir,
        vars: Vec<(String, String)>,
        files: Vec<&'static str>,
    }

    impl Author {
        fn new(options: &str, variables: &str, command: &str) -> Self {
            let dir = TempDir::new().unwrap();
            let sensitive = if variables.contains("secret") { r#"["secret"]"# } else { "[]" };
            let template = format!(
                r#"{{"variables": {{{variables}}}, "sensitive-variables": {sensitive}, "builders": [{{"type": "amazon-chroot", "ami_name": "web",
                "source_ami": "ami-12345678", {options}}}], "provisioners": [{{"type": "shell", "inline": ["{command}"]}}]}}"#
            );
            std::fs::write(dir.path().join("web.json"), template).unwrap();
            Self { dir, vars: vec![], files: vec![] }
        }

        /// What is packed and said, and all that is in the bundle, as text.
        fn packs(&self) -> (Vec<String>, String) {
            let directory = self.dir.path();
            let variables =
                Variables { vars: self.vars.clone(), var_files: self.files.iter().map(Into::into).collect() };
            let read = templates::read_text(Path::new("web.json"), &variables, directory).unwrap();
            let order = PackRequest {
                recipe: "web".into(),
                template: "web.json".into(),
                working_directory: directory.to_owned(),
                vars: variables.vars.into_iter().collect(),
                var_files: variables.var_files,
                files: source_files(&read.loaded.builds),
                ..PackRequest::default()
            };
            let (packed, notes) = pack(order, &read).unwrap();
            let dir = directory.join("unpacked");
            let manifest = unpack(packed.bytes.as_slice(), &dir, &Limits::default()).unwrap();
            let loaded = loaded(&dir, &manifest, &read.context).unwrap();
            assert_eq!(loaded.builds[0].provisioners, read.loaded.builds[0].provisioners);
            let mut all = serde_json::to_string(&manifest).unwrap();
            for entry in packed.entries {
                all.push_str(&std::fs::read_to_string(dir.join(entry.path)).unwrap());
            }
            (notes, all)
        }
    }

    const KEYS: &str = r#""access_key": "AKIDEXAMPLE", "secret_key": "wJalr/x", "token": "FwoGZ""#;

    #[test]
    fn keys_are_said_not_to_be_used_and_stay_here() {
        let (notes, bundle) = Author::new(KEYS, "", "true").packs();
        let line = |option| {
            format!(
                "`{option}` is not used: a stack reaches AWS with its own role; its value is left out of the bundle"
            )
        };
        assert_eq!(notes, ["access_key", "secret_key", "token"].map(line));
        for secret in ["AKIDEXAMPLE", "wJalr", "FwoGZ"] {
            assert!(!bundle.contains(secret), "{bundle}");
        }
    }

    #[test]
    fn keys_that_come_by_variables_stay_here_too() {
        let given = r#""access_key": "{{user `key`}}", "secret_key": "{{user `secret`}}""#;
        let mut author =
            Author::new(given, r#""key": "AKIDEXAMPLE", "secret": "", "site": """#, "echo {{user `site`}}");
        author.vars.push(("secret".into(), "wJalr".into()));
        let (notes, bundle) = author.packs();
        assert_eq!(notes.len(), 2);
        assert!(!bundle.contains("AKIDEXAMPLE") && !bundle.contains("wJalr"), "{bundle}");

        let mut author =
            Author::new(given, r#""key": "AKIDEXAMPLE", "secret": "", "site": """#, "echo {{user `site`}}");
        let file = r#"{"secret": "wJalr", "site": "example.org"}"#;
        std::fs::write(author.dir.path().join("secrets.json"), file).unwrap();
        author.files.push("secrets.json");
        let (_, bundle) = author.packs();
        assert!(bundle.contains("example.org") && !bundle.contains("wJalr"), "{bundle}");
    }

    #[test]
    fn a_key_that_a_step_needs_is_in_the_bundle_and_that_is_said() {
        let (notes, bundle) = Author::new(KEYS, "", "echo wJalr/x").packs();
        assert!(bundle.contains("AKIDEXAMPLE"), "as a whole or not at all");
        assert_eq!(notes.len(), 3);
        assert!(notes.iter().all(|note| note.contains("its value could not be left out of the bundle")), "{notes:?}");
    }

    #[test]
    fn what_is_no_secret_is_said_not_to_be_used() {
        let options = r#""profile": "baker", "custom_endpoint_ec2": "http://localhost:1", "max_retries": 3,
            "assume_role": {"role_arn": "arn:aws:iam::111122223333:role/bake", "external_id": "outside"}"#;
        let (notes, bundle) = Author::new(options, "", "true").packs();
        let unused = |option| format!("`{option}` is not used: a stack reaches AWS with its own role");
        let left_out = "; its `external_id` is left out of the bundle";
        assert_eq!(
            notes,
            [
                unused("profile"),
                format!("{}{left_out}", unused("assume_role")),
                unused("custom_endpoint_ec2"),
                unused("max_retries")
            ]
        );
        assert!(bundle.contains("baker") && !bundle.contains("outside"), "{bundle}");
        assert_eq!(Author::new(r#""ami_users": []"#, "", "true").packs().0, [""; 0]);
    }
}
