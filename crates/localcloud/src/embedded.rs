//! The calls of the embedded cloud that only its endpoint serves.

use std::sync::Arc;

use bakehouse_ec2::{ApiError, Ec2};
use bakehouse_protocol::{ImageId, Region};

/// An embedded cloud. Its futures are ready at once: no call waits for anything.
pub trait EmbeddedCloud: Ec2 {
    /// Returns the same cloud for the calls of an account.
    fn as_account(&self, account: &str) -> Arc<dyn EmbeddedCloud>;

    /// Takes back that an image is deprecated, or will be.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`.
    fn disable_image_deprecation(&self, region: &Region, image: &ImageId) -> Result<(), ApiError>;
}
