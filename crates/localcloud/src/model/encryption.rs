//! Which volumes and snapshots are encrypted, and with which key.

use crate::{ApiError, resource::Permissions};

/// How the embedded cloud names an account's default key for EBS.
pub(super) const DEFAULT_KEY: &str = "alias/aws/ebs";

/// Whether a volume or snapshot is encrypted, and with which key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Encryption {
    pub(super) encrypted: bool,
    pub(super) kms_key_id: Option<String>,
}

/// Returns the encryption of what is made from `source`. A key needs the flag; an encrypted source makes an encrypted
/// copy, with its own key if `keeps_key`, else with the default key.
pub(super) fn made_from(
    source: &Encryption,
    encrypted: Option<bool>,
    kms_key_id: Option<&String>,
    keeps_key: bool,
) -> Result<Encryption, ApiError> {
    if kms_key_id.is_some() && encrypted != Some(true) {
        return Err(ApiError::new(
            "InvalidParameterDependency",
            "The parameter KmsKeyId requires the parameter Encrypted to be set.",
        ));
    }
    match (source.encrypted, encrypted) {
        (true, Some(false)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "There is no unencrypted copy of an encrypted snapshot: Encrypted may not be false.",
        )),
        (false, None | Some(false)) => Ok(Encryption::default()),
        (was_encrypted, _) => {
            let own = source.kms_key_id.as_ref().filter(|_| was_encrypted && keeps_key);
            let key = kms_key_id.or(own).map_or(DEFAULT_KEY, String::as_str);
            Ok(Encryption { encrypted: true, kms_key_id: Some(key.to_owned()) })
        }
    }
}

/// Refuses to share what is encrypted with the default key, or to make public what is encrypted at all.
pub(super) fn check_sharing(id: &str, encryption: &Encryption, shared: &Permissions) -> Result<(), ApiError> {
    let refused = |why: &str| Err(ApiError::new("OperationNotPermitted", format!("{id}: {why}")));
    if !encryption.encrypted {
        return Ok(());
    }
    if shared.groups.contains("all") {
        return refused("Encrypted snapshots cannot be shared publicly");
    }
    let is_shared = shared != &Permissions::default();
    if is_shared && encryption.kms_key_id.as_deref() == Some(DEFAULT_KEY) {
        return refused("Encrypted snapshots with EBS default key cannot be shared");
    }
    Ok(())
}
