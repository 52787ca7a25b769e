//! Bundles, as objects of the stack's bucket under their digests. What is fetched is checked before it is returned: a
//! bundle comes from whoever may write to the bucket, and its files run as root.

use std::{error::Error, time::Duration};

use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client, Config,
    error::{ProvideErrorMetadata as _, SdkError},
    primitives::ByteStream,
};
use bakehouse_bundle::{Limits, verify};
use bakehouse_protocol::{BundleRef, Fault, FaultKind};

use crate::Call;

/// An upload takes as long as the line of a person at home makes it take. One that stands still is ended by the SDK's
/// own protection against that.
fn upload() -> TimeoutConfig {
    let (attempt, operation) = (Duration::from_secs(20 * 60), Duration::from_secs(60 * 60));
    TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(operation).build()
}

/// The bundles of a stack.
#[derive(Clone, Debug)]
pub struct Bundles {
    client: Client,
    bucket: String,
    limits: Limits,
}

impl Bundles {
    /// The bundles in this bucket.
    pub fn new(sdk: &SdkConfig, bucket: &str) -> Self {
        Self { client: Client::new(sdk), bucket: bucket.to_owned(), limits: Limits::default() }
    }

    /// Puts a bundle there. One of the same digest that is there already is left as it is.
    ///
    /// # Errors
    /// A fault of S3; Permanent if the bytes are different from the reference.
    pub async fn put(&self, bundle: &BundleRef, bytes: Vec<u8>) -> Result<(), Fault> {
        verify(&bytes, bundle).map_err(|error| refused(bundle, &error))?;
        let call = self.call("PutObject", bundle);
        let put = self.client.put_object().bucket(&self.bucket).key(&bundle.key).if_none_match("*");
        let put = put.content_type("application/gzip").body(ByteStream::from(bytes));
        match put.customize().config_override(Config::builder().timeout_config(upload())).send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().code() == Some("PreconditionFailed") => Ok(()),
            Err(error) => Err(call.fault(error)),
        }
    }

    fn call(&self, action: &'static str, bundle: &BundleRef) -> Call {
        Call::new("s3", action, format!("{} in the bucket {}", bundle.key, self.bucket))
    }

    /// Returns a bundle's bytes, checked against the reference.
    ///
    /// # Errors
    /// A fault of S3; Permanent if the object is different from the reference.
    pub async fn fetch(&self, bundle: &BundleRef) -> Result<Vec<u8>, Fault> {
        if bundle.size > self.limits.packed {
            let why = format!("it has {} bytes, and a bundle may have {}", bundle.size, self.limits.packed);
            return Err(refused(bundle, &why));
        }
        let call = self.call("GetObject", bundle);
        let get = self.client.get_object().bucket(&self.bucket).key(&bundle.key);
        let mut object = get.send().await.map_err(|error| call.fault(error))?;
        // Before a byte of it is read: what is larger than it says is not to fill the memory.
        let length = object.content_length().and_then(|length| u64::try_from(length).ok());
        if length != Some(bundle.size) {
            let is = length.map_or_else(|| "an unknown number of".to_owned(), |length| length.to_string());
            return Err(refused(bundle, &format!("the object has {is} bytes, not {}", bundle.size)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(bundle.size).unwrap_or(0));
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(|error| cut(&call, &error))?;
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > bundle.size {
                return Err(refused(bundle, &"the object has more bytes than S3 said"));
            }
        }
        verify(&bytes, bundle).map_err(|error| refused(bundle, &error))?;
        Ok(bytes)
    }
}

fn refused(bundle: &BundleRef, why: &dyn std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Permanent, format!("the bundle {}: {why}", bundle.key))
}

fn cut(call: &Call, error: &(dyn Error + 'static)) -> Fault {
    Fault::new(FaultKind::Ambiguous, format!("{call}: the answer broke off: {error}"))
}
