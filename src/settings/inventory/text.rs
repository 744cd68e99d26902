//! Python's string literals: prefixes, escapes, and neighbours that are joined.

use super::literal::Stop;

struct Piece {
    bytes: bool,
    text: Vec<u8>,
}

/// Reads the string literals at `at`, joined, byte strings decoded; nothing if there is none.
pub(super) fn quoted(chars: &[char], at: &mut usize) -> Result<Option<String>, Stop> {
    let Some(mut whole) = piece(chars, at)? else { return Ok(None) };
    loop {
        while matches!(chars.get(*at), Some(' ' | '\t')) {
            *at += 1;
        }
        let Some(next) = piece(chars, at)? else { break };
        if next.bytes != whole.bytes {
            return Err(Stop::NoLiteral);
        }
        whole.text.extend(next.text);
    }
    String::from_utf8(whole.text).map(Some).map_err(|_| Stop::Refused("is no UTF-8 text".to_owned()))
}

fn piece(chars: &[char], at: &mut usize) -> Result<Option<Piece>, Stop> {
    let prefix: String = chars[*at..].iter().take_while(|c| c.is_ascii_alphabetic()).take(3).collect();
    let start = *at + prefix.len();
    let Some(&quote) = chars.get(start).filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
    let (bytes, raw) = match prefix.to_ascii_lowercase().as_str() {
        "" | "u" => (false, false),
        "r" => (false, true),
        "b" => (true, false),
        "br" | "rb" => (true, true),
        _ => return Err(Stop::NoLiteral),
    };
    let triple = chars[start..].starts_with(&[quote; 3]);
    let quotes = if triple { 3 } else { 1 };
    let mut cursor = start + quotes;
    let mut text = Vec::new();
    loop {
        let c = *chars.get(cursor).ok_or(Stop::NoLiteral)?;
        if c == quote && (!triple || chars[cursor..].starts_with(&[quote; 3])) {
            *at = cursor + quotes;
            return Ok(Some(Piece { bytes, text }));
        }
        if bytes && !c.is_ascii() {
            return Err(Stop::NoLiteral);
        }
        cursor += 1;
        if c != '\\' {
            push(&mut text, c);
            continue;
        }
        let escaped = *chars.get(cursor).ok_or(Stop::NoLiteral)?;
        if raw {
            push(&mut text, c);
            push(&mut text, escaped);
            cursor += 1;
        } else {
            escape(chars, &mut cursor, bytes, &mut text)?;
        }
    }
}

fn push(text: &mut Vec<u8>, c: char) {
    text.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what follows a backslash.
fn escape(chars: &[char], cursor: &mut usize, bytes: bool, text: &mut Vec<u8>) -> Result<(), Stop> {
    let c = *chars.get(*cursor).ok_or(Stop::NoLiteral)?;
    *cursor += 1;
    let simple = match c {
        '\\' | '\'' | '"' => c,
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '0'..='7' => return octal(chars, cursor, bytes, text),
        'x' => return hex(chars, cursor, 2, bytes, text),
        'u' if !bytes => return hex(chars, cursor, 4, bytes, text),
        'U' if !bytes => return hex(chars, cursor, 8, bytes, text),
        'N' if !bytes && chars.get(*cursor) != Some(&'{') => return Err(Stop::NoLiteral),
        'N' if !bytes => return Err(Stop::Refused(r"uses `\N{…}`; write the character itself".to_owned())),
        // Python keeps the backslash of an escape that it does not know.
        _ => {
            if bytes && !c.is_ascii() {
                return Err(Stop::NoLiteral);
            }
            push(text, '\\');
            c
        }
    };
    push(text, simple);
    Ok(())
}

fn octal(chars: &[char], cursor: &mut usize, bytes: bool, text: &mut Vec<u8>) -> Result<(), Stop> {
    *cursor -= 1;
    let digits: Vec<u32> = chars[*cursor..].iter().take(3).map_while(|c| c.to_digit(8)).collect();
    *cursor += digits.len();
    number(digits.iter().fold(0, |sum, digit| sum * 8 + digit), bytes, text)
}

fn hex(chars: &[char], cursor: &mut usize, length: usize, bytes: bool, text: &mut Vec<u8>) -> Result<(), Stop> {
    let digits: Vec<u32> = chars[*cursor..].iter().take(length).map_while(|c| c.to_digit(16)).collect();
    if digits.len() < length {
        return Err(Stop::NoLiteral);
    }
    *cursor += length;
    number(digits.iter().fold(0, |sum, digit| (sum << 4) | digit), bytes, text)
}

fn number(code: u32, bytes: bool, text: &mut Vec<u8>) -> Result<(), Stop> {
    if bytes {
        text.push(u8::try_from(code & 0xff).unwrap_or_default());
        return Ok(());
    }
    if code > 0x0010_ffff {
        return Err(Stop::NoLiteral);
    }
    let c = char::from_u32(code).ok_or_else(|| Stop::Refused("holds half of a surrogate pair".to_owned()))?;
    push(text, c);
    Ok(())
}
