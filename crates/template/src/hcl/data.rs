//! Data sources: what each asks, and what it gives.

use std::collections::BTreeMap;

use bakehouse_hcl::Value;

use super::{
    evaluation::{Evaluation, UNKNOWN},
    names::State,
    options::role,
    syntax::{Block, Item, Role},
    values::hide,
};
use crate::{
    builder,
    diagnostic::Diagnostic,
    external::{External, ImageData, ParameterData, Place, SecretData, SecretVersion},
    functions::Section,
    inputs::Inputs,
    options::{self, ACCESS, AMAZON_CHROOT, AMI_DATA, NULL_DATA, PARAMETER_DATA, SECRET_DATA, Table, Values},
    renderer::Renderer,
    secrets,
};

/// An id that stands for that of an image that was not asked for.
const UNKNOWN_IMAGE: &str = "ami-00000000000000000";

/// Reads a data source and asks it, if that is possible. Secret values are added to `sensitive`.
pub(super) fn read(
    block: &Block<'_>,
    evaluation: &Evaluation<'_>,
    inputs: &Inputs<'_>,
    sensitive: &mut Vec<String>,
) -> (Value, State) {
    let Some(table) = table(block.label(0)) else {
        return (Value::Null, State::Unsupported);
    };
    let errors = inputs.diagnostics.error_count();
    let source = Source { block, evaluation, inputs, table };
    let found = source.ask(sensitive);
    if inputs.diagnostics.error_count() > errors {
        return (Value::Null, State::Invalid);
    }
    found
}

fn table(kind: &str) -> Option<&'static Table> {
    [&AMI_DATA, &PARAMETER_DATA, &SECRET_DATA, &NULL_DATA].into_iter().find(|table| table.owner == kind)
}

struct Source<'a> {
    block: &'a Block<'a>,
    evaluation: &'a Evaluation<'a>,
    inputs: &'a Inputs<'a>,
    table: &'static Table,
}

impl Source<'_> {
    fn ask(&self, sensitive: &mut Vec<String>) -> (Value, State) {
        let is_of_aws = self.table.owner != NULL_DATA.owner;
        let is_access = |name: &str| is_of_aws && ACCESS.contains(&name);
        let role = |name: &str| match role(Some(self.table), &[])(name) {
            Role::Unknown if is_access(name) => options_role(name),
            role => role,
        };
        let items = self.evaluation.items(&self.block.body, &role);
        let (access, own): (Vec<Item<'_>>, Vec<Item<'_>>) =
            items.into_iter().partition(|item| is_access(&item.name().value));
        let is_unknown = items_unknown(self.evaluation, &own) || items_unknown(self.evaluation, &access);
        let values = self.values(&own, self.table);
        let (region, access) =
            builder::access(&self.values(&access, &AMAZON_CHROOT), self.inputs.context.now, self.inputs.diagnostics);
        let place = Place { region, access };
        let external = self.evaluation.shared.external.filter(|_| !is_unknown);
        match self.table.owner {
            "null" => {
                let input = self.required(&values, "input").unwrap_or_default();
                let state = if is_unknown { State::Unknown } else { State::Known };
                (map([("output", input.into())]), state)
            }
            "amazon-ami" => self.image(&values, &place, external),
            "amazon-parameterstore" => self.parameter(&values, &place, external, sensitive),
            _ => self.secret(&values, &place, external, sensitive),
        }
    }

    fn values(&self, items: &[Item<'_>], table: &'static Table) -> Values {
        let header = self.block.header();
        let map = self.evaluation.options(items, Some(table), &header);
        let renderer = Renderer { inputs: *self.inputs, section: Section::Builder, build: None };
        options::read(table, &map, header, &renderer)
    }

    fn required(&self, values: &Values, option: &str) -> Option<String> {
        let value = values.string(option);
        if value.is_none() && !values.is_invalid(option) {
            let message = format!("`{option}` is missing");
            let help = format!("Write {option} = \"…\".");
            self.inputs.diagnostics.add(Diagnostic::error(&values.anchor, message).help(help));
        }
        value.map(|text| text.value)
    }

    fn failed(&self, error: &str) {
        let message =
            format!("the data source `data.{}.{}` gives no value: {error}", self.block.label(0), self.block.label(1));
        self.inputs.diagnostics.add(Diagnostic::error(&self.block.header(), message));
    }

    fn image(&self, values: &Values, place: &Place, external: Option<&dyn External>) -> (Value, State) {
        if values.string_list("owners").is_none_or(|owners| owners.is_empty()) && !values.is_invalid("owners") {
            self.inputs.diagnostics.add(
                Diagnostic::error(&values.anchor, "`owners` is missing")
                    .label("anybody's public image could match")
                    .help("Write owners = [\"…\"] with the account that you trust, or \"self\"."),
            );
        }
        let query = builder::query(values, self.inputs.context.now, self.inputs.diagnostics);
        let (image, state) = match (external, query) {
            (Some(external), Some(query)) => match external.image(&query, place) {
                Ok(image) => (image, State::Known),
                Err(error) => {
                    self.failed(&error);
                    (ImageData::default(), State::Invalid)
                }
            },
            _ => {
                let text = || UNKNOWN.to_owned();
                let image = ImageData {
                    id: UNKNOWN_IMAGE.to_owned(),
                    name: text(),
                    creation_date: text(),
                    owner: text(),
                    owner_name: text(),
                    tags: BTreeMap::new(),
                };
                (image, State::Unknown)
            }
        };
        let ImageData { id, name, creation_date, owner, owner_name, tags } = image;
        let tags: BTreeMap<String, Value> = tags.into_iter().map(|(key, value)| (key, value.into())).collect();
        let value = map([
            ("id", id.into()),
            ("name", name.into()),
            ("creation_date", creation_date.into()),
            ("owner", owner.into()),
            ("owner_name", owner_name.into()),
            ("tags", tags.into()),
        ]);
        (value, state)
    }

    fn parameter(
        &self,
        values: &Values,
        place: &Place,
        external: Option<&dyn External>,
        sensitive: &mut Vec<String>,
    ) -> (Value, State) {
        let unknown = ParameterData { value: UNKNOWN.to_owned(), version: UNKNOWN.to_owned(), arn: UNKNOWN.to_owned() };
        let decrypt = values.flag("with_decryption");
        let (found, state) = match (external, self.required(values, "name")) {
            (Some(external), Some(name)) => match external.parameter(&name, decrypt, place) {
                Ok(found) => {
                    if decrypt {
                        hide(
                            &format!("parameter {name}"),
                            &found.value.as_str().into(),
                            sensitive,
                            self.inputs.diagnostics,
                        );
                    }
                    (found, State::Known)
                }
                Err(error) => {
                    self.failed(&error);
                    (unknown, State::Invalid)
                }
            },
            _ => (unknown, State::Unknown),
        };
        let ParameterData { value, version, arn } = found;
        (map([("value", value.into()), ("version", version.into()), ("arn", arn.into())]), state)
    }

    fn secret(
        &self,
        values: &Values,
        place: &Place,
        external: Option<&dyn External>,
        sensitive: &mut Vec<String>,
    ) -> (Value, State) {
        let unknown = || UNKNOWN.to_owned();
        let text = |option: &str| values.string(option).map(|text| text.value);
        let version = match (text("version_id"), text("version_stage")) {
            (Some(id), _) => SecretVersion::Id(id),
            (None, stage) => SecretVersion::Stage(stage.unwrap_or_else(|| "AWSCURRENT".to_owned())),
        };
        let found = match (external, self.required(values, "name")) {
            (Some(external), Some(name)) => external.secret_version(&name, &version, place).and_then(|found| {
                let value = key(&name, &found, text("key").as_deref())?;
                for text in [&found.string, &found.binary, &value] {
                    hide(&format!("secret {name}"), &text.as_str().into(), sensitive, self.inputs.diagnostics);
                }
                Ok((found, value, State::Known))
            }),
            _ => Ok((
                SecretData { string: unknown(), binary: unknown(), version_id: unknown() },
                unknown(),
                State::Unknown,
            )),
        };
        match found {
            Ok((SecretData { string, binary, version_id }, value, state)) => {
                let value = map([
                    ("value", value.into()),
                    ("secret_string", string.into()),
                    ("secret_binary", binary.into()),
                    ("version_id", version_id.into()),
                ]);
                (value, state)
            }
            Err(error) => {
                self.failed(&error);
                (Value::Null, State::Invalid)
            }
        }
    }
}

/// Returns `value` of a secret: that of the key or, without one, the only one. Packer takes any of several.
fn key(name: &str, secret: &SecretData, key: Option<&str>) -> Result<String, String> {
    match secrets::value(name, &secret.string, key) {
        Ok(value) => Ok(value),
        // Without a key, the other attributes can still be used.
        Err(_) if key.is_none() => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn options_role(name: &str) -> Role {
    role(Some(&AMAZON_CHROOT), &[])(name)
}

/// Whether one of these parts depends on a data source that was not asked.
fn items_unknown(evaluation: &Evaluation<'_>, items: &[Item<'_>]) -> bool {
    items.iter().any(|item| match item {
        Item::Attribute(attribute) => evaluation.is_unknown(&attribute.expression),
        Item::Block(block) => {
            let inner = block.body.items(&|_| Role::Unknown, &crate::diagnostic::Diagnostics::default());
            items_unknown(evaluation, &inner)
        }
    })
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
