//! `bakehouse local`: the embedded cloud's images.

use std::path::PathBuf;

use bakehouse_runner::Workshop;
use bakehouse_localcloud::{LocalCloud, model::Import as Disk, resource::Image};
use bakehouse_machine::advance::BUILD_TAG;
use bakehouse_protocol::{ImageId, Region, spec::Architecture};
use serde::Serialize;

use super::{Here, note_left, note_unknown, serve};
use crate::{
    args::{Export, Import, Listing, Local, LocalVerb, Rm},
    report::{Exit, Trouble, note},
    screen::Screen,
    table, text,
};

pub(super) fn run(asked: &Local, here: &Here) -> Result<Exit, Trouble> {
    if let LocalVerb::Serve(asked) = &asked.verb {
        return serve::run(asked, here);
    }
    let region = match &asked.verb {
        LocalVerb::Import(import) => import.region.as_ref(),
        _ => None,
    };
    let workshop = here.workshop(region)?;
    match &asked.verb {
        LocalVerb::Images(asked) => images(asked, workshop.cloud()),
        LocalVerb::Import(asked) => import(asked, &here.environment.region(region)?, workshop.cloud()),
        LocalVerb::Export(asked) => export(asked, here, workshop.cloud()),
        LocalVerb::Rm(asked) => rm(asked, &workshop),
        LocalVerb::Serve(_) => Ok(()),
    }?;
    note_left(&*here.desk()?);
    note_unknown(workshop.cloud())?;
    Ok(Exit::Done)
}

/// One image in `local images --json`.
#[derive(Serialize)]
struct Row {
    region: String,
    id: String,
    name: String,
    architecture: &'static str,
    state: &'static str,
    gib: Option<u32>,
    created: String,
    /// The build that made it; absent for one that was brought in.
    build: Option<String>,
    disk: Option<PathBuf>,
}

fn row(region: &Region, image: &Image, cloud: &LocalCloud) -> Row {
    let snapshot = image.root_snapshot();
    Row {
        region: region.to_string(),
        id: image.image_id.to_string(),
        name: image.name.clone(),
        architecture: image.architecture.as_str(),
        state: image.state.as_str(),
        gib: image.root_mapping().and_then(|mapping| mapping.ebs.as_ref()?.volume_size),
        created: image.creation_date.clone(),
        build: image.tags.get(BUILD_TAG).cloned(),
        disk: snapshot.map(|id| cloud.snapshot_path(id)),
    }
}

fn images(asked: &Listing, cloud: &LocalCloud) -> Result<(), Trouble> {
    let mut rows = Vec::new();
    for place in cloud.everything()? {
        rows.extend(place.images.iter().map(|image| row(&place.region, image, cloud)));
    }
    // RFC 3339 sorts as text.
    rows.sort_by(|a, b| (&a.created, &a.region).cmp(&(&b.created, &b.region)));
    if asked.json {
        text::out(&serde_json::to_string_pretty(&rows)?);
    } else if rows.is_empty() {
        note("no images yet: `bakehouse local import` brings a disk in, a build with from_scratch makes one");
    } else {
        let headings = ["region", "id", "name", "size", "created", "build"];
        let cells = |row: Row| {
            let size = row.gib.map_or_else(String::new, |gib| format!("{gib} GiB"));
            let created = row.created.get(..16).map_or(row.created.clone(), |minute| minute.replace('T', " "));
            vec![row.region, row.id, row.name, size, created, row.build.unwrap_or_else(|| "imported".to_owned())]
        };
        let rows: Vec<Vec<String>> = rows.into_iter().map(cells).collect();
        table::render(&headings, &rows).iter().for_each(|line| text::out(line));
    }
    Ok(())
}

fn import(asked: &Import, region: &Region, cloud: &LocalCloud) -> Result<(), Trouble> {
    let architecture = match asked.arch {
        Some(arch) => arch.into(),
        None => cloud.instance(region)?.architecture,
    };
    // The size is worked out from the file.
    let mut disk = Disk::new(&asked.name, 0, architecture);
    disk.root_device_name.clone_from(&asked.root_device_name);
    let screen = Screen::new();
    screen.status(&format!("copying {}", asked.disk.display()));
    let image = cloud.import_disk(region, &asked.disk, disk);
    screen.still();
    let image = image.map_err(|error| Trouble::of(&error).by_user())?;
    let shown = row(region, &image, cloud);
    if let Some(disk) = &shown.disk {
        text::err(&format!("brought in as {} ({}), disk {}", shown.name, arch(image.architecture), disk.display()));
    }
    text::out(&format!("{region}: {}", image.image_id));
    Ok(())
}

fn arch(architecture: Architecture) -> &'static str {
    architecture.as_str()
}

fn export(asked: &Export, here: &Here, cloud: &LocalCloud) -> Result<(), Trouble> {
    let (_, image) = one_image(cloud, &asked.image, asked.region.as_ref())?;
    let target = here.directory.join(&asked.file);
    let screen = Screen::new();
    screen.status(&format!("writing {}", asked.file.display()));
    let written = cloud.export(&image.image_id, &target);
    screen.still();
    written?;
    text::err(&format!("wrote the root disk of {} ({}) to {}", image.name, image.image_id, asked.file.display()));
    Ok(())
}

fn rm(asked: &Rm, workshop: &Workshop) -> Result<(), Trouble> {
    let cloud = workshop.cloud();
    let (region, image) = one_image(cloud, &asked.image, asked.region.as_ref())?;
    let snapshots: Vec<String> = image.snapshots().map(ToString::to_string).collect();
    // Removing needs a little room itself; on a full disk it is this that makes some.
    cloud.remove(&image.image_id).or_else(|_| {
        workshop.make_room();
        cloud.remove(&image.image_id)
    })?;
    let with = if snapshots.is_empty() { String::new() } else { format!(" and {}", snapshots.join(", ")) };
    text::err(&format!("removed {} ({}) in {region}{with}", image.image_id, image.name));
    Ok(())
}

/// The image that a person means, by id or name. Never one of several.
fn one_image(cloud: &LocalCloud, wanted: &str, region: Option<&Region>) -> Result<(Region, Image), Trouble> {
    let id = ImageId::new(wanted).ok();
    let mut found = Vec::new();
    for place in cloud.everything()?.into_iter().filter(|place| region.is_none_or(|region| *region == place.region)) {
        let is_meant = |image: &Image| match &id {
            Some(id) => image.image_id == *id,
            None => image.name == wanted,
        };
        found.extend(place.images.into_iter().filter(is_meant).map(|image| (place.region.clone(), image)));
    }
    if found.len() > 1 {
        let names: Vec<String> =
            found.iter().map(|(region, image)| format!("{} in {region}", image.image_id)).collect();
        let message = format!("{} images are named {wanted}: {}", names.len(), names.join(", "));
        return Err(Trouble::wrong(message).hint("give its id, or --region"));
    }
    let nowhere = region.map_or_else(String::new, |region| format!(" in {region}"));
    found.pop().ok_or_else(|| {
        Trouble::wrong(format!("there is no image {wanted}{nowhere}")).hint("`bakehouse local images` lists them")
    })
}
