//! CopyImage.

use bakehouse_protocol::{ImageId, Region, SnapshotId, Timestamp};

use super::{
    check::{check_description, check_name, check_tags, check_token},
    encryption::{Encryption, made_from},
    errors::{mismatch, no_image},
    ids,
    protection::Protection,
    record::{ImageRecord, Ready, SnapshotRecord, Token},
    state::Model,
    tags,
};
use crate::{
    ApiError,
    request::CopyImage,
    resource::{Image, ImageState, Permissions, Snapshot, SnapshotState, Tags},
    timestamp::iso8601,
};

/// Snapshots, and the encryption of their copies.
type Storage = Vec<(Snapshot, Encryption)>;

impl Model {
    /// CopyImage into `region`, the destination. The same client token returns the same image.
    ///
    /// # Errors
    /// As [`crate::Ec2::copy_image`].
    pub fn copy_image(&mut self, now: Timestamp, region: &Region, request: &CopyImage) -> Result<ImageId, ApiError> {
        let now = self.advance(now);
        check_token(request.client_token.as_ref())?;
        let destination = self.region(region)?;
        if let Some(token) = request.client_token.as_ref().and_then(|token| destination.copy_tokens.get(token)) {
            return if token.request == *request { Ok(token.id.clone()) } else { Err(mismatch()) };
        }
        check_name(&request.name)?;
        check_description(request.description.as_deref().unwrap_or_default())?;
        check_tags(&request.image_tags)?;
        check_tags(&request.snapshot_tags)?;
        if request
            .snapshot_copy_completion_duration_minutes
            .is_some_and(|it| it % 15 != 0 || !(15..=2880).contains(&it))
        {
            let message = "SnapshotCopyCompletionDurationMinutes must be a multiple of 15 from 15 to 2880.";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let (source, storage) = self.copy_source(now, request)?;
        destination.check_free(&request.name, self.caller(), now)?;
        let inherited = if request.copy_image_tags { self.own_tags(&source) } else { Tags::new() };
        let image_tags = tags::merged(&inherited, &request.image_tags)?;

        let image_id: ImageId = self.ids.next("ami-")?;
        let ready = now + self.delays.copy_image;
        let mut mappings = source.block_device_mappings.clone();
        for (snapshot, encryption) in storage {
            let copy = self.copied_snapshot(now, request, &image_id, &snapshot, encryption)?;
            for ebs in mappings.iter_mut().filter_map(|it| it.ebs.as_mut()) {
                if ebs.snapshot_id.as_ref() == Some(&snapshot.snapshot_id) {
                    ebs.snapshot_id = Some(copy.snapshot_id.clone());
                    ebs.encrypted = Some(copy.encrypted);
                }
            }
            let record = SnapshotRecord { facts: copy, ready: Ready::At(ready), deleted: false };
            self.region_mut(region)?.snapshots.insert(record.facts.snapshot_id.clone(), record);
        }
        let facts = Image {
            image_id: image_id.clone(),
            name: request.name.clone(),
            description: request.description.clone().unwrap_or_else(|| source.description.clone()),
            owner_id: self.caller().to_owned(),
            image_owner_alias: None,
            state: ImageState::Pending,
            block_device_mappings: mappings,
            creation_date: iso8601(now),
            deprecation_time: None,
            // Never copied.
            launch_permission: Permissions::default(),
            source_image_id: Some(request.source_image_id.clone()),
            source_image_region: Some(request.source_region.clone()),
            tags: image_tags,
            ..source
        };
        let state = self.region_mut(region)?;
        state.images.insert(
            image_id.clone(),
            ImageRecord { facts, created: now, ready: Ready::At(ready), protection: Protection::Off },
        );
        if let Some(token) = &request.client_token {
            let entry = Token { request: request.clone(), id: image_id.clone(), at: now };
            state.copy_tokens.insert(token.clone(), entry);
        }
        Ok(image_id)
    }

    /// The source as it is now, and its snapshots, each once, with the encryption of their copies.
    fn copy_source(&self, now: Timestamp, request: &CopyImage) -> Result<(Image, Storage), ApiError> {
        let id = &request.source_image_id;
        let state = self.region(&request.source_region)?;
        let image = state.images.get(id).filter(|it| it.visible_to(self.caller())).ok_or_else(|| no_image(id))?;
        let refused = |message: &str| ApiError::new("InvalidRequest", message);
        if image.state(now) != ImageState::Available {
            return Err(refused("The storage for the ami is not available in the source region."));
        }
        let mut storage = Storage::new();
        for id in image.facts.snapshots() {
            let snapshot = state
                .snapshots
                .get(id)
                .filter(|it| self.may_read(it))
                .ok_or_else(|| refused("You do not have permission to access the storage of this ami"))?;
            if !storage.iter().any(|(it, _)| it.snapshot_id == *id) {
                // A copy has the key that is named, or the destination's default key.
                let key = request.kms_key_id.as_ref();
                let encryption = made_from(&snapshot.encryption(), request.encrypted, key, false)?;
                storage.push((snapshot.view(now), encryption));
            }
        }
        Ok((image.view(now), storage))
    }

    /// The tags that CopyImageTags copies: the user's own, not AWS's; of another account's image, none.
    fn own_tags(&self, source: &Image) -> Tags {
        if source.owner_id != self.caller() {
            return Tags::new();
        }
        source.tags.iter().filter(|(key, _)| !key.starts_with("aws:")).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    fn copied_snapshot(
        &mut self,
        now: Timestamp,
        request: &CopyImage,
        image: &ImageId,
        source: &Snapshot,
        encryption: Encryption,
    ) -> Result<Snapshot, ApiError> {
        let snapshot_id: SnapshotId = self.ids.next("snap-")?;
        Ok(Snapshot {
            snapshot_id,
            volume_id: ids::fixed("vol-ffffffff")?,
            volume_size: source.volume_size,
            state: SnapshotState::Pending,
            state_message: None,
            progress: String::new(),
            start_time: now,
            owner_id: self.caller().to_owned(),
            description: format!(
                "Copied for DestinationAmi {image} from SourceAmi {} for SourceSnapshot {}.",
                request.source_image_id, source.snapshot_id
            ),
            encrypted: encryption.encrypted,
            kms_key_id: encryption.kms_key_id,
            create_volume_permission: Permissions::default(),
            tags: request.snapshot_tags.clone(),
        })
    }
}
