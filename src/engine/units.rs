//! Durations and sizes as they are written in every message.

use std::time::Duration;

/// `4.1s`, `1m 02s`, `2h 05m`; whole units are written without the rest: `5s`, `10m`, `1h`.
#[must_use]
pub fn duration(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    let seconds = (span.as_millis() + 500) / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let whole = span.subsec_nanos() == 0;
    match (hours, minutes) {
        _ if whole && hours > 0 && minutes == 0 && rest == 0 => format!("{hours}h"),
        _ if whole && hours == 0 && minutes > 0 && rest == 0 => format!("{minutes}m"),
        _ if whole && seconds < 60 => format!("{seconds}s"),
        _ if tenths < 600 => format!("{}.{}s", tenths / 10, tenths % 10),
        (0, minutes) => format!("{minutes}m {rest:02}s"),
        (hours, minutes) => format!("{hours}h {minutes:02}m"),
    }
}

/// Like [`duration`], from the milliseconds that events carry.
#[must_use]
pub fn millis(milliseconds: u64) -> String {
    // An exact second is a coincidence here, and a column of times reads better with one decimal throughout.
    let text = duration(Duration::from_millis(milliseconds));
    if milliseconds < 60_000 && !text.contains('.') { text.replace('s', ".0s") } else { text }
}

/// `17 B`, `120 MiB`, `1.2 GiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut scale = 1024_u64;
    let mut unit = 0;
    // 1023.95 would be written as 1024.0, so the next unit begins a little earlier.
    while unit + 1 < UNITS.len() && count / scale >= 1000 {
        scale *= 1024;
        unit += 1;
    }
    let tenths = (u128::from(count) * 10 + u128::from(scale) / 2) / u128::from(scale);
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        let ms = |ms| duration(Duration::from_millis(ms));
        assert_eq!(
            [ms(0), ms(40), ms(4_140), ms(59_940), ms(59_960), ms(62_400), ms(3_600_000), ms(7_503_000), ms(600_000)],
            ["0s", "0.0s", "4.1s", "59.9s", "1m 00s", "1m 02s", "1h", "2h 05m", "10m"]
        );
        assert_eq!([millis(4_000), millis(0), millis(60_000)], ["4.0s", "0.0s", "1m"]);
    }

    #[test]
    fn sizes_have_two_or_three_digits() {
        assert_eq!(
            [bytes(17), bytes(1024), bytes(120 << 20), bytes(1_288_490_189), bytes(1023 << 20), bytes(u64::MAX)],
            ["17 B", "1.0 KiB", "120 MiB", "1.2 GiB", "1.0 GiB", "16384 PiB"]
        );
    }
}
