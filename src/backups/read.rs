//! Reading what `catalog.sh` prints. A line that cannot be understood is one thing that cannot be used, and no more.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::{Agent, Backup, Catalog, Extent, Log, Original, Trust, Unusable, Verified, sequence};
use crate::names::Member;

/// The last second that has four digits for its year.
const LAST_SECOND: i64 = 253_402_300_799;
/// Numbers as large as the agent's own arithmetic takes them.
const LARGEST: u64 = 999_999_999_999_999_999;

impl Catalog {
    /// Reads what `catalog.sh` prints of a folder, given as `namespace/name`. Whoever is not trusted has described nothing.
    #[must_use]
    pub fn parse(folder: &str, text: &str, trust: &Trust) -> Self {
        let mut catalog = Self::default();
        let mut beat = 0;
        // Each comes before what it signs.
        let mut signatures: BTreeMap<&str, &str> = BTreeMap::new();
        // Only what ends a line for the script ends one here.
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (name, json) = rest.split_once(' ').unwrap_or((rest, ""));
            let read = match word {
                "signature" => {
                    signatures.insert(name, json);
                    Ok(())
                }
                "backup" => {
                    let signature = signatures.get(name).copied();
                    trusted(trust, json, signature).and_then(|()| backup(folder, name, json)).map(|backup| {
                        let original = Original { line: json.to_owned(), signature: signature.map(str::to_owned) };
                        catalog.originals.insert(name.to_owned(), original);
                        catalog.backups.push(backup);
                    })
                }
                "stored" => number(json).map(|bytes| catalog.stored.extend([(name.to_owned(), bytes)])),
                "verified" => {
                    verified(name, json).map(|verified| catalog.verified.extend([(name.to_owned(), verified)]))
                }
                "log" => trusted(trust, json, signatures.get(name).copied())
                    .and_then(|()| log(name, json))
                    .map(|log| catalog.logs.push(log)),
                "agent" => agent(rest).map(|agent| catalog.agent = Some(agent)),
                "beat" => time(rest).map(|at| beat = at),
                "clock" => time(name).map(|now| (catalog.now, catalog.server) = (now, json.to_owned())),
                "cluster" => cluster(rest).map(|cluster| catalog.clusters.push(cluster)),
                _ => Err("it is nothing that is known of a backup volume".to_owned()),
            };
            if let Err(why) = read {
                let name = match word {
                    "backup" => name.to_owned(),
                    "verified" => format!("{name}/verified.json"),
                    "log" => format!("binlog/{name}.json"),
                    "agent" => "agent.json".to_owned(),
                    _ => line.chars().take(40).collect(),
                };
                catalog.unusable.push(Unusable { name, why });
            }
        }
        // While it works at a backup, it only beats.
        if let Some(agent) = &mut catalog.agent {
            agent.at = agent.at.max(beat);
        }
        catalog.backups.sort_by(|one, other| one.id.cmp(&other.id));
        catalog.backups.dedup_by(|one, other| one.id == other.id);
        catalog.unusable.sort_by(|one, other| one.name.cmp(&other.name));
        catalog
    }
}

/// What has no description at all has none that somebody could have signed.
fn trusted(trust: &Trust, line: &str, signature: Option<&str>) -> Result<(), String> {
    if line.is_empty() { Ok(()) } else { trust.judge(line, signature) }
}

fn json<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    if json.is_empty() {
        return Err("it has no description that can be read".to_owned());
    }
    serde_json::from_str(json).map_err(|error| format!("its description cannot be read: {error}"))
}

/// Says which field is wrong, unless it is as it should be.
fn must(field: &str, right: bool) -> Result<(), String> {
    if right { Ok(()) } else { Err(format!("its description has an impossible `{field}`")) }
}

fn backup(folder: &str, name: &str, text: &str) -> Result<Backup, String> {
    let backup: Backup = json(text)?;
    let full = backup.kind == Extent::Full;
    must("id", backup.id == name && is_name(name))?;
    must("kind", name.ends_with(if full { "-full" } else { "-inc" }))?;
    must("chain", is_name(&backup.chain) && backup.chain.ends_with("-full") && full == (backup.chain == name))?;
    must("base", if full { backup.base.is_empty() } else { is_name(&backup.base) && *backup.base < *name })?;
    must("namespace", format!("{}/{}", backup.namespace, backup.cluster) == folder)?;
    must("member", backup.member.parse::<Member>().is_ok())?;
    must("incarnation", is_word(&backup.incarnation))?;
    must("gtid", is_gtids(&backup.gtid))?;
    // Distributions put words into it.
    must("version", backup.version.len() <= 100 && !backup.version.contains(|c: char| c.is_control()))?;
    must("sha256", is_sum(&backup.sha256))?;
    must("key_id", backup.key_id.is_empty() || is_key(&backup.key_id))?;
    must("base_sum", backup.base_sum.is_empty() || (!full && is_sum(&backup.base_sum)))?;
    for (field, number) in [
        ("seqno", backup.seqno),
        ("from_lsn", backup.from_lsn),
        ("to_lsn", backup.to_lsn),
        ("bytes", backup.bytes),
        ("data", backup.data),
    ] {
        must(field, number <= LARGEST)?;
    }
    must("began", is_time(backup.began))?;
    must("ended", is_time(backup.ended))?;
    Ok(backup)
}

fn verified(name: &str, text: &str) -> Result<Verified, String> {
    let verified: Verified = json(text)?;
    must("id", verified.id == name)?;
    must("at", is_time(verified.at))?;
    Ok(Verified { detail: line(&verified.detail), ..verified })
}

/// Text for people, on one line.
fn line(text: &str) -> String {
    text.chars().take(1000).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn log(name: &str, text: &str) -> Result<Log, String> {
    let log: Log = json(text)?;
    must("name", log.name == name && is_log(name))?;
    must("incarnation", is_word(&log.incarnation))?;
    must("from", is_gtids(&log.from))?;
    must("to", is_gtids(&log.to))?;
    let mut before = sequence(&log.from);
    for gap in &log.gaps {
        must("gaps", before < gap.first && gap.last <= LARGEST && is_time(gap.after))?;
        before = gap.last;
    }
    must("begin", is_time(log.begin))?;
    must("end", is_time(log.end))?;
    must("bytes", log.bytes <= LARGEST)?;
    must("sha256", is_sum(&log.sha256))?;
    Ok(log)
}

fn agent(text: &str) -> Result<Agent, String> {
    let agent: Agent = json(text)?;
    must("member", agent.member.parse::<Member>().is_ok())?;
    must("at", is_time(agent.at))?;
    Ok(Agent {
        pod: line(&agent.pod),
        state: line(&agent.state),
        error: line(&agent.error),
        logs: line(&agent.logs),
        ..agent
    })
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn time(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|at| is_time(*at)).ok_or_else(|| format!("`{text}` is no time"))
}

fn cluster(text: &str) -> Result<String, String> {
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    let right = text.split_once('/').is_some_and(|(namespace, name)| label(namespace) && label(name));
    if right { Ok(text.to_owned()) } else { Err("it is no name of a cluster".to_owned()) }
}

fn is_time(seconds: i64) -> bool {
    (0..=LAST_SECOND).contains(&seconds)
}

fn is_sum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// As many digits as tell keys apart.
pub(super) fn is_key(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A name as the agent makes them: `20261125T020000Z-full`.
fn is_name(text: &str) -> bool {
    let Some((time, kind)) = text.split_once('-') else { return false };
    let shape = time.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.eq(*b"00000000T000000Z") && matches!(kind, "full" | "inc")
}

/// A name as the agent makes them: `1795573020-3f2a91bc-bin.000012.zst`. It is a name only, and leads nowhere else.
fn is_log(text: &str) -> bool {
    let Some((time, rest)) = text.strip_suffix(".zst").and_then(|name| name.split_once('-')) else { return false };
    time.parse().is_ok_and(is_time)
        && text.len() <= 200
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// `0-1-4711,103-1-5`, or nothing.
fn is_gtids(text: &str) -> bool {
    let gtid = |gtid: &str| {
        let parts: Vec<&str> = gtid.split('-').collect();
        let fits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit()) && part.parse::<u64>().is_ok();
        parts.len() == 3 && parts.iter().all(fits)
    };
    text.is_empty() || text.split(',').all(gtid)
}
