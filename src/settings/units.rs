//! Numbers with units: sizes, processor time and time spans.

use std::time::Duration;

use super::kind::visible;

/// Bytes that a Kubernetes quantity such as `10Gi` stands for.
///
/// # Errors
/// What would be right.
pub fn bytes(text: &str) -> Result<u128, String> {
    let compact: String = text.split_whitespace().collect();
    if compact != text && bytes(&compact).is_ok() {
        return Err(format!("`{}` has blanks in it; expected `{compact}`", visible(text)));
    }
    let (number, unit) = split(text);
    let factor = match unit {
        "" => Some(1),
        "k" => Some(1000),
        "Ki" => Some(1 << 10),
        _ => "MGTPE".find(|c| unit.starts_with(c)).and_then(|power| {
            let power = u32::try_from(power).ok()? + 2;
            match &unit[1..] {
                "" => Some(1000_u128.pow(power)),
                "i" => Some(1024_u128.pow(power)),
                _ => None,
            }
        }),
    };
    let Some(factor) = factor else {
        let hint = match unit {
            "KB" | "MB" | "GB" | "TB" | "PB" => format!("; expected `{number}{}i`", &unit[..1]),
            "KiB" | "MiB" | "GiB" | "TiB" | "PiB" => format!("; expected `{number}{}`", &unit[..2]),
            "K" | "b" | "B" | "kb" | "m" | "g" | "t" | "mi" | "gi" | "ti" | "mb" | "gb" | "tb" => {
                let unit = unit.trim_end_matches(['b', 'i']).to_uppercase();
                if unit.is_empty() || unit == "B" {
                    format!("; expected `{number}`")
                } else {
                    format!("; expected `{number}{unit}i`")
                }
            }
            _ => "; expected a size such as `10Gi`".to_owned(),
        };
        let unit = visible(unit);
        return Err(if number.is_empty() {
            format!("`{}` is not a size; expected one such as `10Gi`", visible(text))
        } else {
            format!("`{}` has the unknown unit `{unit}`{hint}", visible(text))
        });
    };
    scaled(number, factor)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("`{}` is not a size; expected one such as `10Gi`", visible(text)))
}

/// Thousandths of a processor: `500m` and `0.5` are 500.
pub(super) fn cpu(text: &str) -> Result<u128, String> {
    let (number, unit) = split(text);
    let millis = match unit {
        "" => scaled(number, 1000),
        "m" if !number.contains('.') => scaled(number, 1),
        _ => None,
    };
    millis
        .filter(|millis| *millis > 0)
        .ok_or_else(|| format!("`{}` is not an amount of processors; expected `500m`, `2` or `0.5`", visible(text)))
}

/// Bytes in the server's notation: a whole number with `K`, `M` or `G`, each a power of 1024.
pub(super) fn server_bytes(text: &str) -> Result<u128, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => Some(1),
        "K" | "k" => Some(1 << 10),
        "M" | "m" => Some(1 << 20),
        "G" | "g" => Some(1 << 30),
        "T" | "t" => Some(1 << 40),
        _ => None,
    };
    factor
        .filter(|_| !number.contains('.'))
        .and_then(|factor| scaled(number, factor))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("`{}` is not a size in the server's notation; expected `256M` or `1G`", visible(text)))
}

/// Units of durations from long to short, with their milliseconds.
const SPANS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `90s`, `5m`, `1h30m`, `500ms`: whole numbers with units, from long to short.
///
/// # Errors
/// The text is something else; the message says what would be right.
pub fn span(text: &str) -> Result<Duration, String> {
    let shown = visible(text);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{shown}` has no unit; write `{shown}s` for seconds or `{shown}m` for minutes"));
    }
    let wrong = || format!("`{shown}` is no duration; expected something like `90s`, `5m` or `1h30m`");
    milliseconds(text).map(Duration::from_millis).ok_or_else(wrong)
}

fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut left = SPANS.as_slice();
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

/// A [span] between a second and a year, in whole seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let span = span(text)?;
    match span.as_secs() {
        _ if span.subsec_nanos() > 0 => Err(format!("`{text}` is no whole number of seconds")),
        0 => Err(format!("`{text}` is zero; expected at least `1s`")),
        total if total > 366 * 86400 => Err(format!("`{text}` is longer than a year")),
        total => Ok(total),
    }
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    text.split_at(end)
}

/// A decimal number times a factor, rounded up as Kubernetes does.
fn scaled(number: &str, factor: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    // More digits than any disk has bytes; keeps the product below within 128 bits.
    if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some((digits.parse::<u128>().ok()? * factor).div_ceil(divisor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_those_of_kubernetes_and_of_the_server() {
        assert_eq!(bytes("1k"), Ok(1000));
        assert_eq!(bytes("1Ki"), Ok(1024));
        assert_eq!(bytes("1.5Gi"), Ok(3 << 29));
        assert_eq!(bytes("0.5"), Ok(1));
        assert_eq!(bytes("2E"), Ok(2_000_000_000_000_000_000));
        assert_eq!(server_bytes("1g"), Ok(1 << 30));
        assert_eq!(cpu("0.5"), cpu("500m"));
    }

    #[test]
    fn spans_add_up() {
        assert_eq!(seconds("60m"), Ok(3600));
        assert_eq!(seconds("1d2h3m4s"), Ok(93784));
        assert!(["", "0s", "500ms", "400d", "1", "h", "1m1h", "1h1h", "1é"].iter().all(|text| seconds(text).is_err()));
    }

    #[test]
    fn what_users_type() {
        let typed = |text| span(text).unwrap();
        let secs = Duration::from_secs;
        assert_eq!(["90s", "5m", "1h30m", "0s"].map(typed), [secs(90), secs(300), secs(5400), secs(0)]);
        assert_eq!(typed("1m500ms"), Duration::from_millis(60_500));
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        let why = |text| span(text).unwrap_err();
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
                prop_assert_eq!(crate::engine::units::duration(span(&text).unwrap()), text);
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = span(&text);
        }
    }
}
