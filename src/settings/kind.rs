//! What kinds of values there are, and what is right for each.

use crate::desired::Peer;
use crate::names::{ClusterName, Namespace};

use super::ranges::range;
use super::units;

/// The kind of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Name of a cluster.
    ClusterName,
    /// Name of a namespace.
    Namespace,
    /// Reference to a container image.
    Image,
    /// Name of a Kubernetes object, such as a storage class.
    ObjectName,
    /// Amount of bytes in Kubernetes' notation, `10Gi`.
    Bytes,
    /// Amount of processor time in Kubernetes' notation, `500m`.
    Cpu,
    /// Amount of bytes in the server's notation, `256M`.
    ServerBytes,
    /// Whole number between two bounds.
    Int {
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
        /// What the number is, as in `99999 is no port`.
        what: &'static str,
    },
    /// Span of time such as `15m`.
    Duration,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Absolute path.
    Path,
    /// Host name or IP address.
    Host,
    /// Host names or IP addresses separated by commas.
    Hosts,
    /// Host and port.
    Portal,
    /// Name of an iSCSI target.
    Iqn,
    /// Namespaces and address ranges separated by commas, or `*` for everywhere.
    Peers,
    /// Names separated by commas.
    Names,
    /// `key=value` pairs separated by commas.
    Labels,
    /// As `Labels`, with any text without a comma as the value.
    Annotations,
    /// `key=value:effect`, `key:effect` or `key`, separated by commas.
    Tolerations,
    /// Name of a database.
    Database,
    /// Name of a database user.
    User,
    /// Text that is never shown.
    Secret,
    /// Text that nothing uses.
    Unused,
}

impl Kind {
    /// A word or two for the reference page.
    #[must_use]
    pub fn title(self) -> String {
        match self {
            Self::ClusterName | Self::ObjectName | Self::Namespace => "name".to_owned(),
            Self::Image => "image".to_owned(),
            Self::Bytes => "size (`10Gi`)".to_owned(),
            Self::Cpu => "cpu (`500m`)".to_owned(),
            Self::ServerBytes => "size (`256M`)".to_owned(),
            Self::Int { min, max, .. } => format!("{min}–{max}"),
            Self::Duration => "duration (`15m`)".to_owned(),
            Self::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::Path => "absolute path".to_owned(),
            Self::Host => "host".to_owned(),
            Self::Portal => "host:port".to_owned(),
            Self::Iqn => "iSCSI name".to_owned(),
            Self::Names | Self::Hosts | Self::Peers => "list (`a,b`)".to_owned(),
            Self::Labels | Self::Annotations => "list (`key=value,…`)".to_owned(),
            Self::Tolerations => "list (`key=value:effect,…`)".to_owned(),
            Self::Database | Self::User => "database name".to_owned(),
            Self::Secret => "secret".to_owned(),
            Self::Unused => "ignored".to_owned(),
        }
    }

    /// Says what is wrong with a value, without repeating it if it is secret.
    ///
    /// # Errors
    /// The problem and what would be right.
    pub fn check(self, text: &str) -> Result<(), String> {
        let shown = shown(text);
        let fail = |expected: &str| Err(format!("{shown} {expected}"));
        match self {
            Self::ClusterName => text.parse::<ClusterName>().map(drop).map_err(|e| e.to_string()),
            Self::Namespace => text.parse::<Namespace>().map(drop).map_err(|e| e.to_string()),
            Self::Image => image(text).map_err(|why| format!("{shown} is not an image: {why}")),
            Self::ObjectName if !object_name(text) => {
                fail("is not the name of an object; expected a-z, 0-9, `-` and `.`, at most 253 characters")
            }
            Self::Bytes => units::bytes(text).map(drop),
            Self::Cpu => units::cpu(text).map(drop),
            Self::ServerBytes => units::server_bytes(text).map(drop),
            Self::Int { min, max, what } => match text.parse::<u32>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(format!("{shown} is not {what}; expected {min}-{max}")),
            },
            Self::Duration => units::seconds(text).map(drop),
            Self::Choice(words) if !words.contains(&text) => {
                let list: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                fail(&format!("is not known; expected {}", list.join(" or ")))
            }
            Self::Path if !text.starts_with('/') => fail("is not an absolute path; expected one that starts with `/`"),
            Self::Path if text.split('/').any(|part| part == "..") => fail("holds `..`; expected a path without it"),
            Self::Path if text.chars().any(char::is_control) => fail("holds a control character"),
            Self::Host if !host(text) => fail("is not a host; expected a name or an IP address"),
            Self::Portal => portal(text).map_err(|why| format!("{shown} {why}")),
            Self::Iqn if !iqn(text) => {
                fail("is not an iSCSI name; expected one such as `iqn.2018-04.org.example:disk1`")
            }
            Self::Hosts => each(text, |item| {
                if host(item) { Ok(()) } else { wrong(item, "is not a host; expected a name or an IP address") }
            }),
            Self::Names => {
                each(
                    text,
                    |name| {
                        if object_name(name) { Ok(()) } else { Err(format!("`{}` is not a name", visible(name))) }
                    },
                )
            }
            Self::Peers => each(text, |item| peer(item).map(drop)),
            Self::Labels => each(text, label),
            Self::Annotations => each(text, annotation),
            Self::Tolerations => each(text, toleration),
            Self::Database => identifier(text, 64),
            Self::User => identifier(text, 80),
            Self::Secret if text.chars().any(char::is_control) => Err("holds a control character".to_owned()),
            Self::Secret if text.len() > 256 => Err("is longer than 256 bytes".to_owned()),
            _ => Ok(()),
        }
    }
}

/// A value as a message quotes it: bare if it is a plain number, else in backticks, and never long.
fn shown(text: &str) -> String {
    if !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.to_owned();
    }
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{dots}`", visible(&short))
}

/// Text as a message may quote it: control characters are escaped.
pub(super) fn visible(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Checks each item of a list; blanks around the commas do not count.
fn each(text: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<(), String> {
    items(text)
        .iter()
        .try_for_each(|item| if item.is_empty() { Err("holds an empty item".to_owned()) } else { check(item) })
}

/// Items of a list. A comma with a backslash in front belongs to its item.
pub(super) fn items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let last = items.len() - 1;
        match c {
            '\\' if rest.next_if_eq(&',').is_some() => items[last].push(','),
            ',' => items.push(String::new()),
            c => items[last].push(c),
        }
    }
    items.iter().map(|item| item.trim().to_owned()).collect()
}

/// A reference to an image that somebody has typed.
///
/// # Errors
/// What would be right.
pub fn image_named(text: &str) -> Result<String, String> {
    image(text).map(|()| text.to_owned()).map_err(|why| format!("`{}` is not an image: {why}", visible(text)))
}

fn image(text: &str) -> Result<(), &'static str> {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").ok_or("expected a digest `sha256:…`")?;
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("expected a digest of 64 hex digits");
        }
    }
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name[slash..].find(':') {
        Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
        None => (name, None),
    };
    let tag_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if tag.is_some_and(|tag| {
        tag.is_empty() || tag.len() > 128 || tag.starts_with(['-', '.']) || !tag.chars().all(tag_char)
    }) {
        return Err("expected a tag of letters, digits, `_`, `-` and `.`");
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost") {
        let (registry, port) = parts[0].split_once(':').map_or((parts[0], None), |(r, p)| (r, Some(p)));
        if !host(registry) || port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err("expected a registry `host` or `host:port` in front of the first `/`");
        }
        parts.remove(0);
    }
    let path_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    let edge = |part: &str| part.starts_with(['_', '-', '.']) || part.ends_with(['_', '-', '.']);
    if parts.iter().any(|part| part.is_empty() || edge(part) || !part.chars().all(path_char)) {
        return Err("expected a lower-case name such as `mariadb:11.8`");
    }
    Ok(())
}

fn dns_label(label: &str) -> bool {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !label.is_empty()
        && label.len() <= 63
        && label.chars().all(fine)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(dns_label)
}

fn host(text: &str) -> bool {
    let looks_like_ipv4 = text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if looks_like_ipv4 || text.contains(':') {
        return text.parse::<std::net::IpAddr>().is_ok();
    }
    object_name(&text.to_ascii_lowercase())
}

fn portal(text: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "is not a portal; expected `host:port`, usually port 3260";
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if text.contains("//") {
        return Err("has a scheme; expected `host:port`, usually port 3260");
    }
    let (name, port) = match bracketed {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => (name, Some(port)),
            Some(_) => return Err("needs brackets around its IPv6 address; expected `[address]:port`"),
            None => (text, None),
        },
    };
    match port {
        None => Err("has no port; expected `host:port`, usually port 3260"),
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) && host(name) => Ok(()),
        Some(_) => Err(EXPECTED),
    }
}

/// Those who may be let in, of items that have been checked.
pub(super) fn peers(items: &[String]) -> Vec<Peer> {
    items.iter().filter_map(|item| peer(item).ok()).collect()
}

/// Somebody who may be let in.
fn peer(text: &str) -> Result<Peer, String> {
    if text == "*" {
        return Ok(Peer::Anyone);
    }
    if text.contains(['/', ':']) || text.parse::<std::net::IpAddr>().is_ok() {
        return range(text).map(Peer::Range);
    }
    let expected = "expected a namespace, an address range such as `10.1.0.0/16`, or `*`";
    let namespace = text.parse::<Namespace>().map_err(|why| format!("{why}; {expected}"))?;
    Ok(Peer::Namespace(namespace.to_string()))
}

fn iqn(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
    let hex = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(eui) = text.strip_prefix("eui.") {
        return hex(eui);
    }
    if let Some(naa) = text.strip_prefix("naa.") {
        return hex(naa) || (naa.len() == 32 && naa.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    let Some(rest) = text.strip_prefix("iqn.") else { return false };
    let Some((date, authority)) = rest.split_at_checked(7) else { return false };
    let date_fine = date.bytes().enumerate().all(|(i, b)| if i == 4 { b == b'-' } else { b.is_ascii_digit() });
    let name = authority.strip_prefix('.').unwrap_or_default();
    date_fine && !name.is_empty() && !name.starts_with(':') && text.len() <= 223 && name.chars().all(fine)
}

fn word(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: char| !c.is_ascii_alphanumeric();
    text.len() <= 63 && text.chars().all(fine) && !text.starts_with(edge) && !text.ends_with(edge)
}

/// A key of a label, an annotation or a taint: `name` or `domain/name`.
fn key(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && word(name) && prefix.is_none_or(object_name)
}

fn wrong(item: &str, why: &str) -> Result<(), String> {
    Err(format!("`{}` {why}", visible(item)))
}

fn label(item: &str) -> Result<(), String> {
    let Some((name, value)) = item.split_once('=') else { return wrong(item, "is not `key=value`") };
    if !key(name.trim()) {
        return wrong(item, "has a key that is no label");
    }
    if word(value.trim()) { Ok(()) } else { wrong(item, "has a value that is no label's value") }
}

fn annotation(item: &str) -> Result<(), String> {
    match item.split_once('=') {
        None => wrong(item, "is not `key=value`"),
        Some((name, _)) if !key(name.trim()) => wrong(item, "has a key that is no annotation"),
        Some((_, value)) if value.chars().any(char::is_control) => wrong(item, "holds a control character"),
        Some(_) => Ok(()),
    }
}

/// Effects that a taint can have.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

fn toleration(item: &str) -> Result<(), String> {
    let (taint, effect) = item.rsplit_once(':').map_or((item, None), |(taint, effect)| (taint, Some(effect)));
    if effect.is_some_and(|effect| !EFFECTS.contains(&effect)) {
        return wrong(item, "has no known effect; expected `NoSchedule`, `PreferNoSchedule` or `NoExecute`");
    }
    let (name, value) = taint.split_once('=').map_or((taint, ""), |(name, value)| (name, value));
    if key(name) && word(value) { Ok(()) } else { wrong(item, "is no taint; expected `key=value:effect`") }
}

fn identifier(text: &str, max: usize) -> Result<(), String> {
    if text.chars().count() > max {
        return Err(format!("is longer than {max} characters"));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | '@');
    match text.chars().find(|c| !fine(*c)) {
        Some(bad) => Err(format!(
            "{} contains `{}`; only A-Z, a-z, 0-9 and `_-$.@` are allowed",
            shown(text),
            visible(&bad.to_string())
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_can_belong_to_an_item() {
        for (text, expected) in [
            ("a,b", &["a", "b"][..]),
            ("x=a\\,b, y=c", &["x=a,b", "y=c"]),
            ("a\\,", &["a,"]),
            ("a\\b\\", &["a\\b\\"]),
            ("a,", &["a", ""]),
            ("", &[""]),
        ] {
            assert_eq!(items(text), expected, "{text}");
        }
    }
}
