//! What reaches the terminal. Names, messages and files come from elsewhere, and a terminal obeys what stands in them:
//! so everything that is written passes through [`shown`], which lets through text, line feeds, tabs and this process's
//! own colours. Whatever else a terminal would obey, or would hide, becomes visible as `\u{1b}`.

use std::sync::LazyLock;

use console::Style;

/// Clears the screen, for a view that is drawn again and again.
pub(super) const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Numbers in each of our own colour codes until they are written. Nobody else can know them. Several short ones, since
/// the library that measures widths takes nothing longer for a part of a code.
static SEAL: LazyLock<String> = LazyLock::new(|| {
    let numbers = rand::random::<[u16; 6]>().map(|number| format!(";{:03}", number % 1000));
    numbers.concat() + "m"
});

/// Text in a style, with codes that [`shown`] recognizes as our own.
pub(super) fn styled(style: Style, text: &str) -> String {
    // The library's codes around nothing that could contain any.
    let codes = style.force_styling(true).apply_to("|").to_string();
    let (before, after) = codes.split_once('|').unwrap_or_default();
    format!("{}{text}{}", sealed(before), sealed(after))
}

fn sealed(codes: &str) -> String {
    codes.replace('m', &SEAL)
}

/// Text as it is written: what a terminal would obey is visible, and our own colours are in their final form.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c| is_obeyed(c) && !matches!(c, '\n' | '\t')) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((code, tail)) = own_code(rest) {
            out.push_str(code);
            out.push('m');
            rest = tail;
        } else {
            let mut chars = rest.chars();
            out.extend(chars.next().into_iter().flat_map(char::escape_unicode));
            rest = chars.as_str();
        }
    }
    out.push_str(rest);
    out
}

/// A colour code of this process at the beginning, and what follows it.
fn own_code(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix("\u{1b}[")?.find(|c: char| !c.is_ascii_digit())? + 2;
    let tail = text[digits..].strip_prefix(SEAL.as_str())?;
    Some((&text[..digits], tail))
}

/// Whether a terminal does something else with a character than to show it: control characters, those that turn the
/// direction of writing, those that nobody sees.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text from elsewhere on one line: white space joined, so that it cannot pass for lines of ours, and nothing that a
/// terminal would obey.
#[must_use]
pub(super) fn one_line(text: &str) -> String {
    shown(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A JSON document in which nothing stands that a terminal would obey. It means the same: such characters can only be in
/// its strings.
pub(super) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) && c != '\n' {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ui::color::{Paint, Tone};

    #[test]
    fn what_a_terminal_would_obey_is_seen() {
        assert_eq!(shown("a\u{1b}[31mb\u{9b}2Jc\u{7f}\r\n\td\0"), "a\\u{1b}[31mb\\u{9b}2Jc\\u{7f}\\u{d}\n\td\\u{0}");
        assert_eq!(shown("abc\u{202e}fdp.exe\u{2066}\u{200b}"), "abc\\u{202e}fdp.exe\\u{2066}\\u{200b}");
        assert_eq!(shown("Größe 東京 é → …"), "Größe 東京 é → …");
    }

    #[test]
    fn only_our_own_colours_are_obeyed() {
        let painted = Paint::new(true).tone(Tone::Fail, "a\u{1b}[31mb");
        assert_eq!(shown(&painted), "\u{1b}[31m\u{1b}[1ma\\u{1b}[31mb\u{1b}[0m");
        assert_eq!(shown("\u{1b}[31;12345m"), "\\u{1b}[31;12345m");
        assert_eq!(console::measure_text_width(&Paint::new(true).tone(Tone::Ok, "abc")), 3);
    }

    #[test]
    fn text_from_elsewhere_is_one_line() {
        assert_eq!(one_line("a\u{1b}[31m red\u{1b}[0m\r\n\tb \u{7}c  "), "a\\u{1b}[31m red\\u{1b}[0m b \\u{7}c");
        assert_eq!(one_line("a\u{85}b\u{2028}c\u{b}d"), "a b c d");
    }

    proptest! {
        #[test]
        fn nothing_is_obeyed_and_nothing_is_lost(text in any::<String>()) {
            let safe = shown(&text);
            prop_assert!(!safe.contains(|c| is_obeyed(c) && !matches!(c, '\n' | '\t')));
            prop_assert_eq!(shown(&safe), safe);
            prop_assert!(!one_line(&text).contains(['\n', '\r', '\t']));
        }

        #[test]
        fn json_means_the_same(text in any::<String>()) {
            let safe = json(&serde_json::to_string(&text).unwrap());
            prop_assert!(!safe.contains(is_obeyed));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
