//! Times. As text, they are written by RFC 3339: `2026-11-22T21:22:09Z`.

use std::collections::BTreeMap;

use bakehouse_gotemplate::{duration, layout};
use jiff::{
    SignedDuration, Timestamp, Zoned,
    fmt::temporal::DateTimeParser,
    tz::{Offset, TimeZone},
};

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, value::Value};

type Result<T> = std::result::Result<T, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("formatdate", &["format", "time"], formatdate),
    Function::new("legacy_isotime", &["layout?"], legacy_isotime),
    Function::new("legacy_strftime", &["format?"], legacy_strftime),
    Function::new("rfc3339_parse", &["time"], |a| Ok(parts(&time(a, 0, true)?, "unix"))),
    Function::new("timeadd", &["time", "duration"], timeadd),
    Function::new("timestamp", &[], |a| Ok(layout::format(layout::RFC_3339, now(a)).into())),
    Function::new("unix_timestamp_parse", &["seconds"], unix_timestamp_parse),
];

/// Returns the time in milliseconds since 1970.
fn now(arguments: &Arguments<'_>) -> u64 {
    u64::try_from(arguments.outside.now().as_millisecond()).unwrap_or(0)
}

fn legacy_isotime(arguments: &Arguments<'_>) -> Result<Value> {
    let format = if arguments.len() == 0 { layout::RFC_3339.into() } else { arguments.text(0)? };
    Ok(layout::format(&format, now(arguments)).into())
}

fn legacy_strftime(arguments: &Arguments<'_>) -> Result<Value> {
    if arguments.len() == 0 {
        return Ok(layout::format(layout::RFC_3339, now(arguments)).into());
    }
    layout::strftime(&arguments.text(0)?, now(arguments))
        .map(Value::from)
        .map_err(|error| Fault::new(error).argument(0))
}

/// Returns the time of an argument, in the zone that it is written in.
fn time(arguments: &Arguments<'_>, index: usize, space_allowed: bool) -> Result<Zoned> {
    let text = arguments.text(index)?;
    let fault = || {
        Fault::new(format!("{text:?} is no time of RFC 3339"))
            .help("Write 2026-11-22T21:22:09Z, or +01:00 for Z.")
            .argument(index)
    };
    // RFC 3339 is a part of what the parser takes.
    let separator = text.as_bytes().get(10).copied();
    let (_, offset) = zone(&text).ok_or_else(fault)?;
    if separator != Some(b'T') && !(space_allowed && separator == Some(b' ')) {
        return Err(fault());
    }
    let timestamp = DateTimeParser::new().parse_timestamp(&*text).map_err(|_| fault())?;
    Ok(timestamp.to_zoned(TimeZone::fixed(offset)))
}

/// Returns the zone that a time of RFC 3339 ends with, `Z` or `+01:00`, and its offset.
pub(super) fn zone(text: &str) -> Option<(&str, Offset)> {
    let zone = text.get(19..)?.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if zone == "Z" {
        return Some((zone, Offset::UTC));
    }
    if zone.len() != 6 || !zone.starts_with(['+', '-']) || zone.as_bytes()[3] != b':' {
        return None;
    }
    let number = |part: &str| part.parse::<i32>().ok();
    let seconds = (number(&zone[1..3])? * 60 + number(&zone[4..])?) * 60;
    let seconds = if zone.starts_with('-') { -seconds } else { seconds };
    Some((zone, Offset::from_seconds(seconds).ok()?))
}

fn unix_timestamp_parse(arguments: &Arguments<'_>) -> Result<Value> {
    let seconds = arguments.integer(0)?;
    let time = Timestamp::from_second(seconds).map_err(|_| {
        Fault::new(format!("{seconds} seconds are outside of the years that are supported")).argument(0)
    })?;
    Ok(parts(&time.to_zoned(TimeZone::UTC), "rfc3339"))
}

/// Returns the parts of a time; `other` is `unix` or `rfc3339`, the form that it was not given in.
fn parts(time: &Zoned, other: &str) -> Value {
    let week = time.date().iso_week_date();
    let number = |number: i64| Value::from(number);
    let mut parts = BTreeMap::from([
        ("year", number(time.year().into())),
        ("year_day", number(time.day_of_year().into())),
        ("day", number(time.day().into())),
        ("month", number(time.month().into())),
        ("month_name", time.strftime("%B").to_string().into()),
        ("weekday", number(time.weekday().to_sunday_zero_offset().into())),
        ("weekday_name", time.strftime("%A").to_string().into()),
        ("hour", number(time.hour().into())),
        ("minute", number(time.minute().into())),
        ("second", number(time.second().into())),
        ("iso_year", number(week.year().into())),
        ("iso_week", number(week.week().into())),
    ]);
    let value = if other == "unix" { number(time.timestamp().as_second()) } else { rfc_3339(time).into() };
    parts.insert(other, value);
    Value::Map(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn rfc_3339(time: &Zoned) -> String {
    let zone = if time.offset().is_zero() { "Z".to_owned() } else { time.strftime("%:z").to_string() };
    format!("{}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

fn timeadd(arguments: &Arguments<'_>) -> Result<Value> {
    let time = time(arguments, 0, false)?;
    let nanos = duration::parse(&arguments.text(1)?).map_err(|_| {
        Fault::new(format!("{:?} is no duration", arguments.text(1).unwrap_or_default()))
            .help("Write 1h30m, -10s or 500ms; the units are h, m, s, ms, us and ns.")
            .argument(1)
    })?;
    let sum = time
        .checked_add(SignedDuration::from_nanos(nanos))
        .map_err(|_| Fault::new("the time is outside of the years that are supported"))?;
    Ok(rfc_3339(&sum).into())
}

/// The letters of the format: `YYYY MM DD hh mm ss` and others; text between single quotes is copied.
fn formatdate(arguments: &Arguments<'_>) -> Result<Value> {
    let format = arguments.text(0)?;
    let time = time(arguments, 1, false)?;
    let mut out = String::new();
    let mut rest = &*format;
    while let Some(first) = rest.chars().next() {
        let length = if first == '\'' {
            quoted(rest, &mut out).ok_or_else(|| Fault::new("a single quote is not closed").argument(0))?
        } else if first.is_ascii_alphabetic() {
            let length = rest.bytes().take_while(|byte| char::from(*byte) == first).count();
            let element = &rest[..length];
            out.push_str(&date_element(element, &time).ok_or_else(|| unknown_element(element))?);
            length
        } else {
            out.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    Ok(out.into())
}

/// Copies a quoted text; two quotes are one. Returns its length, or `None` if it is not closed.
fn quoted(text: &str, out: &mut String) -> Option<usize> {
    if text.starts_with("''") {
        out.push('\'');
        return Some(2);
    }
    let mut position = 1;
    loop {
        let end = position + text[position..].find('\'')?;
        out.push_str(&text[position..end]);
        if !text[end + 1..].starts_with('\'') {
            return Some(end + 1);
        }
        out.push('\'');
        position = end + 2;
    }
}

fn date_element(element: &str, time: &Zoned) -> Option<String> {
    let format = match element {
        "YYYY" => "%Y",
        "YY" => "%y",
        "MMMM" => "%B",
        "MMM" => "%b",
        "MM" => "%m",
        "M" => "%-m",
        "DD" => "%d",
        "D" => "%-d",
        "EEEE" => "%A",
        "EEE" => "%a",
        "hh" => "%H",
        "h" => "%-H",
        "HH" => "%I",
        "H" => "%-I",
        "AA" => "%p",
        "aa" => "%P",
        "mm" => "%M",
        "m" => "%-M",
        "ss" => "%S",
        "s" => "%-S",
        "Z" if time.offset().is_zero() => "Z",
        "ZZZ" if time.offset().is_zero() => "UTC",
        "Z" | "ZZZZZ" => "%:z",
        "ZZZ" | "ZZZZ" => "%z",
        _ => return None,
    };
    Some(time.strftime(format).to_string())
}

fn unknown_element(element: &str) -> Fault {
    Fault::new(format!("{element:?} is no element of a date"))
        .help("Write YYYY, MM, DD, hh, mm, ss or Z, and put other text between single quotes: 'T'.")
        .argument(0)
}
