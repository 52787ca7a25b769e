//! The data source `amazon-ami`, over any EC2.

use bakehouse_controller::{
    cloud::Cloud,
    ports::{Keys, Parameters},
};
use bakehouse_ec2::{Ec2, resource::Image};
use bakehouse_protocol::{Fault, Region, spec::ImageQuery};
use bakehouse_template::ImageData;

/// Finds the image that a query means: the newest if it asks for that, else the only one.
///
/// # Errors
/// Why there is none, or that there are several.
pub(crate) async fn find<E: Ec2, P: Parameters + Keys>(
    cloud: &Cloud<E, P>,
    region: &Region,
    query: &ImageQuery,
) -> Result<ImageData, String> {
    let found = cloud.find_images(region, query).await.map_err(with_hint)?;
    choose(found, query.most_recent, region)
}

/// Returns the text of a fault, with its hint.
pub(crate) fn with_hint(fault: Fault) -> String {
    match fault.hint {
        Some(hint) => format!("{} ({hint})", fault.message),
        None => fault.message,
    }
}

fn choose(mut found: Vec<Image>, most_recent: bool, region: &Region) -> Result<ImageData, String> {
    found.sort_by(|a, b| a.creation_date.cmp(&b.creation_date));
    let several = found.len();
    let Some(image) = found.pop() else { return Err(format!("no image in {region} matches")) };
    if several > 1 && !most_recent {
        return Err(format!("{several} images in {region} match, and `most_recent` is not set"));
    }
    Ok(ImageData {
        id: image.image_id.to_string(),
        name: image.name,
        creation_date: image.creation_date,
        owner: image.owner_id,
        owner_name: image.image_owner_alias.unwrap_or_default(),
        tags: image.tags,
    })
}
