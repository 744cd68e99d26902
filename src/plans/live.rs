//! What of changed server options the servers can take while they run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::difference::differences;

/// Variables and their values, as a server prints what it has read; `None` where there is no value.
pub type Values = BTreeMap<String, Option<String>>;

/// What a running server has read at its start, and what it would read now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// At its start.
    pub began: Values,
    /// Now.
    pub next: Values,
    /// Variables that have been set since its start, by somebody who noted them.
    pub set: BTreeSet<String>,
    /// Whether the options that it would read are those in its container.
    pub arrived: bool,
}

/// A variable of a running server, as `information_schema.SYSTEM_VARIABLES` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its global value.
    pub value: Option<String>,
    /// What set it: `CONFIG`, `COMPILE-TIME`, `AUTO`, `SQL`, ….
    pub origin: String,
    /// `GLOBAL`, or `SESSION` where each connection begins with the global value and keeps it.
    pub scope: String,
    /// Type of its values, such as `BIGINT UNSIGNED`, `BOOLEAN`, `ENUM`.
    pub kind: String,
    /// Only a start can set it.
    pub read_only: bool,
}

/// How a running server comes to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It is set while the server runs, for everybody.
    Live,
    /// It is set while the server runs; connections that are open keep what they had.
    NewConnections,
    /// The server itself derives it from others when it starts, and nobody has to start it for that.
    ByItself,
    /// By a restart, and why.
    Restart(&'static str),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::NewConnections => f.write_str("live, for new connections"),
            Self::ByItself => f.write_str("follows at the next start"),
            Self::Restart(why) => write!(f, "restart: {why}"),
        }
    }
}

/// A variable that is to have another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What the server has.
    pub from: String,
    /// What it would have after a restart.
    pub to: String,
    /// How it comes to it.
    pub way: Way,
    /// Type of its values.
    pub kind: String,
}

/// Told by the way of compilation or of starting, and not to be set by anybody.
const NO_OPTIONS: [&str; 1] = ["version"];
/// Memory for data, of which a server gives and takes in pieces.
const POOL: &str = "innodb_buffer_pool_size";
/// The size of such a piece, where it is not a MiB.
const POOL_PIECE: &str = "innodb_buffer_pool_chunk_size";
/// The largest size of the buffer pool while a server runs.
const POOL_MAX: &str = "innodb_buffer_pool_size_max";

/// Everything in which a running server differs from one that is started now. What the options before and now lead to is
/// the server's own word; what has been set since its start is compared as well, for an earlier run may have been killed.
#[must_use]
pub fn settings(readings: &Readings, variables: &BTreeMap<String, Variable>) -> Vec<Setting> {
    let Readings { began, next, set, .. } = readings;
    let names: BTreeSet<&String> = began.keys().chain(next.keys()).collect();
    let mut settings = Vec::new();
    for name in names {
        let changed = began.get(name) != next.get(name) || set.contains(name);
        if !changed || NO_OPTIONS.contains(&name.as_str()) {
            continue;
        }
        let variable = variables.get(name);
        let (kind, has) = variable.map_or(("", None), |known| (known.kind.as_str(), known.value.as_deref()));
        let wanted = next.get(name).and_then(Option::as_deref);
        if variable.is_some() && next.contains_key(name) && is_at(name, wanted, variables) {
            continue;
        }
        let from = variable.map_or_else(|| began.get(name).and_then(Option::as_deref), |_| has);
        settings.push(Setting {
            name: name.clone(),
            from: from.unwrap_or("-").to_owned(),
            to: wanted.unwrap_or("-").to_owned(),
            way: way(name, wanted, variable, variables),
            kind: kind.to_owned(),
        });
    }
    settings
}

fn way(name: &str, wanted: Option<&str>, variable: Option<&Variable>, variables: &BTreeMap<String, Variable>) -> Way {
    let Some(variable) = variable else { return Way::Restart("it is no variable of a running server") };
    if variable.read_only && variable.origin == "AUTO" {
        return Way::ByItself;
    }
    if variable.read_only {
        return Way::Restart("only a start can set it");
    }
    if name.starts_with("wsrep") {
        return Way::Restart("the group is formed with it");
    }
    let Some(wanted) = wanted else { return Way::Restart("only a start knows its default") };
    if literal(&variable.kind, wanted).is_none() {
        return Way::Restart("its value cannot stand in a statement");
    }
    let max = variables.get(POOL_MAX).and_then(|max| max.value.as_deref()?.parse::<u64>().ok());
    if name == POOL && max.is_some_and(|max| wanted.parse::<u64>().is_ok_and(|size| size > max)) {
        return Way::Restart("it is above innodb_buffer_pool_size_max");
    }
    match variable.scope.as_str() {
        "GLOBAL" => Way::Live,
        "SESSION" => Way::NewConnections,
        _ => Way::Restart("it has no global value"),
    }
}

/// Whether a variable of a running server has a value. The buffer pool grows and shrinks by pieces.
#[must_use]
pub fn is_at(name: &str, wanted: Option<&str>, variables: &BTreeMap<String, Variable>) -> bool {
    let Some(variable) = variables.get(name) else { return false };
    let has = variable.value.as_deref();
    if is_same(&variable.kind, has, wanted) {
        return true;
    }
    let piece =
        variables.get(POOL_PIECE).and_then(|piece| number(piece.value.as_deref()?)).unwrap_or(0).max(1_u64 << 20);
    let bytes = |text: Option<&str>| number::<u64>(text?);
    name == POOL && bytes(has).zip(bytes(wanted)).is_some_and(|(has, wanted)| has.abs_diff(wanted) < piece)
}

/// Whether two values of a type are one, however they are written.
fn is_same(kind: &str, one: Option<&str>, other: Option<&str>) -> bool {
    let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
    if one == other {
        return true;
    }
    let parts = |text: &str| text.to_lowercase().split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    match kind {
        "BOOLEAN" => switch(one).is_some() && switch(one) == switch(other),
        "ENUM" | "SET" | "FLAGSET" => parts(one) == parts(other),
        kind if is_whole(kind) => number::<i128>(one).is_some_and(|one| Some(one) == number(other)),
        "DOUBLE" => number::<f64>(one).zip(number::<f64>(other)).is_some_and(|(one, other)| (one - other).abs() < 1e-6),
        _ => false,
    }
}

fn is_whole(kind: &str) -> bool {
    matches!(kind, "INT" | "INT UNSIGNED" | "BIGINT" | "BIGINT UNSIGNED")
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn switch(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// The statement that sets a variable; `None` if its name or its value is none that may stand in one.
#[must_use]
pub fn statement(setting: &Setting) -> Option<String> {
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let value = literal(&setting.kind, &setting.to)?;
    is_name(&setting.name).then(|| format!("SET GLOBAL {} = {value}", setting.name))
}

/// A value as it stands in a statement, whatever the server's mode makes of quotes.
fn literal(kind: &str, value: &str) -> Option<String> {
    match kind {
        "BOOLEAN" => switch(value).map(|on| if on { "ON" } else { "OFF" }.to_owned()),
        kind if is_whole(kind) => number::<i128>(value).map(|number| number.to_string()),
        "DOUBLE" => number::<f64>(value).filter(|number| number.is_finite()).map(|number| number.to_string()),
        _ => {
            let plain = |c: char| !c.is_control() && !matches!(c, '\'' | '"' | '\\' | '`');
            value.chars().all(plain).then(|| format!("'{value}'"))
        }
    }
}

/// Whether two versions of a template differ in nothing but the sum of what a server reads when it starts.
#[must_use]
pub fn only_config_differs(before: &Value, after: &Value, annotation: &str) -> bool {
    let path = format!("metadata.annotations[{annotation}]");
    differences(before, after).iter().all(|found| found.path == path && found.wanted.is_some())
}

/// Whether two versions of a file of options differ in nothing but what the server itself reads: the transfer of its data
/// has a part of its own.
#[must_use]
pub fn only_options_differ(before: &str, after: &str) -> bool {
    let rest = |text: &str| text.split_once("\n[sst]").map(|(_, rest)| rest.to_owned());
    rest(before) == rest(after)
}

/// Reads what a server in a container has printed.
///
/// # Errors
/// A sentence about what is missing.
pub fn read(text: &str) -> Result<Readings, String> {
    let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut part, mut arrived) = ("", false);
    for line in text.lines() {
        match line.strip_prefix("== ") {
            Some("file same") => arrived = true,
            Some(name) => part = name,
            None => parts.entry(part).or_default().push(line),
        }
    }
    let values = |part: &str| parts.get(part).into_iter().flatten().filter_map(|line| value(line)).collect::<Values>();
    let readings = Readings {
        began: values("began"),
        next: values("next"),
        set: parts.get("set").into_iter().flatten().map(|name| (*name).to_owned()).collect(),
        arrived,
    };
    // Whatever a server is, it has many: a table that was cut off would say that nothing has changed.
    if readings.began.len() < FEWEST || readings.next.len() < FEWEST {
        return Err("the server does not print its variables".to_owned());
    }
    Ok(readings)
}

/// Any server has more variables than this.
const FEWEST: usize = 300;

/// A line of the table: the option's name, spaces, its value.
fn value(line: &str) -> Option<(String, Option<String>)> {
    let (name, value) = line.split_once(' ').unwrap_or((line, ""));
    let value = Some(value.trim()).filter(|value| *value != "(No default value)");
    (!name.is_empty()).then(|| (name.to_lowercase().replace('-', "_"), value.map(str::to_owned)))
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
