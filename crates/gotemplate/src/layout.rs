//! Times as text, by Go's reference layout (`2006-01-02 15:04:05`) and by `strftime`. Always UTC.
//!
//! The marks are those of Go's package `time`. The conversions are C's usual ones; Packer knows fewer and leaves the others as
//! they are written.

/// Go's `time.RFC3339`.
pub const RFC_3339: &str = "2006-01-02T15:04:05Z07:00";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A moment in the calendar.
struct Moment {
    year: i64,
    /// From 1.
    month: usize,
    day: u64,
    /// From 1.
    day_of_year: u64,
    /// Sunday is 0.
    weekday: usize,
    hour: u64,
    minute: u64,
    second: u64,
    milli: u64,
}

impl Moment {
    /// The civil date of a day count, by the usual shift of the year's start to March.
    fn at(millis: u64) -> Self {
        let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * from_march + 2) / 153;
        let day = from_march - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let day_of_year = if month > 2 { from_march + 60 + u64::from(leap) } else { from_march - 305 };
        Self {
            year: i64::try_from(year).unwrap_or(i64::MAX),
            month: usize::try_from(month).unwrap_or(1),
            day,
            day_of_year,
            weekday: usize::try_from((days + 4) % 7).unwrap_or(0),
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
            milli: rest % 1000,
        }
    }

    fn month_name(&self) -> &'static str {
        MONTHS[self.month - 1]
    }

    fn day_name(&self) -> &'static str {
        DAYS[self.weekday]
    }

    fn hour_12(&self) -> u64 {
        if self.hour.is_multiple_of(12) { 12 } else { self.hour % 12 }
    }

    fn half(&self) -> &'static str {
        if self.hour < 12 { "AM" } else { "PM" }
    }

    /// The ISO 8601 week.
    fn iso_week(&self) -> u64 {
        let monday_based = (self.weekday as u64 + 6) % 7;
        let thursday = self.day_of_year as i64 + 3 - monday_based as i64;
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = |year| if leap(year) { 366 } else { 365 };
        let day = match thursday {
            ..1 => thursday + length(self.year - 1),
            _ if thursday > length(self.year) => thursday - length(self.year),
            _ => thursday,
        };
        ((day - 1) / 7 + 1).unsigned_abs()
    }
}

/// Formats the time (milliseconds since 1970, UTC) by a Go layout. What is no mark stands for itself.
pub fn format(layout: &str, millis: u64) -> String {
    let moment = Moment::at(millis);
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let taken = mark(rest, &moment, &mut out).unwrap_or_else(|| {
            out.push(first);
            first.len_utf8()
        });
        rest = &rest[taken..];
    }
    out
}

/// Writes the mark at the start of `rest`, if one is there, and gives its length. Longer marks come first.
fn mark(rest: &str, at: &Moment, out: &mut String) -> Option<usize> {
    let name =
        |short: &str| rest.starts_with(short) && !rest[short.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    if rest.starts_with(['.', ',']) {
        return fraction(rest, at, out);
    }
    let (mark, text) = match rest.as_bytes()[0] {
        b'J' if rest.starts_with("January") => ("January", at.month_name().to_owned()),
        b'J' if name("Jan") => ("Jan", at.month_name()[..3].to_owned()),
        b'M' if rest.starts_with("Monday") => ("Monday", at.day_name().to_owned()),
        b'M' if name("Mon") => ("Mon", at.day_name()[..3].to_owned()),
        b'M' if rest.starts_with("MST") => ("MST", "UTC".to_owned()),
        b'0' if rest.starts_with("002") => ("002", format!("{:03}", at.day_of_year)),
        b'0' if rest.starts_with("01") => ("01", format!("{:02}", at.month)),
        b'0' if rest.starts_with("02") => ("02", format!("{:02}", at.day)),
        b'0' if rest.starts_with("03") => ("03", format!("{:02}", at.hour_12())),
        b'0' if rest.starts_with("04") => ("04", format!("{:02}", at.minute)),
        b'0' if rest.starts_with("05") => ("05", format!("{:02}", at.second)),
        b'0' if rest.starts_with("06") => ("06", format!("{:02}", at.year % 100)),
        b'1' if rest.starts_with("15") => ("15", format!("{:02}", at.hour)),
        b'1' => ("1", at.month.to_string()),
        b'2' if rest.starts_with("2006") => ("2006", format!("{:04}", at.year)),
        b'2' => ("2", at.day.to_string()),
        b'_' if rest.starts_with("_2006") => ("_2006", format!("_{:04}", at.year)),
        b'_' if rest.starts_with("__2") => ("__2", format!("{:3}", at.day_of_year)),
        b'_' if rest.starts_with("_2") => ("_2", format!("{:2}", at.day)),
        b'3' => ("3", at.hour_12().to_string()),
        b'4' => ("4", at.minute.to_string()),
        b'5' => ("5", at.second.to_string()),
        b'P' if rest.starts_with("PM") => ("PM", at.half().to_owned()),
        b'p' if rest.starts_with("pm") => ("pm", at.half().to_lowercase()),
        b'-' | b'Z' => return zone(rest, out),
        _ => return None,
    };
    out.push_str(&text);
    Some(mark.len())
}

fn zone(rest: &str, out: &mut String) -> Option<usize> {
    for (mark, text) in [
        ("-07:00:00", "+00:00:00"),
        ("-070000", "+000000"),
        ("-07:00", "+00:00"),
        ("-0700", "+0000"),
        ("-07", "+00"),
        ("Z07:00:00", "Z"),
        ("Z070000", "Z"),
        ("Z07:00", "Z"),
        ("Z0700", "Z"),
        ("Z07", "Z"),
    ] {
        if rest.starts_with(mark) {
            out.push_str(text);
            return Some(mark.len());
        }
    }
    None
}

/// `.000` writes that many digits, `.999` as many as are not zeros at the end.
fn fraction(rest: &str, at: &Moment, out: &mut String) -> Option<usize> {
    let bytes = rest.as_bytes();
    let kind = *bytes.get(1).filter(|b| matches!(b, b'0' | b'9'))?;
    let count = bytes[1..].iter().take_while(|b| **b == kind).count();
    if bytes.get(1 + count).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let nanos = format!("{:03}000000", at.milli);
    let digits: String = nanos.chars().chain(std::iter::repeat('0')).take(count.min(9)).collect();
    let digits = if kind == b'9' { digits.trim_end_matches('0') } else { &digits };
    if !digits.is_empty() {
        out.push(char::from(bytes[0]));
        out.push_str(digits);
    }
    Some(1 + count)
}

/// Formats the time (milliseconds since 1970, UTC) by a `strftime` format.
///
/// # Errors
/// The conversion that is not known.
pub fn strftime(text: &str, millis: u64) -> Result<String, String> {
    let at = Moment::at(millis);
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(letter) = chars.next() else {
            return Err("the format ends with a lone %".to_owned());
        };
        let layout = match letter {
            'A' => "Monday",
            'a' => "Mon",
            'B' => "January",
            'b' | 'h' => "Jan",
            'c' => "Mon Jan _2 15:04:05 2006",
            'D' | 'x' => "01/02/06",
            'd' => "02",
            'e' => "_2",
            'F' => "2006-01-02",
            'H' => "15",
            'I' => "03",
            'j' => "002",
            'M' => "04",
            'm' => "01",
            'p' => "PM",
            'R' => "15:04",
            'r' => "03:04:05 PM",
            'S' => "05",
            'T' | 'X' => "15:04:05",
            'v' => "_2-Jan-2006",
            'Y' => "2006",
            'y' => "06",
            'Z' => "MST",
            'z' => "-0700",
            _ => "",
        };
        if !layout.is_empty() {
            out.push_str(&format(layout, millis));
            continue;
        }
        out.push_str(&match letter {
            'C' => format!("{:02}", at.year / 100),
            'k' => format!("{:2}", at.hour),
            'l' => format!("{:2}", at.hour_12()),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            'U' => format!("{:02}", (at.day_of_year + 6 - at.weekday as u64) / 7),
            'V' => format!("{:02}", at.iso_week()),
            'u' => (if at.weekday == 0 { 7 } else { at.weekday }).to_string(),
            'w' => at.weekday.to_string(),
            '%' => "%".to_owned(),
            other => return Err(format!("the conversion %{other} is not known")),
        });
    }
    Ok(out)
}
