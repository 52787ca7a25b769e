//! How EC2 writes times.

use bakehouse_protocol::Timestamp;

/// With milliseconds, as EC2's API does: `2026-01-01T00:00:00.000Z`.
pub(crate) fn iso8601(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => format!("{at:.3}"),
        // Past the year 9999.
        Err(_) => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

/// In whole seconds, as EventBridge and the instance metadata service do: `2026-01-01T00:00:00Z`.
#[cfg(feature = "http")]
pub(crate) fn iso8601_seconds(at: Timestamp) -> String {
    format!("{}Z", iso8601(at).get(..19).unwrap_or_default())
}
