//! Hashes, UUIDs and RSA.

use md5::Md5;
use rsa::{Pkcs1v15Encrypt, PrivateKey, pkcs1::DecodeRsaPrivateKey as _};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use uuid::{Builder, Uuid};

use super::{arguments::Arguments, encoding::base64_bytes, function::Function};
use crate::{error::Fault, value::Value};

/// The cost of bcrypt if none is given: Packer's.
const DEFAULT_COST: i64 = 10;

/// The largest cost of bcrypt: it takes about a second.
const MAX_COST: i64 = 14;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("bcrypt", &["text", "cost?"], bcrypt),
    Function::new("md5", &["text"], hash::<Md5>),
    Function::new("rsadecrypt", &["ciphertext", "private_key"], rsadecrypt),
    Function::new("sha1", &["text"], hash::<Sha1>),
    Function::new("sha256", &["text"], hash::<Sha256>),
    Function::new("sha512", &["text"], hash::<Sha512>),
    Function::new("uuidv4", &[], uuidv4),
    Function::new("uuidv5", &["namespace", "name"], uuidv5),
];

fn hash<D: Digest>(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let digest = D::digest(arguments.text(0)?.as_bytes());
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

fn bcrypt(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let text = arguments.text(0)?;
    let cost = if arguments.len() > 1 { arguments.integer(1)? } else { DEFAULT_COST };
    // Go takes its default if the cost is too small.
    let cost = if cost < 4 { DEFAULT_COST } else { cost };
    if cost > MAX_COST {
        return Err(Fault::new(format!("a cost above {MAX_COST} is not supported")).argument(1));
    }
    if text.len() > 72 {
        return Err(Fault::new("bcrypt takes at most 72 bytes").argument(0));
    }
    let cost = u32::try_from(cost).unwrap_or_default();
    arguments.budget.spend(64 << cost)?;
    let mut salt = [0; 16];
    arguments.outside.random(&mut salt);
    let parts = bcrypt::hash_with_salt(text.as_bytes(), cost, salt)
        .map_err(|error| Fault::new(format!("the text cannot be hashed: {error}")))?;
    // The version that Go writes.
    Ok(parts.format_for_version(bcrypt::Version::TwoA).into())
}

fn rsadecrypt(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let ciphertext = base64_bytes(arguments)?;
    arguments.budget.spend(20_000)?;
    let key = PrivateKey::from_pkcs1_pem(&arguments.text(1)?).map_err(|error| {
        Fault::new(format!("this is no RSA private key: {error}"))
            .help("A key in PEM without password is required: -----BEGIN RSA PRIVATE KEY-----")
            .argument(1)
    })?;
    let plain = key
        .decrypt(Pkcs1v15Encrypt, &ciphertext)
        .map_err(|error| Fault::new(format!("the ciphertext cannot be decrypted with this key: {error}")))?;
    String::from_utf8(plain).map(Value::String).map_err(|_| Fault::new("the decrypted bytes are no text in UTF-8"))
}

fn uuidv4(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let mut bytes = [0; 16];
    arguments.outside.random(&mut bytes);
    Ok(Builder::from_random_bytes(bytes).into_uuid().to_string().into())
}

fn uuidv5(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let name = arguments.text(0)?;
    let namespace = match &*name {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        other => Uuid::parse_str(other).map_err(|_| {
            Fault::new(format!("{other:?} is no namespace")).help("Write dns, url, oid, x500 or a UUID.").argument(0)
        })?,
    };
    Ok(Uuid::new_v5(&namespace, arguments.text(1)?.as_bytes()).to_string().into())
}
