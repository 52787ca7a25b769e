//! Text and bytes in other forms.

use std::{borrow::Cow, collections::BTreeMap, io::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use flate2::{Compression, write::GzEncoder};

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, value::Value};

type Result<T> = std::result::Result<T, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("base64decode", &["text"], base64decode),
    Function::new("base64encode", &["text"], |a| Ok(BASE64.encode(&*a.text(0)?).into())),
    Function::new("base64gzip", &["text"], base64gzip),
    Function::new("csvdecode", &["text"], csvdecode),
    Function::new("textdecodebase64", &["text", "encoding"], textdecodebase64),
    Function::new("textencodebase64", &["text", "encoding"], textencodebase64),
    Function::new("urlencode", &["text"], |a| Ok(url_encoded(&a.text(0)?).into())),
];

/// Returns the bytes of the first argument, in base64.
pub(super) fn base64_bytes(arguments: &Arguments<'_>) -> Result<Vec<u8>> {
    let text = arguments.text(0)?;
    // Go skips line breaks.
    let text: Cow<'_, str> = if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], "").into() } else { text };
    BASE64.decode(&*text).map_err(|error| Fault::new(format!("this is not base64: {error}")).argument(0))
}

fn base64decode(arguments: &Arguments<'_>) -> Result<Value> {
    let bytes = base64_bytes(arguments)?;
    String::from_utf8(bytes).map(Value::String).map_err(|_| {
        Fault::new("the decoded bytes are no text in UTF-8")
            .help("Use textdecodebase64(…, \"UTF-16LE\") for a text in another encoding.")
            .argument(0)
    })
}

fn base64gzip(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.text(0)?;
    arguments.budget.spend(text.len() / 8)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    let bytes = written.map_err(|error| Fault::new(format!("the text cannot be compressed: {error}")))?;
    Ok(BASE64.encode(bytes).into())
}

/// The first line has the names of the columns; each other line becomes a map.
fn csvdecode(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.text(0)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let fault = |error: csv::Error| Fault::new(format!("this is not CSV: {error}")).argument(0);
    let names = reader.headers().map_err(fault)?.clone();
    if names.is_empty() {
        return Err(Fault::new("the first line, with the names of the columns, is missing").argument(0));
    }
    let mut known = std::collections::BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !known.insert(*name)) {
        return Err(Fault::new(format!("the column {twice:?} occurs twice")).argument(0));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(fault)?;
        let row: BTreeMap<String, Value> =
            names.iter().map(str::to_owned).zip(record.iter().map(Value::from)).collect();
        arguments.budget.spend(row.len() + 1)?;
        rows.push(Value::Map(row));
    }
    Ok(rows.into())
}

/// An encoding of text, by its IANA name.
enum Encoding {
    Utf16 {
        big_endian: bool,
    },
    /// The first so many characters of Unicode, one byte each: ASCII and ISO 8859-1.
    Bytes(u32),
    Other(&'static encoding_rs::Encoding),
}

fn encoding(arguments: &Arguments<'_>) -> Result<Encoding> {
    let name = arguments.text(1)?;
    // encoding_rs is made for browsers: it doesn't write UTF-16, and takes ASCII and ISO 8859-1 for windows-1252.
    Ok(match name.to_ascii_lowercase().as_str() {
        "utf-16le" => Encoding::Utf16 { big_endian: false },
        "utf-16" | "utf-16be" => Encoding::Utf16 { big_endian: true },
        "us-ascii" | "ascii" => Encoding::Bytes(0x80),
        "iso-8859-1" | "iso_8859-1" | "latin1" => Encoding::Bytes(0x100),
        other => {
            let known = encoding_rs::Encoding::for_label_no_replacement(other.as_bytes());
            Encoding::Other(known.ok_or_else(|| {
                Fault::new(format!("the encoding {name:?} is not known"))
                    .help("Write its IANA name: UTF-16LE, ISO-8859-1, windows-1252, Shift_JIS.")
                    .argument(1)
            })?)
        }
    })
}

fn textencodebase64(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.text(0)?;
    let missing = || Fault::new("the text has characters that the encoding does not have").argument(0);
    let bytes: Cow<'_, [u8]> = match encoding(arguments)? {
        Encoding::Utf16 { big_endian } => {
            let bytes = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        }
        Encoding::Bytes(count) => {
            let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok().filter(|_| u32::from(c) < count));
            bytes.collect::<Option<Vec<u8>>>().ok_or_else(missing)?.into()
        }
        Encoding::Other(encoding) => match encoding.encode(&text) {
            (bytes, _, false) => bytes.into_owned().into(),
            (_, _, true) => return Err(missing()),
        },
    };
    Ok(BASE64.encode(bytes).into())
}

fn textdecodebase64(arguments: &Arguments<'_>) -> Result<Value> {
    let bytes = base64_bytes(arguments)?;
    let text = match encoding(arguments)? {
        Encoding::Utf16 { big_endian } => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units =
                units.iter().map(|unit| if big_endian { u16::from_be_bytes(*unit) } else { u16::from_le_bytes(*unit) });
            char::decode_utf16(units).collect::<std::result::Result<String, _>>().ok().filter(|_| rest.is_empty())
        }
        Encoding::Bytes(count) => {
            bytes.iter().map(|byte| Some(char::from(*byte)).filter(|_| u32::from(*byte) < count)).collect()
        }
        Encoding::Other(encoding) => {
            encoding.decode_without_bom_handling_and_without_replacement(&bytes).map(Cow::into_owned)
        }
    };
    let text = text.ok_or_else(|| Fault::new("the bytes are no text in this encoding").argument(0))?;
    Ok(text.into())
}

/// Escapes a text as Go's `url.QueryEscape` does: a blank becomes `+`.
fn url_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
