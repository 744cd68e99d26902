//! Lines of `[mysqld]`, in the form of a server's own option file.

/// One server option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MysqldOption {
    /// Its name as written.
    pub name: String,
    /// What stands behind `=`, verbatim with its quotes; empty for a bare flag.
    pub value: String,
    /// Line number, from 1.
    pub line: usize,
}

/// Reads a line that is neither empty nor a comment.
pub(super) fn read(line: &str, number: usize) -> Result<MysqldOption, String> {
    if line.starts_with('!') {
        return Err("an include does not work here: the file lies on your side, not in the container".to_owned());
    }
    let line = without_comment(line).trim_end();
    let (name, value) = match line.split_once('=') {
        // An option that is set to nothing differs from a bare flag.
        Some((name, value)) if value.trim().is_empty() => (name, "\"\""),
        Some((name, value)) => (name, value.trim()),
        None => (line, ""),
    };
    let name = name.trim();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(fine) {
        return Err("expected `option = value` or a bare option".to_owned());
    }
    Ok(MysqldOption { name: name.to_owned(), value: value.to_owned(), line: number })
}

/// The server ends a line at any `#` outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (index, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return &line[..index],
            (None, '"' | '\'') if !escaped => quote = Some(c),
            (Some(open), c) if open == c && !escaped => quote = None,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    line
}
