//! AWS's error codes, sorted by what follows from them: of EC2, and of every other service that is called (SQS, S3,
//! CloudWatch Logs, DynamoDB, SSM, KMS behind them). From EC2's error reference and each service's API reference; codes
//! are matched, never HTTP states or, with the exceptions below, texts.

use alloc::{borrow::ToOwned, format, string::String};
use core::fmt;

use bakehouse_protocol::{Fault, FaultKind};

use crate::ApiError;

/// The fault that an error of EC2 is. `operation` names the call, then the thing: `CreateVolume us-east-1a`.
pub fn fault(operation: &str, code: &str, message: &str) -> Fault {
    fault_of("ec2", operation, code, message)
}

/// The same for any service, by its prefix in IAM's actions (`ec2`, `ssm`). The codes that all services share are the
/// same; those of one service mean nothing elsewhere.
pub fn fault_of(service: &str, operation: &str, code: &str, message: &str) -> Fault {
    let operation = operation.trim_end();
    if is_refusal(code, message) {
        let missing = Missing::read(service, operation, message);
        return Fault::new(FaultKind::Permanent, format!("{operation}: {code}: {missing}"))
            .hint(format!("allow {} in the policy of the role or user that makes this call", missing.action));
    }
    let text = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
    let fault = Fault::new(kind(code, message), format!("{operation}: {text}"));
    match hint(code, message) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// The code of SQS's older protocol for a missing queue.
const NO_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";

fn kind(code: &str, message: &str) -> FaultKind {
    match code {
        // Limits on calls or on what may go on at once, and what was never sent: they pass by themselves.
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "EC2ThrottledException"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "SlowDown"
        | "SnapshotCreationPerVolumeRateExceeded"
        | "ConcurrentSnapshotLimitExceeded"
        | "PendingSnapshotLimitExceeded"
        | "ResourceLimitExceeded"
        | "AttachmentLimitExceeded"
        | "InsufficientVolumeCapacity"
        | "InsufficientInstanceCapacity"
        | "ConcurrentTagAccess"
        // DynamoDB's, KMS's and S3's. "LimitExceededException" is not here: it is about how many things there may be.
        | "ProvisionedThroughputExceededException"
        | "TransactionInProgressException"
        | "ReplicatedWriteConflictException"
        | "TransactionConflictException"
        | "KMS.ThrottlingException"
        | "KmsThrottled"
        | "OverLimit"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | ApiError::NOT_SENT => FaultKind::Throttled,
        // The service failed, or its answer is lost: whether it did what was asked is not known.
        "Unavailable"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerErrorException"
        | "InternalServiceError"
        | "KMSInternalException"
        | "DependencyTimeoutException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | ApiError::NO_ANSWER
        | ApiError::NOT_UNDERSTOOD => FaultKind::Ambiguous,
        "IncorrectState" | "IncorrectInstanceState" | "VolumeInUse" | "InvalidSnapshot.InUse" => FaultKind::NotReady,
        "InvalidAMIID.Unavailable" => FaultKind::NotReady,
        "AWS.SimpleQueueService.QueueDeletedRecently" | "QueueDeletedRecently" => FaultKind::NotReady,
        // The one code whose text decides: the storage of a pending image is "not available" yet, that of an image
        // which is not shared never will be.
        "InvalidRequest" if message.contains("not available in the source region") => FaultKind::NotReady,
        "InvalidVolume.NotFound"
        | "InvalidSnapshot.NotFound"
        | "InvalidAMIID.NotFound"
        | "InvalidInstanceID.NotFound"
        | "InvalidAttachment.NotFound"
        | NO_QUEUE
        | "QueueDoesNotExist"
        | "NoSuchKey"
        | "NotFound"
        | "ParameterNotFound" => FaultKind::NotFound,
        "InvalidParameterValue" if message.contains("Attachment point") => FaultKind::Conflict,
        "InvalidAMIName.Duplicate" => FaultKind::Conflict,
        // Everything else is about what was asked or who asked, and will be answered the same again: limits that only a
        // quota or a clean-up lifts (VolumeLimitExceeded, SnapshotLimitExceeded, MaxIOPSLimitExceeded,
        // TagLimitExceeded), parameters, keys, zones, credentials, and codes we do not know.
        _ => FaultKind::Permanent,
    }
}

fn hint(code: &str, message: &str) -> Option<&'static str> {
    match code {
        "InvalidAMIName.Duplicate" => {
            Some("make `ami_name` unique: {{timestamp}} counts seconds, {{uuid}} is never the same twice")
        }
        ApiError::LOCAL_DISK if message.contains("No space left") => {
            Some("look at the free space of the state directory (`--state`)")
        }
        "VolumeLimitExceeded" | "SnapshotLimitExceeded" | "MaxIOPSLimitExceeded" => {
            Some("raise the quota, or remove what is no longer needed")
        }
        "TagLimitExceeded" => Some("a resource has at most 50 tags, ours among them"),
        "InvalidVolume.ZoneMismatch" => Some("a volume and its instance must be in one Availability Zone"),
        "ResourceNotFoundException" if message.contains("Secrets Manager") => {
            Some("look at the secret's name and at the region")
        }
        "ResourceNotFoundException" | "NoSuchBucket" | "QueueDoesNotExist" | NO_QUEUE => {
            Some("is the stack deployed in this region and account?")
        }
        "CustomerKeyHasBeenRevoked" | "KMSKeyNotAccessibleFault" => {
            Some("look at the key's state and at its policy: whoever makes this call must be able to use it")
        }
        "OptInRequired" => Some("the account has not subscribed to this image or service; accept its terms first"),
        // EC2 says RequestExpired for temporary credentials that are over, too.
        "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Some(
            "the credentials are over (get new ones: `aws sso login`, or the command that gave them), or this machine's clock is wrong (`date -u`)",
        ),
        "RequestTimeTooSkewed" | "RequestInTheFuture" => Some("this machine's clock is wrong: look at `date -u`"),
        "InvalidSignatureException" | "SignatureDoesNotMatch"
            if message.contains("expired") || message.contains("not yet") =>
        {
            Some("this machine's clock is wrong: look at `date -u`")
        }
        "AuthFailure" if message.contains("validate the provided access credentials") => Some(
            "the access key is wrong, or this machine's clock is (`date -u`), or the account has not enabled this region",
        ),
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException" => {
            Some("the access key or its secret is wrong or deactivated, or the account has not enabled this region")
        }
        ApiError::NO_ENDPOINT => {
            Some("look at the region's name, at `custom_endpoint_ec2` and AWS_ENDPOINT_URL, and at name resolution")
        }
        ApiError::NOT_TRUSTED => {
            Some("a proxy that opens TLS, or an endpoint of your own: put its certificate into the system's store")
        }
        ApiError::NO_CREDENTIALS => Some(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile (AWS_PROFILE), or give the instance a role",
        ),
        _ => None,
    }
}

/// The part of AWS's message before the action that is not allowed.
const NOT_AUTHORIZED: &str = "not authorized to perform: ";

/// What stands before the decoded text of a refusal, in place of the encoded one.
pub const DECODED: &str = "Decoded: ";

/// Returns whether a code means that the caller lacks a permission.
pub fn is_refusal(code: &str, message: &str) -> bool {
    match code {
        "UnauthorizedOperation"
        | "Client.UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedAccess" => true,
        // Of the key behind a queue or a bucket: only the text says which of the key's actions it was.
        "KMS.AccessDeniedException" | "KmsAccessDenied" => message.contains(NOT_AUTHORIZED),
        _ => false,
    }
}

/// Returns what STS says of a role that may not be assumed. Its error has a type that the SDK keeps to itself, and so
/// stands in a chain of causes as text, between quotation marks.
pub fn sts_refusal(text: &str) -> Option<&str> {
    let (_, message) = text.split_once("message: \"")?;
    let message = message.split('"').next()?;
    let is_refusal = message.contains(NOT_AUTHORIZED) || message.contains("MultiFactorAuthentication failed");
    is_refusal.then_some(message)
}

/// What AWS says about a permission that is missing. Its text is long and ends in an encoded message of kilobytes; this
/// keeps who, what and why.
struct Missing<'a> {
    action: String,
    who: Option<&'a str>,
    on: Option<&'a str>,
    why: Option<&'a str>,
    /// The encoded message, if STS has decoded it.
    decoded: Option<&'a str>,
}

impl<'a> Missing<'a> {
    /// Reads
    /// `… User: ARN is not authorized to perform: ACTION on resource: ARN because WHY. Encoded authorization failure
    /// message: …`. Of older texts, which say nothing, the call tells the action.
    fn read(service: &str, operation: &str, message: &'a str) -> Self {
        let message = message.split("Encoded authorization failure message").next().unwrap_or_default().trim();
        let (message, decoded) = match message.split_once(DECODED) {
            Some((message, decoded)) => (message.trim(), Some(decoded)),
            None => (message, None),
        };
        let word = |after: &str| {
            let word = message.split_once(after)?.1.split_whitespace().next()?;
            Some(word.trim_end_matches(['.', ',']))
        };
        let call = operation.split_whitespace().next().unwrap_or_default();
        Self {
            action: word(NOT_AUTHORIZED)
                .filter(|action| action.contains(':'))
                .map_or_else(|| format!("{service}:{call}"), ToOwned::to_owned),
            who: word("User: "),
            on: word("on resource: "),
            why: message.split_once(" because ").map(|(_, why)| why.trim_end_matches('.')),
            decoded,
        }
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the permission {} is missing", self.action)?;
        if let Some(on) = self.on {
            write!(f, " on {on}")?;
        }
        if let Some(who) = self.who {
            write!(f, " for {who}")?;
        }
        if let Some(why) = self.why {
            write!(f, " ({why})")?;
        }
        match self.decoded {
            Some(decoded) => write!(f, ": {decoded}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[track_caller]
    fn all(kind: FaultKind, codes: &[&str]) {
        for code in codes {
            assert_eq!(fault("x", code, "").kind, kind, "{code}");
        }
    }

    #[test]
    fn codes_are_sorted_by_what_follows() {
        use FaultKind::*;
        all(
            Throttled,
            &[
                "RequestLimitExceeded",
                "Throttling",
                "SnapshotCreationPerVolumeRateExceeded",
                "ConcurrentSnapshotLimitExceeded",
                "PendingSnapshotLimitExceeded",
                "ResourceLimitExceeded",
                "AttachmentLimitExceeded",
                "InsufficientVolumeCapacity",
                "InsufficientInstanceCapacity",
                "ConcurrentTagAccess",
                "NotSent",
            ],
        );
        all(Ambiguous, &["Unavailable", "ServiceUnavailable", "InternalError", "InternalFailure"]);
        all(Ambiguous, &["NoAnswer", "AnswerNotUnderstood"]);
        all(NotReady, &["IncorrectState", "IncorrectInstanceState", "VolumeInUse", "InvalidSnapshot.InUse"]);
        all(NotReady, &["InvalidAMIID.Unavailable"]);
        all(NotFound, &["InvalidVolume.NotFound", "InvalidSnapshot.NotFound", "InvalidAMIID.NotFound"]);
        all(NotFound, &["InvalidInstanceID.NotFound", "InvalidAttachment.NotFound"]);
        all(Conflict, &["InvalidAMIName.Duplicate"]);
        all(
            Permanent,
            &[
                "UnauthorizedOperation",
                "InvalidVolume.ZoneMismatch",
                "SnapshotLimitExceeded",
                "VolumeLimitExceeded",
                "MaxIOPSLimitExceeded",
                "TagLimitExceeded",
                "IdempotentParameterMismatch",
                "CustomerKeyHasBeenRevoked",
                "EncryptedVolumesNotSupported",
                "InvalidBlockDeviceMapping",
                "InvalidAMIName.Malformed",
                "OptInRequired",
                "UnknownVolumeType",
                "InvalidParameterCombination",
                "DependencyViolation",
                "OperationNotPermitted",
                "IncorrectModificationState",
                "VolumeTypeNotAvailableInZone",
                "RequestExpired",
                "AuthFailure",
                "NoCredentials",
                "NoSuchEndpoint",
                "EndpointNotTrusted",
                "SomethingNew",
            ],
        );
    }

    #[test]
    fn codes_of_other_services_are_sorted_by_what_follows() {
        use FaultKind::*;
        all(Throttled, &["ProvisionedThroughputExceededException", "KMS.ThrottlingException", "SlowDown"]);
        all(Ambiguous, &["InternalServerError", "InternalServerErrorException"]);
        all(NotFound, &["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "NoSuchKey"]);
        all(NotReady, &["QueueDeletedRecently"]);
        all(Permanent, &["ResourceNotFoundException", "NoSuchBucket", "ConditionalCheckFailedException"]);
    }

    #[test]
    fn the_text_of_sts_is_found_in_a_chain_of_causes() {
        let text = "service error: Error { message: \"User: x is not authorized to perform: sts:AssumeRole on y\" }";
        assert_eq!(sts_refusal(text), Some("User: x is not authorized to perform: sts:AssumeRole on y"));
        let mfa = "message: \"MultiFactorAuthentication failed with invalid MFA one time pass code. \"";
        assert!(sts_refusal(mfa).is_some_and(|text| text.starts_with("MultiFactorAuthentication failed")));
        assert_eq!(sts_refusal("message: \"the token has expired\""), None);
        assert_eq!(sts_refusal("nothing"), None);
    }

    #[test]
    fn two_codes_are_told_apart_by_their_text() {
        let taken = "Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use";
        assert_eq!(fault("x", "InvalidParameterValue", taken).kind, FaultKind::Conflict);
        assert_eq!(fault("x", "InvalidParameterValue", "Invalid size").kind, FaultKind::Permanent);
        let pending = "The storage for the ami is not available in the source region";
        assert_eq!(fault("x", "InvalidRequest", pending).kind, FaultKind::NotReady);
        let unshared = "You do not have permission to access the storage of this ami";
        assert_eq!(fault("x", "InvalidRequest", unshared).kind, FaultKind::Permanent);
    }

    #[test]
    fn a_message_names_the_call_and_the_services_words() {
        let fault = fault("DeleteVolume vol-01234567", "VolumeInUse", "it is attached");
        assert_eq!(fault.to_string(), "DeleteVolume vol-01234567: VolumeInUse: it is attached");
        assert_eq!(super::fault("DescribeRegions ", "Unavailable", "").to_string(), "DescribeRegions: Unavailable");
    }

    #[test]
    fn a_refusal_names_the_missing_permission_in_one_line() {
        let long = "You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/bake/x \
                    is not authorized to perform: ec2:CreateTags on resource: \
                    arn:aws:ec2:us-east-1:111122223333:volume/* because no identity-based policy allows the \
                    ec2:CreateTags action. Encoded authorization failure message: AAAABBBBCCCC";
        let refused = fault("CreateVolume us-east-1a", "UnauthorizedOperation", long);
        assert_eq!(refused.kind, FaultKind::Permanent);
        assert_eq!(
            refused.message,
            "CreateVolume us-east-1a: UnauthorizedOperation: the permission ec2:CreateTags is missing on \
             arn:aws:ec2:us-east-1:111122223333:volume/* for arn:aws:sts::111122223333:assumed-role/bake/x \
             (no identity-based policy allows the ec2:CreateTags action)"
        );
        assert_eq!(
            refused.hint.as_deref(),
            Some("allow ec2:CreateTags in the policy of the role or user that makes this call")
        );
        // The older text says nothing: the call tells.
        let short = "You are not authorized to perform this operation. Encoded authorization failure message: AAAA";
        let refused = fault("CreateVolume us-east-1a", "UnauthorizedOperation", short);
        assert_eq!(
            refused.message,
            "CreateVolume us-east-1a: UnauthorizedOperation: the permission ec2:CreateVolume is missing"
        );
        // Decoded by STS: the statement is told.
        let decoded = "You are not authorized to perform this operation. Decoded: {\"allowed\":false}";
        let refused = fault("CreateVolume us-east-1a", "UnauthorizedOperation", decoded);
        assert!(refused.message.ends_with("ec2:CreateVolume is missing: {\"allowed\":false}"), "{refused}");
        let refused = fault_of("ssm", "GetParameter /base", "AccessDeniedException", "");
        assert!(refused.message.ends_with("the permission ssm:GetParameter is missing"), "{refused}");
    }

    #[test]
    fn credentials_that_do_not_do_come_with_advice() {
        let hint = |code, message| fault("DescribeImages x", code, message).hint.unwrap_or_default();
        assert!(hint("RequestExpired", "Request has expired.").contains("date -u"));
        assert!(
            hint("ExpiredToken", "The security token included in the request is expired").contains("aws sso login")
        );
        let key = "AWS was not able to validate the provided access credentials";
        assert!(hint("AuthFailure", key).contains("enabled this region"));
        assert_eq!(hint("AuthFailure", "Not authorized for image:ami-01234567"), "");
        let skew = "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z";
        assert!(hint("SignatureDoesNotMatch", skew).contains("clock"));
        assert!(hint("NoSuchEndpoint", "ec2.xx-nowhere-1.amazonaws.com").contains("region's name"));
    }
}
