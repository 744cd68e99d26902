//! Host lines: words as a shell splits them, and names with ranges such as `db[1:3]`.

/// Splits a line into words, with quotes, backslashes and comments as Python's `shlex.split` treats them.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let mut words = Vec::new();
    // `Some` as soon as a word has begun, so that `""` is a word.
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            // Unlike a shell, Python starts a comment in the middle of a word as well.
            '#' => break,
            '\\' => {
                let next = chars.next().ok_or("ends in a lone backslash")?;
                word.get_or_insert_default().push(next);
            }
            '"' | '\'' => until_quote(&mut chars, c, word.get_or_insert_default())?,
            c if blank(c) => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn until_quote(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next() {
                Some(next @ ('"' | '\\')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err(format!("opens a quote {quote} that is never closed"))
}

/// The hosts that the first word of a host line names, at most `limit`.
pub(super) fn expand(pattern: &str, limit: usize) -> Result<Vec<String>, String> {
    let (name, port) = split_port(pattern);
    if !port && pattern.trim().ends_with(':') {
        return Err("ends in `:` without a port".to_owned());
    }
    let mut hosts = Vec::new();
    if name.contains('[') {
        let mut budget = limit;
        ranges(name, &mut budget, &mut hosts)?;
    } else {
        hosts.push(name.to_owned());
    }
    match hosts.iter().find(|host| host.is_empty() || host.trim() == "---") {
        Some(host) if host.is_empty() => Err("names no host".to_owned()),
        Some(_) => Err("looks like YAML; expected an INI file".to_owned()),
        None => Ok(hosts),
    }
}

/// The name without its port, if what remains is a name or an address; Ansible keeps everything else whole.
fn split_port(pattern: &str) -> (&str, bool) {
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let Some((name, _)) = pattern.rsplit_once(':').filter(|(_, port)| digits(port)) else {
        return (pattern, false);
    };
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).filter(|inner| !inner.is_empty());
    if let Some(inner) = inner
        && (host_name(inner) || inner.parse::<std::net::IpAddr>().is_ok())
    {
        return (inner, true);
    }
    if host_name(name) { (name, true) } else { (pattern, false) }
}

/// Labels of letters, digits, `_`, `-` and ranges, with dots between them; IPv4 addresses are among these.
fn host_name(name: &str) -> bool {
    let mut rest = name;
    let mut last = '.';
    while let Some(c) = rest.chars().next() {
        let inner = c.is_alphanumeric() || c == '_';
        if c == '[' {
            let Some(end) = rest.find(']').filter(|end| plain_range(&rest[1..*end])) else { return false };
            rest = &rest[end + 1..];
            last = ']';
            continue;
        }
        let fits = inner || (c == '-' && last != '.') || (c == '.' && !matches!(last, '.' | '-' | '_'));
        if !fits {
            return false;
        }
        last = c;
        rest = &rest[c.len_utf8()..];
    }
    !matches!(last, '.' | '-' | '_')
}

/// Letters or numbers, with an optional step: what Ansible knows for sure to be a range.
fn plain_range(range: &str) -> bool {
    let parts: Vec<&str> = range.split(':').collect();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let letter = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
    match parts[..] {
        [from, to] => (number(from) && number(to)) || (letter(from) && letter(to)),
        [from, to, step] => ((number(from) && number(to)) || (letter(from) && letter(to))) && number(step),
        _ => false,
    }
}

/// Python's `string.ascii_letters`, in which Ansible looks both ends of a range up.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Expands the first range of a name, then the others; `budget` counts down with every item.
fn ranges(name: &str, budget: &mut usize, hosts: &mut Vec<String>) -> Result<(), String> {
    let marked = name.replacen('[', "|", 1).replacen(']', "|", 1);
    let [head, range, tail] = marked.split('|').collect::<Vec<_>>()[..] else {
        return Err("has an unbalanced `[` in the host's name".to_owned());
    };
    for item in items(range, *budget)? {
        *budget = budget.checked_sub(1).ok_or("stands for too many hosts")?;
        let host = format!("{head}{item}{tail}");
        if host.contains('[') {
            ranges(&host, budget, hosts)?;
        } else {
            hosts.push(host);
        }
    }
    Ok(())
}

fn items(range: &str, limit: usize) -> Result<Vec<String>, String> {
    let wrong = || format!("has the host range `[{range}]`; expected `[first:last]` or `[first:last:step]`");
    let (from, to, step) = match range.split(':').collect::<Vec<_>>()[..] {
        [from, to] => (from, to, "1"),
        [from, to, step] => (from, to, step),
        _ => return Err(wrong()),
    };
    let from = if from.is_empty() { "0" } else { from };
    let padded = from.len() > 1 && from.starts_with('0');
    if to.is_empty() || (padded && from.chars().count() != to.chars().count()) {
        return Err(wrong());
    }
    let width = if padded { from.len() } else { 0 };
    let step = integer(step).filter(|step| *step != 0).ok_or_else(wrong)?;
    if let (Some(first), Some(last)) = (LETTERS.find(from), LETTERS.find(to)) {
        if first > last {
            return Err(wrong());
        }
        let letters = LETTERS[first..=last].chars().map(String::from);
        return Ok(usize::try_from(step).map_or_else(|_| Vec::new(), |step| letters.step_by(step).collect()));
    }
    let (first, last) = (integer(from).ok_or_else(wrong)?, integer(to).ok_or_else(wrong)?);
    let number =
        |index: i64| Some(first.saturating_add(index.saturating_mul(step))).filter(|n| inside(*n, first, last, step));
    Ok((0..).map_while(number).take(limit + 1).map(|number| zero_filled(number, width)).collect())
}

fn inside(number: i64, first: i64, last: i64, step: i64) -> bool {
    // Python's `range(first, last + 1, step)`.
    if step > 0 { number >= first && number <= last } else { number <= first && number > last.saturating_add(1) }
}

fn zero_filled(number: i64, width: usize) -> String {
    format!("{number:0width$}")
}

/// Python's `int()` of a short text.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let fine = digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.replace('_', "").parse::<i64>().ok().filter(|_| fine)?;
    Some(if text.starts_with('-') { -number } else { number })
}
