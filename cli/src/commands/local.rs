//! `bakehouse local`: the embedded cloud's images.

use std::path::PathBuf;

use bakehouse_localcloud::{LocalCloud, model::Import as Disk, resource::Image};
use bakehouse_machine::tags::BUILD_TAG;
use bakehouse_protocol::{ImageId, Region, spec::Architecture};
use bakehouse_runner::LocalRunner;
use serde::Serialize;

use super::{
    notes::{note_left, note_unknown},
    serve,
};
use crate::{
    args::{Export, Import, Listing, Local, LocalVerb, Rm},
    context::CliContext,
    report::{CliError, Exit, note},
    screen::Screen,
    table, text,
};

pub(super) fn run(args: &Local, cx: &CliContext) -> Result<Exit, CliError> {
    if let LocalVerb::Serve(args) = &args.verb {
        return serve::run(args, cx);
    }
    let region = match &args.verb {
        LocalVerb::Import(import) => import.region.as_ref(),
        _ => None,
    };
    let runner = cx.runner(region)?;
    match &args.verb {
        LocalVerb::Images(args) => images(args, runner.cloud()),
        LocalVerb::Import(args) => import(args, &cx.environment.region(region)?, runner.cloud()),
        LocalVerb::Export(args) => export(args, cx, runner.cloud()),
        LocalVerb::Rm(args) => rm(args, &runner),
        LocalVerb::Serve(_) => Ok(()),
    }?;
    note_left(&*cx.source()?);
    note_unknown(runner.cloud())?;
    Ok(Exit::Done)
}

/// One image in `local images --json`.
#[derive(Serialize)]
struct Row {
    region: String,
    /// The account that owns it; absent: the cloud's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
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

fn row(region: &Region, image: &Image, own: &str, cloud: &LocalCloud) -> Row {
    let snapshot = image.root_snapshot();
    Row {
        region: region.to_string(),
        account: (image.owner_id != own).then(|| image.owner_id.clone()),
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

fn images(args: &Listing, cloud: &LocalCloud) -> Result<(), CliError> {
    let mut rows = Vec::new();
    let own = cloud.account()?;
    for place in cloud.everything()? {
        rows.extend(place.images.iter().map(|image| row(&place.region, image, &own, cloud)));
    }
    // RFC 3339 sorts as text.
    rows.sort_by(|a, b| (&a.created, &a.region).cmp(&(&b.created, &b.region)));
    if args.json {
        text::out(&serde_json::to_string_pretty(&rows)?);
    } else if rows.is_empty() {
        note("no images yet: `bakehouse local import` brings a disk in, a build with from_scratch makes one");
    } else {
        let headings = ["region", "id", "name", "size", "created", "build"];
        let cells = |row: Row| {
            let size = row.gib.map_or_else(String::new, |gib| format!("{gib} GiB"));
            let created = row.created.get(..16).map_or(row.created.clone(), |minute| minute.replace('T', " "));
            let region = row.account.map_or(row.region.clone(), |account| format!("{} of {account}", row.region));
            vec![region, row.id, row.name, size, created, row.build.unwrap_or_else(|| "imported".to_owned())]
        };
        let rows: Vec<Vec<String>> = rows.into_iter().map(cells).collect();
        table::render(&headings, &rows).iter().for_each(|line| text::out(line));
    }
    Ok(())
}

fn import(args: &Import, region: &Region, cloud: &LocalCloud) -> Result<(), CliError> {
    let architecture = match args.arch {
        Some(arch) => arch.into(),
        None => cloud.instance(region)?.architecture,
    };
    // The size is worked out from the file.
    let mut disk = Disk::new(&args.name, 0, architecture);
    disk.root_device_name.clone_from(&args.root_device_name);
    let screen = Screen::new();
    screen.status(&format!("copying {}", args.disk.display()));
    let image = cloud.import_disk(region, &args.disk, disk);
    screen.clear_status();
    let image = image.map_err(|error| CliError::of(&error).by_user())?;
    let shown = row(region, &image, &image.owner_id, cloud);
    if let Some(disk) = &shown.disk {
        text::err(&format!("brought in as {} ({}), disk {}", shown.name, arch(image.architecture), disk.display()));
    }
    text::out(&format!("{region}: {}", image.image_id));
    Ok(())
}

fn arch(architecture: Architecture) -> &'static str {
    architecture.as_str()
}

fn export(args: &Export, cx: &CliContext, cloud: &LocalCloud) -> Result<(), CliError> {
    let (_, image) = one_image(cloud, &args.image, args.region.as_ref())?;
    let target = cx.directory.join(&args.file);
    let screen = Screen::new();
    screen.status(&format!("writing {}", args.file.display()));
    let written = cloud.export(&image.image_id, &target);
    screen.clear_status();
    written?;
    text::err(&format!("wrote the root disk of {} ({}) to {}", image.name, image.image_id, args.file.display()));
    Ok(())
}

fn rm(args: &Rm, runner: &LocalRunner) -> Result<(), CliError> {
    let cloud = runner.cloud();
    let (region, image) = one_image(cloud, &args.image, args.region.as_ref())?;
    let snapshots: Vec<String> = image.snapshots().map(ToString::to_string).collect();
    // Removing needs a little room itself; on a full disk it is this that makes some.
    cloud.remove(&image.image_id).or_else(|_| {
        runner.free_reserve();
        cloud.remove(&image.image_id)
    })?;
    let with = if snapshots.is_empty() { String::new() } else { format!(" and {}", snapshots.join(", ")) };
    text::err(&format!("removed {} ({}) in {region}{with}", image.image_id, image.name));
    Ok(())
}

/// The image that a person means, by id or name. Never one of several.
fn one_image(cloud: &LocalCloud, wanted: &str, region: Option<&Region>) -> Result<(Region, Image), CliError> {
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
        return Err(CliError::wrong(message).hint("give its id, or --region"));
    }
    let nowhere = region.map_or_else(String::new, |region| format!(" in {region}"));
    found.pop().ok_or_else(|| {
        CliError::wrong(format!("there is no image {wanted}{nowhere}")).hint("`bakehouse local images` lists them")
    })
}
