//! The options of the data sources of HCL, apart from the access options, which are those of the builder.

use super::table::{Kind, Table, opt};

/// `amazon-ami`.
pub(crate) const AMI_DATA: Table = Table::new(
    "amazon-ami",
    &[
        opt("filters", Kind::StringMap, "EC2's filter names and values; `a,b` is two values, of which one must match"),
        opt("owners", Kind::StringList, "account ids, `self`, `amazon`, `aws-marketplace`; required"),
        opt("most_recent", Kind::Bool, "use the newest of several images; without it several are an error"),
        opt("include_deprecated", Kind::Bool, "include deprecated images"),
    ],
);

/// `amazon-parameterstore`.
pub(crate) const PARAMETER_DATA: Table = Table::new(
    "amazon-parameterstore",
    &[
        opt("name", Kind::String, "the name of the parameter; required"),
        opt("with_decryption", Kind::Bool, "decrypt the value of a SecureString"),
    ],
);

/// `amazon-secretsmanager`.
pub(crate) const SECRET_DATA: Table = Table::new(
    "amazon-secretsmanager",
    &[
        opt("name", Kind::String, "the name of the secret; required"),
        opt("key", Kind::String, "the key whose value `value` is, if the secret is a JSON object"),
        opt("version_id", Kind::String, "a version by its id"),
        opt("version_stage", Kind::String, "a version by its stage; default `AWSCURRENT`"),
    ],
);

/// `null`.
pub(crate) const NULL_DATA: Table = Table::new("null", &[opt("input", Kind::String, "what `output` is; required")]);

/// The names of the builder's access options, which the data sources of AWS have, too.
pub(crate) const ACCESS: [&str; 16] = [
    "access_key",
    "secret_key",
    "token",
    "region",
    "profile",
    "shared_credentials_file",
    "assume_role",
    "mfa_code",
    "vault_aws_engine",
    "custom_endpoint_ec2",
    "insecure_skip_tls_verify",
    "max_retries",
    "decode_authorization_messages",
    "skip_credential_validation",
    "skip_metadata_api_check",
    "aws_polling",
];
