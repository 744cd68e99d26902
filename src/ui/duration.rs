//! Durations as the user types them. How they are written is common to all rooms: [`format()`] and [`bytes`].

use std::time::Duration;

pub use crate::engine::units::{bytes, duration as format};

/// Why a text is no duration, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDuration(String);

/// Units from long to short, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `90s`, `5m`, `1h30m`, `500ms`: whole numbers with units, from long to short.
///
/// # Errors
/// The text is something else; the message says what would be right.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let refuse = |why: String| Err(InvalidDuration(why));
    let shown = text.escape_default();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse(format!("`{shown}` has no unit; write `{shown}s` for seconds or `{shown}m` for minutes"));
    }
    match units(text) {
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => refuse(format!("`{shown}` is no duration; expected something like `90s`, `5m` or `1h30m`")),
    }
}

fn units(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut left = UNITS.as_slice();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let position = left.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(left[position].1)?)?;
        left = &left[position + 1..];
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_users_type() {
        let seconds = |text| parse(text).unwrap().as_secs();
        assert_eq!([seconds("90s"), seconds("5m"), seconds("1h30m"), seconds("0s")], [90, 300, 5400, 0]);
        assert_eq!(parse("1m500ms").unwrap(), Duration::from_millis(60_500));
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        let why = |text| parse(text).unwrap_err().to_string();
        assert_eq!(why("90"), "`90` has no unit; write `90s` for seconds or `90m` for minutes");
        for text in ["", "m", "5 m", "1.5h", "5x", "30s1m", "5m5m", "-5s", "99999999999999999999s", "9999999999999999h"]
        {
            assert!(why(text).ends_with("is no duration; expected something like `90s`, `5m` or `1h30m`"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_units_are_written_as_they_are_read(minutes in 1_u64..60, hours in 1_u64..1000) {
            for text in [format!("{minutes}m"), format!("{hours}h"), format!("{minutes}s")] {
                prop_assert_eq!(format(parse(&text).unwrap()), text);
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
