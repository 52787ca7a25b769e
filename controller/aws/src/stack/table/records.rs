//! Build records: saved only if their version is unchanged.
//!
//! A record is JSON, compressed if it is large (DynamoDB's limit of an item is 400 kB). A save sets only the record's
//! own attributes, so that `tick_at`, which is in the same item, is neither lost nor a conflict.

use std::io::{Read as _, Write as _};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bakehouse_controller::ports::{StoreError, Version};
use bakehouse_machine::{Build, resources::Resources};
use bakehouse_protocol::{BuildId, Millis, Timestamp, VERSION};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::{
    Key, Table, WriteOutcome, failed,
    item::{self, Item},
    update::{Update, n, s},
};
use crate::stack::store_error;

/// Longer records are compressed.
const MAX_PLAIN_BYTES: usize = 200 * 1024;
/// The limit of a compressed record, which leaves room for the item's other attributes. DynamoDB counts the raw bytes
/// of a binary value, not its base64.
const MAX_COMPRESSED_BYTES: usize = 384 * 1024;
/// The limit of a decompressed record.
const MAX_DECOMPRESSED_BYTES: u64 = 64 * 1024 * 1024;
/// How long the record of an ended build is kept.
const RETENTION: Millis = Millis::minutes(90 * 24 * 60);

/// Why a record can't be saved or read.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("it is {} kB even compressed, and an item of the table holds {} kB", .0 / 1024, MAX_COMPRESSED_BYTES / 1024)]
    TooLarge(usize),
    #[error("it is of format {0}, and this program knows {VERSION}")]
    Format(u64),
    #[error(transparent)]
    InvalidAttribute(#[from] item::InvalidAttribute),
    #[error("it is damaged, or of another version of Bakehouse")]
    Json(#[from] serde_json::Error),
    #[error("can't compress it")]
    Compress(#[source] std::io::Error),
    #[error("can't decompress it")]
    Decompress(#[source] std::io::Error),
}

impl Table {
    pub(super) async fn load_record(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        let item = self.get(&Key::build(id)).await?.ok_or_else(|| StoreError::NotFound(id.clone()))?;
        decode(&item).map_err(|error| failed(format!("reading the record of {id}"), error))
    }

    /// Returns the records of these builds, in no order; missing ones are left out. A record that can't be read is an
    /// error in its place.
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
        let (update, mark) = record_update(build, next)?;
        let update = update.condition_value("was", n(version.0));
        match self.update(&Key::build(&build.id), update, Some("#version = :was")).await? {
            WriteOutcome::Written(_) => Ok(next),
            WriteOutcome::ConditionFailed(Some(item)) if is_ours(&item, &mark) => Ok(next),
            WriteOutcome::ConditionFailed(Some(_)) => Err(StoreError::Conflict(build.id.clone())),
            WriteOutcome::ConditionFailed(None) => Err(StoreError::NotFound(build.id.clone())),
        }
    }

    pub(super) async fn create_record(&self, build: &Build) -> Result<bool, StoreError> {
        let (update, mark) = record_update(build, Version(1))?;
        match self.update(&Key::build(&build.id), update, Some("attribute_not_exists(#pk)")).await? {
            WriteOutcome::Written(_) => Ok(true),
            WriteOutcome::ConditionFailed(item) => Ok(item.is_some_and(|item| is_ours(&item, &mark))),
        }
    }

    /// Records when a build's tick is scheduled. Not part of the build's record: the version stays the same.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn record_tick(&self, id: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        let update = Update::default().set("tick_at", n(at.0));
        // The condition keeps this from creating an item for a removed build.
        self.update(&Key::build(id), update, Some("attribute_exists(#pk)")).await.map(|_| ())
    }

    /// Returns when a build's tick is scheduled, if that is known. Read without consistency: at worst one tick too many
    /// is sent.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn tick_at(&self, id: &BuildId) -> Result<Option<Timestamp>, StoreError> {
        let key = Key::build(id);
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key.attributes()));
        let response = get.projection_expression("tick_at").send().await;
        let item = response.map_err(|error| store_error::failed(&self.call("GetItem", &key), error))?.item;
        Ok(item.and_then(|item| item::time(&item, "tick_at").ok()))
    }
}

/// Returns the update of a save, and the random mark that identifies it.
fn record_update(build: &Build, version: Version) -> Result<(Update, String), StoreError> {
    let saving = || format!("saving the record of {}", build.id);
    let random = getrandom::u64().map_err(|error| failed(saving(), error))?;
    let mark = format!("{random:016x}");
    let update = encode(build, version).map_err(|error| match error {
        RecordError::TooLarge(_) => StoreError::TooLarge(format!("{}: {error}", saving())),
        error => failed(saving(), error),
    })?;
    Ok((update.set("saved_by", s(mark.clone())), mark))
}

/// Whether this save itself wrote the item: its first attempt succeeded, the response was lost, and the SDK retried.
/// Without this a build would conflict with itself, and the commands of that save would wait for their time-outs.
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
        // DynamoDB's time to live is in seconds.
        update = update.set("expires", n((build.phase_began() + RETENTION).0 / 1000));
    }
    if text.len() <= MAX_PLAIN_BYTES {
        return Ok(update.set("record", s(text)).remove("record_gz"));
    }
    let compressed = compress(text.as_bytes()).map_err(RecordError::Compress)?;
    if compressed.len() > MAX_COMPRESSED_BYTES {
        return Err(RecordError::TooLarge(compressed.len()));
    }
    Ok(update.set("record_gz", AttributeValue::B(Blob::new(compressed))).remove("record"))
}

fn decode(item: &Item) -> Result<(Build, Version), RecordError> {
    // The format first: a record of another format may be unreadable.
    let format = item::number(item, "format")?;
    if format != u64::from(VERSION) {
        return Err(RecordError::Format(format));
    }
    let version = Version(item::number(item, "version")?);
    let build = match item.get("record_gz") {
        Some(AttributeValue::B(packed)) => {
            let mut text = Vec::new();
            GzDecoder::new(packed.as_ref())
                .take(MAX_DECOMPRESSED_BYTES)
                .read_to_end(&mut text)
                .map_err(RecordError::Decompress)?;
            serde_json::from_slice(&text)?
        }
        _ => serde_json::from_str(item::text(item, "record")?)?,
    };
    Ok((build, version))
}

fn compress(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text)?;
    encoder.finish()
}

/// Returns the ids of a build's resources, as EC2's notifications name them.
fn resources(resources: &Resources) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    ids.extend(resources.volume.iter().map(|volume| volume.id.to_string()));
    ids.extend(resources.snapshot.iter().map(|snapshot| snapshot.id.to_string()));
    for image in &resources.images {
        ids.push(image.id.to_string());
        ids.extend(image.snapshots.iter().map(ToString::to_string));
    }
    // DynamoDB refuses duplicates in a set.
    ids.sort();
    ids.dedup();
    ids
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
