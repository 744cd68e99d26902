//! Python's numbers: how they are written, and how Python prints them.

/// Python takes no decimal integer with more digits.
const MAX_DIGITS: usize = 4300;

/// A number without its sign.
pub(super) enum Number {
    /// A whole number, in decimal digits.
    Int(String),
    /// A number with a fraction or exponent.
    Float(f64),
    /// The imaginary part of a complex number.
    Imaginary(f64),
}

/// Reads a token that begins like a number.
pub(super) fn read(token: &str) -> Option<Number> {
    let lower = token.to_ascii_lowercase();
    let radix = |digits: &str, radix| {
        let digits = digits.strip_prefix('_').unwrap_or(digits);
        let number = u128::from_str_radix(&without_underscores(digits, radix)?, radix).ok()?;
        Some(Number::Int(number.to_string()))
    };
    match lower.get(..2) {
        Some("0x") => return radix(&lower[2..], 16),
        Some("0o") => return radix(&lower[2..], 8),
        Some("0b") => return radix(&lower[2..], 2),
        _ => {}
    }
    if lower.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        let digits = without_underscores(&lower, 10)?;
        let significant = digits.trim_start_matches('0');
        return match (significant.is_empty(), digits.starts_with('0')) {
            (true, _) => Some(Number::Int("0".to_owned())),
            (false, true) => None,
            (false, false) => (digits.len() <= MAX_DIGITS).then_some(Number::Int(digits)),
        };
    }
    match lower.strip_suffix('j') {
        Some(imaginary) => real(imaginary).map(Number::Imaginary),
        None => real(&lower).map(Number::Float),
    }
}

fn real(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let part = |digits: &str| if digits.is_empty() { Some(String::new()) } else { without_underscores(digits, 10) };
    let (whole, fraction) = (part(whole)?, part(fraction)?);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match exponent {
        Some(exponent) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let sign = if exponent.starts_with('-') { "-" } else { "" };
            format!("e{sign}{}", without_underscores(digits, 10)?)
        }
        None => String::new(),
    };
    format!("0{whole}.{fraction}0{exponent}").parse().ok()
}

/// Digits of a number whose underscores each stand between two digits.
fn without_underscores(digits: &str, radix: u32) -> Option<String> {
    let fine =
        !digits.is_empty() && digits.split('_').all(|part| !part.is_empty() && part.chars().all(|c| c.is_digit(radix)));
    fine.then(|| digits.replace('_', ""))
}

/// A float as Python prints it.
pub(super) fn float(number: f64, point: bool) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&power) {
        let plain = number.to_string();
        if point && !plain.contains('.') { plain + ".0" } else { plain }
    } else {
        format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
    }
}

/// A complex number as Python prints it.
pub(super) fn complex(re: f64, im: f64) -> String {
    let imaginary = float(im, false);
    if re == 0.0 && re.is_sign_positive() {
        return format!("{imaginary}j");
    }
    let sign = if imaginary.starts_with('-') { "" } else { "+" };
    format!("({}{sign}{imaginary}j)", float(re, false))
}
