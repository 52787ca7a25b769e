//! EC2's error codes, sorted by what follows from them. The table is that of EC2's error reference and of its guides
//! (`shared/aws-facts.md`, 2.2); codes are matched, never HTTP states or, with the exceptions below, texts.

use bakehouse_machine::{Fault, FaultKind};

/// The fault that an EC2 error is. `operation` names the call and the thing.
pub fn fault(operation: &str, code: &str, message: &str) -> Fault {
    let fault = Fault::new(kind(code, message), format!("{operation}: {code}: {message}"));
    match hint(code, message) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn kind(code: &str, message: &str) -> FaultKind {
    match code {
        // Limits on calls or on what may go on at once: they pass by themselves.
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "SnapshotCreationPerVolumeRateExceeded"
        | "ConcurrentSnapshotLimitExceeded"
        | "PendingSnapshotLimitExceeded"
        | "ResourceLimitExceeded"
        | "AttachmentLimitExceeded"
        | "InsufficientVolumeCapacity"
        | "ConcurrentTagAccess" => FaultKind::Throttled,
        // The service failed: whether it did what was asked is not known.
        "Unavailable" | "ServiceUnavailable" | "InternalError" | "InternalFailure" | "RequestTimeout" => {
            FaultKind::InDoubt
        }
        "IncorrectState" | "IncorrectInstanceState" | "VolumeInUse" | "InvalidSnapshot.InUse" => FaultKind::NotYet,
        "InvalidAMIID.Unavailable" => FaultKind::NotYet,
        // The one code whose text decides: the storage of a pending image is "not available" yet, that of an image
        // which is not shared never will be.
        "InvalidRequest" if message.contains("not available in the source region") => FaultKind::NotYet,
        "InvalidVolume.NotFound"
        | "InvalidSnapshot.NotFound"
        | "InvalidAMIID.NotFound"
        | "InvalidInstanceID.NotFound"
        | "InvalidAttachment.NotFound" => FaultKind::Gone,
        "InvalidParameterValue" if message.contains("Attachment point") => FaultKind::Taken,
        "InvalidAMIName.Duplicate" => FaultKind::Taken,
        _ => FaultKind::Refused,
    }
}

fn hint(code: &str, message: &str) -> Option<&'static str> {
    match code {
        "InvalidAMIName.Duplicate" => {
            Some("make `ami_name` unique: {{timestamp}} counts seconds, {{uuid}} is never the same twice")
        }
        "UnauthorizedOperation" => Some("the role lacks the permission for this call"),
        "LocalDiskError" if message.contains("No space left") => {
            Some("look at the free space of the state directory (`--state`)")
        }
        "VolumeLimitExceeded" | "SnapshotLimitExceeded" => Some("raise the quota, or remove what is no longer needed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_follows() {
        assert_eq!(fault("x", "RequestLimitExceeded", "").kind, FaultKind::Throttled);
        assert_eq!(fault("x", "InternalError", "").kind, FaultKind::InDoubt);
        assert_eq!(fault("x", "InvalidVolume.NotFound", "").kind, FaultKind::Gone);
        assert_eq!(fault("x", "UnauthorizedOperation", "").kind, FaultKind::Refused);
    }

    #[test]
    fn two_codes_are_told_apart_by_their_text() {
        let taken = "Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use";
        assert_eq!(fault("x", "InvalidParameterValue", taken).kind, FaultKind::Taken);
        assert_eq!(fault("x", "InvalidParameterValue", "Invalid size").kind, FaultKind::Refused);
        let pending = "The storage for the ami is not available in the source region";
        assert_eq!(fault("x", "InvalidRequest", pending).kind, FaultKind::NotYet);
        let unshared = "You do not have permission to access the storage of this ami";
        assert_eq!(fault("x", "InvalidRequest", unshared).kind, FaultKind::Refused);
    }

    #[test]
    fn a_message_names_the_call_and_the_services_words() {
        let fault = fault("DeleteVolume vol-01234567", "VolumeInUse", "it is attached");
        assert_eq!(fault.to_string(), "DeleteVolume vol-01234567: VolumeInUse: it is attached");
    }
}
