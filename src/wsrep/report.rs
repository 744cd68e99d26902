//! The machine-readable lines that pods print: `GALERACTL at=… member=… event=… key=value …`.

use std::collections::BTreeMap;

use crate::names::Member;

const PREFIX: &str = "GALERACTL ";

/// One parsed line.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Seconds since the epoch, by the pod's clock.
    pub at: f64,
    /// Who speaks.
    pub member: Option<Member>,
    /// What happened, such as `phase`, `position`, `transfer`, `crash`.
    pub event: String,
    fields: BTreeMap<String, String>,
}

impl Report {
    /// Reads a line of a container's log; `None` for lines of other kinds.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        // Anywhere else in a line it may be part of a name that a stranger has sent to a server.
        let text = line.strip_prefix(PREFIX)?;
        let mut fields = fields(text);
        Some(Self {
            at: fields.remove("at")?.parse().ok()?,
            member: fields.remove("member").and_then(|member| member.parse().ok()),
            event: fields.remove("event")?,
            fields,
        })
    }

    /// A field's text, `None` where it is missing or empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// What happened, and all fields as they came.
    #[must_use]
    pub(super) fn bare(&self) -> String {
        let quoted = |text: &str| if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() };
        let fields = self.fields.iter().map(|(key, text)| format!(" {key}={}", quoted(text)));
        std::iter::once(self.event.clone()).chain(fields).collect()
    }

    /// A field read as another type.
    #[must_use]
    pub fn parsed<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }
}

/// Splits `a=1 b="two words"`.
fn fields(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_start();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        fields.insert(key.to_owned(), value.to_owned());
        rest = tail;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_start_script_prints() {
        let line = r#"GALERACTL at=1790.25 member=node2 event=refused reason="no key root-password" safe= code=6"#;
        let report = Report::parse(line).unwrap();
        assert_eq!(report.member, Some(Member::Node(2)));
        assert_eq!((report.event.as_str(), report.get("reason")), ("refused", Some("no key root-password")));
        assert_eq!((report.get("safe"), report.parsed::<i32>("code")), (None, Some(6)));
        assert_eq!(Report::parse("2026-11-22 19:00:00 0 [Note] WSREP: Synced"), None);
        assert_eq!(Report::parse(&format!("[Warning] Access denied for user '{line}'")), None);
        assert_eq!(Report::parse(&format!(" {line}")), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,120}") {
            let _ = Report::parse(&line);
            let _ = Report::parse(&format!("{PREFIX}{line}"));
        }
    }
}
