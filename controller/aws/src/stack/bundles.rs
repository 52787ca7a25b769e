//! The stack's bundles, for the controller.

use bakehouse_controller::stack;
use bakehouse_protocol::{BundleRef, Fault};

/// The stack's bundles.
#[derive(Clone, Debug)]
pub struct Bundles(pub bakehouse_aws::Bundles);

impl stack::Bundles for Bundles {
    async fn fetch(&self, bundle: &BundleRef) -> Result<Vec<u8>, Fault> {
        self.0.fetch(bundle).await
    }
}
