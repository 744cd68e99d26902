//! From bytes to lines, as Python splits and strips them.

use super::{Fault, MAX_SIZE};

/// What a file is to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Inventory,
    OptionFile,
}

impl Form {
    fn expected(self) -> &'static str {
        match self {
            Self::Inventory => "an INI inventory, with `key=value` under `[all:vars]`",
            Self::OptionFile => "the option file of a server, with `option = value` under `[mysqld]`",
        }
    }

    fn reader(self) -> &'static str {
        match self {
            Self::Inventory => "Ansible refuses",
            Self::OptionFile => "servers refuse",
        }
    }
}

/// The bytes as text.
///
/// # Errors
/// What is no text, or is a file of another kind.
pub(super) fn decode(bytes: &[u8], form: Form) -> Result<&str, Fault> {
    let line_of = |at: usize| bytes[..at].split(|byte| *byte == b'\n').count();
    if bytes.len() > MAX_SIZE {
        return Err(Fault { line: 0, problem: format!("is larger than {} KiB", MAX_SIZE / 1024) });
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let reader = form.reader();
        let problem = format!("starts with a byte-order mark, which {reader}; save the file as UTF-8 without BOM");
        return Err(Fault { line: 1, problem });
    }
    if bytes.starts_with(b"$ANSIBLE_VAULT;") {
        let problem = "is encrypted by ansible-vault; write the plain text to a file that only you can read: ansible-vault decrypt --output";
        return Err(Fault { line: 1, problem: problem.to_owned() });
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(Fault { line: line_of(at), problem: "holds a NUL byte; expected a text file".to_owned() });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Fault { line: line_of(error.valid_up_to()), problem: "is not UTF-8 text".to_owned() })?;
    let first = text.lines().enumerate().find(|(_, line)| !line.trim().is_empty() && !line.starts_with(['#', ';']));
    if let Some((at, line)) = first
        && (line.trim_end() == "---" || line.trim_end().strip_suffix(':').is_some_and(is_word))
    {
        return Err(Fault { line: at + 1, problem: format!("is YAML; expected {}", form.expected()) });
    }
    Ok(text)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Splits at everything that ends a line for Python.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(ends) else {
            rest = None;
            return Some(text);
        };
        let after = &text[end..];
        let newline = if after.starts_with("\r\n") { 2 } else { after.chars().next().map_or(0, char::len_utf8) };
        rest = Some(&after[newline..]);
        Some(&text[..end])
    })
}

/// Python's `strip`: its blanks are those of Unicode and four separators.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}
