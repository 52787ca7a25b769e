//! Build records: saved only if their version is unchanged.
//!
//! A record is JSON, compressed where it is large (DynamoDB takes 400 kB an item). A save sets the record's own
//! attributes, so that `tick_at`, which is noted beside it, is neither lost nor a conflict.

use std::io::{Read as _, Write as _};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bakehouse_controller::ports::{StoreError, Version};
use bakehouse_machine::{Build, resources::Resources};
use bakehouse_protocol::{BuildId, Millis, Timestamp, VERSION};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::{
    Key, Table, Written, failed,
    item::{self, Item},
    update::{Update, n, s},
};
use crate::stack::store_error;

/// A longer record is compressed.
const PLAIN: usize = 200 * 1024;
/// The longest record that fits in an item with room for the other attributes. DynamoDB counts the raw bytes of a binary
/// value, not those of its base64.
const MOST: usize = 384 * 1024;
/// No record of ours is longer than this when it is unpacked.
const UNPACKED: u64 = 64 * 1024 * 1024;
/// How long the record of a build that has ended is kept.
const KEPT: Millis = Millis::minutes(90 * 24 * 60);

/// Why a record can't be kept or read.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("it is {} kB even compressed, and an item of the table holds {} kB", .0 / 1024, MOST / 1024)]
    TooLarge(usize),
    #[error("it is of format {0}, and this program knows {VERSION}")]
    Format(u64),
    #[error(transparent)]
    Damaged(#[from] item::Damaged),
    #[error("it is damaged, or of another version of Bakehouse")]
    Json(#[from] serde_json::Error),
    #[error("compressing it")]
    Compress(#[source] std::io::Error),
    #[error("unpacking it")]
    Unpack(#[source] std::io::Error),
}

impl Table {
    pub(super) async fn load_record(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        let item = self.get(&Key::build(id)).await?.ok_or_else(|| StoreError::NotFound(id.clone()))?;
        decode(&item).map_err(|error| failed(format!("reading the record of {id}"), error))
    }

    /// The records of these builds, in no order, in few calls; one that is not there is left out. Why one can't be read
    /// stands in its place.
    ///
    /// # Errors
    /// [`StoreError`] if the table can't be read.
    pub async fn load_all(&self, ids: &[BuildId]) -> Result<Vec<Result<Build, StoreError>>, StoreError> {
        let keys: Vec<Key> = ids.iter().map(Key::build).collect();
        let items = self.get_all(&keys).await?;
        let read = |item: &Item| {
            let name = || item::text(item, "id").unwrap_or("a build").to_owned();
            decode(item)
                .map(|(build, _)| build)
                .map_err(|error| failed(format!("reading the record of {}", name()), error))
        };
        Ok(items.iter().map(read).collect())
    }

    pub(super) async fn save_record(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        let next = Version(version.0 + 1);
        let (update, mark) = saved(build, next)?;
        let update = update.speak("was", n(version.0));
        match self.update(&Key::build(&build.id), update, Some("#version = :was")).await? {
            Written::Done(_) => Ok(next),
            Written::Not(Some(item)) if is_ours(&item, &mark) => Ok(next),
            Written::Not(Some(_)) => Err(StoreError::Conflict(build.id.clone())),
            Written::Not(None) => Err(StoreError::NotFound(build.id.clone())),
        }
    }

    pub(super) async fn create_record(&self, build: &Build) -> Result<bool, StoreError> {
        let (update, mark) = saved(build, Version(1))?;
        match self.update(&Key::build(&build.id), update, Some("attribute_not_exists(#pk)")).await? {
            Written::Done(_) => Ok(true),
            Written::Not(item) => Ok(item.is_some_and(|item| is_ours(&item, &mark))),
        }
    }

    /// Notes for when a build's tick is arranged. No part of the record: it changes no version.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn note_tick(&self, id: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        let update = Update::default().set("tick_at", n(at.0));
        // A build that is there no more needs no tick, and gets no item by this.
        self.update(&Key::build(id), update, Some("attribute_exists(#pk)")).await.map(|_| ())
    }

    /// For when a build's tick is arranged, as far as is known. It may be a moment old: the worst is one tick too many.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn tick_at(&self, id: &BuildId) -> Result<Option<Timestamp>, StoreError> {
        let key = Key::build(id);
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key.attributes()));
        let answer = get.projection_expression("tick_at").send().await;
        let item = answer.map_err(|error| store_error::failed(&self.call("GetItem", &key), error))?.item;
        Ok(item.and_then(|item| item::time(&item, "tick_at").ok()))
    }
}

/// What a save sets, and the mark by which we know it for ours.
fn saved(build: &Build, version: Version) -> Result<(Update, String), StoreError> {
    let saving = || format!("saving the record of {}", build.id);
    let random = getrandom::u64().map_err(|error| failed(saving(), error))?;
    let mark = format!("{random:016x}");
    let update = encode(build, version).map_err(|error| match error {
        RecordError::TooLarge(_) => StoreError::TooLarge(format!("{}: {error}", saving())),
        error => failed(saving(), error),
    })?;
    Ok((update.set("saved_by", s(mark.clone())), mark))
}

/// Whether the item is what this very call wrote: its first attempt was performed, its answer lost, and the SDK tried
/// again. Without this a build would conflict with itself, and the commands of that save wait until they count as lost.
fn is_ours(item: &Item, mark: &str) -> bool {
    item::text(item, "saved_by").is_ok_and(|by| by == mark)
}

fn encode(build: &Build, version: Version) -> Result<Update, RecordError> {
    let text = serde_json::to_string(build)?;
    let ended = build.phase.has_ended();
    let mut update = Update::default()
        .set("version", n(version.0))
        .set("format", n(build.format.into()))
        .set("state", s(if ended { "ended" } else { "running" }))
        .set("id", s(build.id.as_str()))
        .set("recipe", s(&build.recipe))
        .set("phase", s(build.phase.name().as_str()))
        .set("accepted_at", n(build.accepted_at.0));
    let resources = resources(&build.resources);
    update = match resources.is_empty() {
        true => update.remove("resources"),
        false => update.set("resources", AttributeValue::Ss(resources)),
    };
    if ended {
        // DynamoDB counts in seconds here.
        update = update.set("expires", n((build.phase_began() + KEPT).0 / 1000));
    }
    if text.len() <= PLAIN {
        return Ok(update.set("record", s(text)).remove("record_gz"));
    }
    let packed = pack(text.as_bytes()).map_err(RecordError::Compress)?;
    if packed.len() > MOST {
        return Err(RecordError::TooLarge(packed.len()));
    }
    Ok(update.set("record_gz", AttributeValue::B(Blob::new(packed))).remove("record"))
}

fn decode(item: &Item) -> Result<(Build, Version), RecordError> {
    // The format first: a record of another one may well not be understood.
    let format = item::number(item, "format")?;
    if format != u64::from(VERSION) {
        return Err(RecordError::Format(format));
    }
    let version = Version(item::number(item, "version")?);
    let build = match item.get("record_gz") {
        Some(AttributeValue::B(packed)) => {
            let mut text = Vec::new();
            GzDecoder::new(packed.as_ref()).take(UNPACKED).read_to_end(&mut text).map_err(RecordError::Unpack)?;
            serde_json::from_slice(&text)?
        }
        _ => serde_json::from_str(item::text(item, "record")?)?,
    };
    Ok((build, version))
}

fn pack(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text)?;
    packer.finish()
}

/// The ids by which EC2's notifications name what a build has made.
fn resources(resources: &Resources) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    ids.extend(resources.volume.iter().map(|volume| volume.id.to_string()));
    ids.extend(resources.snapshot.iter().map(|snapshot| snapshot.id.to_string()));
    for image in &resources.images {
        ids.push(image.id.to_string());
        ids.extend(image.snapshots.iter().map(ToString::to_string));
    }
    // DynamoDB refuses a set that holds a thing twice.
    ids.sort();
    ids.dedup();
    ids
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
