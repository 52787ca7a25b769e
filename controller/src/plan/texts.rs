//! What is rendered once the source is known: descriptions and tags, for each region.

use std::collections::BTreeMap;

use bakehouse_ec2::resource::{Image, Tags};
use bakehouse_gotemplate::{Value, deferred};
use bakehouse_machine::{Build, Fault, plan::RegionPlan};
use bakehouse_protocol::{DeferredTemplate, Region, RunData};

use crate::permanent_fault::permanent_fault;

/// Returns the data of deferred templates.
pub(super) fn run_data(build: &Build, source: Option<&Image>) -> RunData {
    let mut data =
        RunData { build_name: build.spec.name.clone(), build_region: Some(build.region.clone()), ..RunData::default() };
    if let Some(source) = source {
        data.source_ami = Some(source.image_id.clone());
        data.source_ami_name = source.name.clone();
        data.source_ami_creation_date = source.creation_date.clone();
        data.source_ami_owner = source.owner_id.clone();
        data.source_ami_owner_name = source.image_owner_alias.clone().unwrap_or_default();
        data.source_ami_tags = source.tags.clone();
    }
    data
}

/// Returns the description and the tags for the image in a region: `{{.BuildRegion}}` is that region.
pub(super) fn render(build: &Build, data: &RunData, region: &Region) -> Result<RegionPlan, Fault> {
    let image = &build.spec.image;
    let fields = fields(data, region);
    let now = build.accepted_at.0;
    let tags = render_tags(&image.tags, &fields, now, "tags")?;
    let mut snapshot_tags = tags.clone();
    snapshot_tags.extend(render_tags(&image.snapshot_tags, &fields, now, "snapshot_tags")?);
    let description = render_text(&image.description, &fields, now, "`ami_description`")?;
    Ok(RegionPlan { description, tags, snapshot_tags, ..RegionPlan::default() })
}

/// Returns the tags of the work volume.
pub(super) fn volume_tags(build: &Build, data: &RunData) -> Result<Tags, Fault> {
    render_tags(&build.spec.volume.tags, &fields(data, &build.region), build.accepted_at.0, "root_volume_tags")
}

/// Returns the names of the parameters in a region.
pub(super) fn parameter_names(build: &Build, data: &RunData, region: &Region) -> Result<Vec<String>, Fault> {
    let fields = fields(data, region);
    let names = build.spec.image.lifecycle.parameters.iter();
    names.map(|name| render_text(name, &fields, build.accepted_at.0, "`bakehouse_ssm_parameters`")).collect()
}

type Fields = BTreeMap<String, Value>;

fn render_tags(
    tags: &[(DeferredTemplate, DeferredTemplate)],
    fields: &Fields,
    now: u64,
    option: &str,
) -> Result<Tags, Fault> {
    let mut rendered = Tags::new();
    for (key, value) in tags {
        let key = render_text(key, fields, now, &format!("a key of `{option}`"))?;
        rendered.insert(key, render_text(value, fields, now, &format!("a value of `{option}`"))?);
    }
    Ok(rendered)
}

fn render_text(text: &DeferredTemplate, fields: &Fields, now: u64, what: &str) -> Result<String, Fault> {
    deferred::render(&text.0, fields, now)
        .map_err(|error| permanent_fault(format!("{what} can't be rendered: {error}")))
}

/// The fields of deferred templates in descriptions and tags.
fn fields(data: &RunData, region: &Region) -> Fields {
    let text = |text: &str| Value::String(text.to_owned());
    let tags = data.source_ami_tags.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    BTreeMap::from([
        ("BuildRegion".to_owned(), text(region.as_str())),
        ("SourceAMI".to_owned(), text(data.source_ami.as_ref().map_or("", |id| id.as_str()))),
        ("SourceAMIName".to_owned(), text(&data.source_ami_name)),
        ("SourceAMICreationDate".to_owned(), text(&data.source_ami_creation_date)),
        ("SourceAMIOwner".to_owned(), text(&data.source_ami_owner)),
        ("SourceAMIOwnerName".to_owned(), text(&data.source_ami_owner_name)),
        ("SourceAMITags".to_owned(), Value::Map(tags)),
    ])
}
