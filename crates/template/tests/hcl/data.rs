//! Data sources.

use std::{collections::BTreeMap, sync::Arc};

use bakehouse_protocol::spec::{ImageQuery, Source};
use bakehouse_template::{External, ImageData, ParameterData, Place, SecretData, SecretVersion};

use crate::{common::Fixture, variables::describing};

/// Services with an image, a parameter and a secret.
#[derive(Debug)]
struct Services;

impl External for Services {
    fn secret(&self, name: &str) -> Result<String, String> {
        if name == "db" {
            Ok(r#"{"user": "root", "password": "hunter22"}"#.to_owned())
        } else if name == "one" {
            Ok(r#"{"key": "only"}"#.to_owned())
        } else {
            Err("no such secret".to_owned())
        }
    }

    fn vault(&self, path: &str, key: &str) -> Result<String, String> {
        Ok(format!("vault:{path}:{key}"))
    }

    fn consul_key(&self, key: &str) -> Result<String, String> {
        Ok(format!("consul:{key}"))
    }

    fn image(&self, query: &ImageQuery, place: &Place) -> Result<ImageData, String> {
        if query.filters.contains_key("none") {
            return Err("no image matches".to_owned());
        }
        Ok(ImageData {
            id: "ami-0123456789abcdef0".to_owned(),
            name: format!(
                "{} in {:?}",
                query.filters.get("name").map_or(String::new(), |it| it.join("+")),
                place.region.as_ref().map(|it| it.as_str())
            ),
            creation_date: "2026-11-22T21:22:09.000Z".to_owned(),
            owner: query.owners.join("+"),
            owner_name: String::new(),
            tags: BTreeMap::from([("Name".to_owned(), "base".to_owned())]),
        })
    }

    fn parameter(&self, name: &str, with_decryption: bool, _: &Place) -> Result<ParameterData, String> {
        let value = if with_decryption { "decrypted" } else { name }.to_owned();
        Ok(ParameterData { value, version: "7".to_owned(), arn: "arn".to_owned() })
    }

    fn secret_version(&self, name: &str, version: &SecretVersion, _: &Place) -> Result<SecretData, String> {
        let version_id = match version {
            SecretVersion::Id(id) => id.clone(),
            SecretVersion::Stage(stage) => format!("id of {stage}"),
        };
        Ok(SecretData { string: self.secret(name)?, binary: String::new(), version_id })
    }
}

const IMAGE: &str = r#"
variable "where" {
  default = "eu-north-1"
}
locals {
  name = "debian"
  copy = "from ${data.amazon-ami.base.name}"
}
data "amazon-ami" "base" {
  region      = var.where
  owners      = ["self"]
  most_recent = true
  filters = {
    name = local.name
  }
}
"#;

fn online(root: &str, expression: &str) -> Fixture {
    let mut fixture = Fixture::hcl(&describing(root, expression));
    fixture.request.external = Some(Arc::new(Services));
    fixture
}

#[test]
fn data_sources_and_locals_use_each_other() {
    let wanted = "from debian in Some(\"eu-north-1\")";
    assert_eq!(online(IMAGE, "local.copy").build().image.description.0, wanted);
    for (attribute, wanted) in
        [("owner", "self"), ("tags.Name", "base"), ("creation_date", "2026-11-22T21:22:09.000Z"), ("owner_name", "")]
    {
        let found = online(IMAGE, &format!("data.amazon-ami.base.{attribute}")).build().image.description.0;
        assert_eq!(found, wanted, "{attribute}");
    }
}

#[test]
fn values_of_other_services() {
    let root = r#"
data "amazon-parameterstore" "plain" {
  name = "/a"
}
data "amazon-parameterstore" "secure" {
  name            = "/a"
  with_decryption = true
}
data "amazon-secretsmanager" "db" {
  name = "db"
  key  = "user"
}
data "null" "x" {
  input = data.amazon-parameterstore.plain.value
}
"#;
    for (expression, wanted) in [
        ("data.amazon-parameterstore.plain.value", "/a"),
        ("data.amazon-parameterstore.plain.version", "7"),
        ("data.amazon-parameterstore.secure.value", "decrypted"),
        ("data.amazon-secretsmanager.db.value", "root"),
        ("jsondecode(data.amazon-secretsmanager.db.secret_string).password", "hunter22"),
        ("data.amazon-secretsmanager.db.version_id", "id of AWSCURRENT"),
        ("data.null.x.output", "/a"),
        ("aws_secretsmanager(\"db\", \"user\")", "root"),
        ("jsondecode(aws_secretsmanager_raw(\"db\")).user", "root"),
        ("vault(\"secret/data/x\", \"k\")", "vault:secret/data/x:k"),
        ("consul_key(\"k\")", "consul:k"),
    ] {
        assert_eq!(online(root, expression).build().image.description.0, wanted, "{expression}");
    }
    // As everywhere in HCL, numbers become texts; null is no key.
    for (expression, wanted) in [
        ("vault(\"p\", 1)", "vault:p:1"),
        ("aws_secretsmanager(\"one\", null)", "only"),
        ("aws_secretsmanager(\"one\", \"\")", "only"),
    ] {
        assert_eq!(online("", expression).build().image.description.0, wanted, "{expression}");
    }
    let sensitive = online(root, "vault(\"p\", \"k\")").load().unwrap().sensitive;
    for value in ["decrypted", "root", "vault:p:k"] {
        assert!(sensitive.contains(&value.to_owned()), "{value}");
    }
}

#[test]
fn other_services_are_asked_with_texts_only() {
    for (expression, wanted) in [
        ("vault(\"p\", [\"k\"])", "vault: takes a path and a key"),
        ("vault(\"p\", null)", "vault: takes a path and a key"),
        ("consul_key({})", "consul_key: takes one key"),
        ("aws_secretsmanager_raw(null)", "aws_secretsmanager_raw: takes the name of a secret"),
        ("aws_secretsmanager(null, \"k\")", "aws_secretsmanager: takes the name of a secret and perhaps a key"),
        ("aws_secretsmanager(\"one\", [])", "aws_secretsmanager: takes the name of a secret and perhaps a key"),
    ] {
        let mistakes = online("", expression).mistakes();
        assert_eq!(mistakes, [(expression.to_owned(), wanted.to_owned())]);
    }
}

#[test]
fn values_that_are_not_asked_for_are_not_checked() {
    let template = r#"
data "amazon-ami" "base" {
  owners  = ["self"]
  filters = { name = "debian" }
}
locals {
  kind = split("-", data.amazon-ami.base.name)[3]
  size = data.amazon-ami.base.tags.Size
}
source "amazon-chroot" "web" {
  ami_name         = "<${data.amazon-ami.base.name}>"
  source_ami       = data.amazon-ami.base.id
  region           = data.amazon-ami.base.tags.Region
  root_volume_size = local.size
  ami_users        = data.amazon-ami.base.tags.Users
  tags = {
    Base = data.amazon-ami.base.name
    Kind = local.kind
    Key  = vault("a", "b")
  }
}
build {
  sources = ["source.amazon-chroot.web"]
}
"#;
    let loaded = Fixture::hcl(template).load().unwrap();
    assert_eq!(loaded.warnings.len(), 0, "{:?}", loaded.warnings);
    let mut wrong = Fixture::hcl(&template.replace("Kind = local.kind", "Kind = \"{{timestmp}}\""));
    assert_eq!(wrong.mistakes(), [("timestmp".to_owned(), "there is no function `timestmp`".to_owned())]);
    wrong.request.external = Some(Arc::new(Services));
    assert!(wrong.mistakes().len() > 1);
}

#[test]
fn an_image_that_is_not_asked_for_has_an_id() {
    let root = IMAGE.replace("locals {", "locals {\n  id = data.amazon-ami.base.id");
    let template = describing(&root, "\"\"").replace("\"ami-01234567\"", "local.id");
    let Source::Image(query) = Fixture::hcl(&template).build().source else { panic!() };
    assert_eq!(query.id.unwrap().as_str(), "ami-00000000000000000");
}

#[test]
fn mistakes_in_data_sources() {
    for (root, wanted) in [
        ("data \"amazon-ami\" \"x\" {\n  filters = { name = \"a\" }\n}", "`owners` is missing"),
        (
            "data \"amazon-ami\" \"x\" {\n  owners = [\"self\"]\n  filter = {}\n}",
            "`filter` is not an option of amazon-ami",
        ),
        ("data \"amazon-parameterstore\" \"x\" {\n}", "`name` is missing"),
        ("data \"amazon-secretsmanager\" \"x\" {\n  name = var.q\n}", "there is no variable `var.q`"),
        ("data \"null\" \"x\" {\n  input = data.null.x.output\n}", "`data.null.x` refers to itself"),
        (
            "data \"null\" \"x\" {\n  input = \"1\"\n}\ndata \"null\" \"x\" {\n  input = \"2\"\n}",
            "`data.null.x` is set twice",
        ),
        ("data \"amazon-ami\" \"x\" {\n  owners = [\"self\"]\n  region = \"here\"\n}", "\"here\" is not a region"),
        (
            "data \"amazon-ami\" \"x\" {\n  owners = [\"self\"]\n  filters = { none = \"1\" }\n}",
            "the data source `data.amazon-ami.x` gives no value: no image matches",
        ),
    ] {
        let mistakes = online(root, "\"\"").mistakes();
        assert_eq!(mistakes.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), [wanted], "{root}");
    }
}

#[test]
fn other_data_sources_matter_only_where_they_are_used() {
    let root = "data \"http\" \"x\" {\n  url = \"https://example.com\"\n}\nlocals {\n  body = data.http.x.body\n}";
    assert_eq!(Fixture::hcl(&describing(root, "\"\"")).build().image.description.0, "");
    for (expression, text, wanted) in [
        ("data.http.x.body", "data.http.x.body", "there is no data source \"http\""),
        ("\"a ${local.body}\"", "local.body", "`local.body` depends on a data source that is not supported"),
    ] {
        let mistakes = Fixture::hcl(&describing(root, expression)).mistakes();
        assert_eq!(mistakes, [(text.to_owned(), wanted.to_owned())]);
    }
}
