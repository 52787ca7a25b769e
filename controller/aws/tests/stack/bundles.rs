//! Bundles in the bucket.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::{Client, primitives::ByteStream};
use bakehouse_aws::Bundles;
use bakehouse_bundle::sha256;
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::BundleRef;

use crate::stack::{self, Stack};

async fn with_bucket(test: &str) -> Option<(Stack, Bundles)> {
    let stack = stack::bare(test)?;
    Client::new(&stack.sdk).create_bucket().bucket(&stack.config.bucket).send().await.unwrap();
    let bundles = Bundles::new(&stack.sdk, &stack.config.bucket);
    Some((stack, bundles))
}

fn reference(bytes: &[u8]) -> BundleRef {
    let sha256 = sha256(bytes);
    BundleRef { key: format!("bundles/{sha256}.tar.gz"), sha256, size: bytes.len() as u64 }
}

async fn place(stack: &Stack, key: &str, bytes: &'static [u8]) {
    let put = Client::new(&stack.sdk).put_object().bucket(&stack.config.bucket).key(key);
    put.body(ByteStream::from_static(bytes)).send().await.unwrap();
}

fn refused(fetched: Result<Vec<u8>, Fault>) -> String {
    let fault = fetched.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent, "{fault}");
    fault.message
}

#[tokio::test]
async fn a_bundle_comes_back_as_it_was_put() {
    let Some((_stack, bundles)) = with_bucket("a_bundle_comes_back_as_it_was_put").await else { return };
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let bundle = reference(&bytes);
    bundles.put(&bundle, bytes.clone()).await.unwrap();
    assert_eq!(bundles.fetch(&bundle).await.unwrap(), bytes);
}

#[tokio::test]
async fn an_existing_bundle_is_not_uploaded_again() {
    let Some((stack, bundles)) = with_bucket("an_existing_bundle_is_not_uploaded_again").await else { return };
    let bundle = reference(b"a bundle");
    place(&stack, &bundle.key, b"somebody").await;
    bundles.put(&bundle, b"a bundle".to_vec()).await.unwrap();
    // It was not replaced, and a fetch finds that its digest is another.
    let message = refused(bundles.fetch(&bundle).await);
    assert!(message.contains("its SHA-256 is"), "{message}");
}

#[tokio::test]
async fn bytes_with_another_digest_are_not_uploaded() {
    let test = "bytes_with_another_digest_are_not_uploaded";
    let Some((_stack, bundles)) = with_bucket(test).await else { return };
    let bundle = reference(b"a bundle");
    assert_eq!(bundles.put(&bundle, b"another!".to_vec()).await.unwrap_err().kind, FaultKind::Permanent);
    assert_eq!(bundles.fetch(&bundle).await.unwrap_err().kind, FaultKind::NotFound);
}

#[tokio::test]
async fn an_object_of_another_size_is_not_read() {
    let Some((stack, bundles)) = with_bucket("an_object_of_another_size_is_not_read").await else { return };
    let bundle = reference(b"a bundle");
    place(&stack, &bundle.key, b"a bundle, and more").await;
    let message = refused(bundles.fetch(&bundle).await);
    assert_eq!(message, format!("the bundle {}: the object has 18 bytes, not 8", bundle.key));
}

#[tokio::test]
async fn a_reference_beyond_the_size_limit_is_refused() {
    let test = "a_reference_beyond_the_size_limit_is_refused";
    let Some((_stack, bundles)) = with_bucket(test).await else { return };
    let bundle = BundleRef { size: 1 << 40, ..reference(b"a bundle") };
    let message = refused(bundles.fetch(&bundle).await);
    assert!(message.ends_with("it has 1099511627776 bytes, and a bundle may have 67108864"), "{message}");
}

#[tokio::test]
async fn a_missing_object_or_bucket_is_named() {
    let test = "a_missing_object_or_bucket_is_named";
    let Some((mut stack, bundles)) = with_bucket(test).await else { return };
    let bundle = reference(b"a bundle");
    let fault = bundles.fetch(&bundle).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    stack.config.bucket = "another".to_owned();
    let fault = Bundles::new(&stack.sdk, &stack.config.bucket).fetch(&bundle).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent, "{fault}");
    assert!(fault.message.contains("in the bucket another: NoSuchBucket"), "{fault}");
}

#[tokio::test]
async fn uploads_have_no_time_limit_and_other_calls_have() {
    let test = "uploads_have_no_time_limit_and_other_calls_have";
    let Some((stack, _)) = with_bucket(test).await else { return };
    let short = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_micros(100)).build();
    let hurried = Bundles::new(&stack.sdk.to_builder().timeout_config(short).build(), &stack.config.bucket);
    let bundle = reference(b"a bundle");
    hurried.put(&bundle, b"a bundle".to_vec()).await.unwrap();
    let fault = hurried.fetch(&bundle).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Ambiguous, "{fault}");
}
