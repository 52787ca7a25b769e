//! EnableImageDeprecation, EnableImageDeregistrationProtection, AttachImageWatermark, and what takes the first two
//! back.

use bakehouse_protocol::{ImageId, Millis, Region, Timestamp};

use super::{check::check_name, protection::Protection, record::ImageRecord, state::Model};
use crate::{
    ApiError,
    request::{AttachImageWatermark, EnableImageDeprecation, EnableImageDeregistrationProtection},
    resource::ImageState,
};

/// How long an image with a cooldown stays protected after that is no longer asked for.
const COOLDOWN: Millis = Millis::minutes(24 * 60);
const MINUTE: u64 = 60_000;
/// Ten years, the longest time until an image is deprecated.
const LONGEST: Millis = Millis::minutes(10 * 366 * 24 * 60);
/// The most watermarks of an image.
const MAX_WATERMARKS: usize = 5;

impl Model {
    fn available_image(&mut self, now: Timestamp, region: &Region, id: &ImageId) -> Result<&mut ImageRecord, ApiError> {
        let account = self.caller().to_owned();
        let image = self.region_mut(region)?.own_image(id, &account)?;
        match image.state(now) {
            ImageState::Available => Ok(image),
            state => Err(ApiError::new(
                "InvalidAMIID.Unavailable",
                format!("The image ID '{id}' is currently {state} and may not be used"),
            )),
        }
    }

    /// EnableImageDeprecation.
    ///
    /// # Errors
    /// As [`crate::Ec2::enable_image_deprecation`].
    pub fn enable_image_deprecation(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &EnableImageDeprecation,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let at = Timestamp((request.deprecate_at.0 + MINUTE / 2) / MINUTE * MINUTE);
        let image = self.available_image(now, region, &request.image_id)?;
        if at <= now || at > now + LONGEST {
            let message = "DeprecateAt must be in the future, and at most ten years from now.";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        image.facts.deprecation_time = Some(at);
        Ok(())
    }

    /// DisableImageDeprecation.
    ///
    /// # Errors
    /// As [`crate::EmbeddedCloud::disable_image_deprecation`].
    pub fn disable_image_deprecation(&mut self, now: Timestamp, region: &Region, id: &ImageId) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.available_image(now, region, id)?.facts.deprecation_time = None;
        Ok(())
    }

    /// EnableImageDeregistrationProtection.
    ///
    /// # Errors
    /// As [`crate::Ec2::enable_image_deregistration_protection`].
    pub fn enable_image_deregistration_protection(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let protection = if request.with_cooldown { Protection::WithCooldown } else { Protection::On };
        self.available_image(now, region, &request.image_id)?.protection = protection;
        Ok(())
    }

    /// DisableImageDeregistrationProtection.
    ///
    /// # Errors
    /// As [`crate::Ec2::disable_image_deregistration_protection`].
    pub fn disable_image_deregistration_protection(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &ImageId,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let image = self.available_image(now, region, id)?;
        image.protection = match image.protection {
            Protection::WithCooldown => Protection::Until(now + COOLDOWN),
            until @ Protection::Until(_) => until,
            Protection::On | Protection::Off => Protection::Off,
        };
        Ok(())
    }

    /// AttachImageWatermark.
    ///
    /// # Errors
    /// As [`crate::Ec2::attach_image_watermark`].
    pub fn attach_image_watermark(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &AttachImageWatermark,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let invalid = |message: String| Err(ApiError::new("InvalidParameterValue", message));
        if check_name(&request.watermark_name).is_err() {
            return invalid(format!("The watermark name '{}' is malformed", request.watermark_name));
        }
        let key = format!("{}:{}", self.caller(), request.watermark_name);
        let watermarks = &mut self.available_image(now, region, &request.image_id)?.facts.watermarks;
        if watermarks.contains(&key) {
            return invalid(format!("The image has the watermark {key} already"));
        }
        if watermarks.len() == MAX_WATERMARKS {
            return invalid(format!("An image has at most {MAX_WATERMARKS} watermarks"));
        }
        watermarks.push(key);
        Ok(())
    }
}
