//! Questions to the certificates: how long they hold.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Case, Check, Question};
use crate::backups::utc;

/// Whose certificate holds until when, or why that is not known.
pub type Ends = BTreeMap<String, Result<Timestamp, String>>;

const CERTIFICATES: &str = "certificates";
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Time to renew them without haste.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Who has overlooked it until then may overlook it longer.
const LATE: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    if case.desired.tls.is_none() {
        return Vec::new();
    }
    let (mut late, mut soon) = (Vec::new(), Vec::new());
    for (whose, end) in case.certificates {
        match end {
            Err(why) => soon.push(format!("that of {whose} is not known: {why}")),
            Ok(end) => {
                let left = end.duration_since(case.now);
                let days = left.as_secs().abs() / DAY.as_secs();
                if left.is_negative() {
                    late.push(format!("that of {whose} has ended {days} days ago: it lets nobody in any more"));
                } else if left < LATE {
                    late.push(format!("that of {whose} ends in {days} days"));
                } else if left < SOON {
                    soon.push(format!("that of {whose} ends in {days} days"));
                }
            }
        }
    }
    let first = case.certificates.iter().filter_map(|(whose, end)| Some((end.as_ref().ok()?, whose))).min();
    let fine = first.map_or_else(String::new, |(end, whose)| format!("{} ({whose})", utc(end.as_second())));
    let of_authority = late.iter().chain(&soon).any(|line| line.starts_with("that of the authority"));
    let verb = if of_authority { "galeractl certificates rotate" } else { "galeractl certificates renew" };
    let hint = format!("give the servers new ones while they run: {verb}");
    let question = Question::new(CERTIFICATES, "certificates", "the certificates hold for 30 days at least", hint);
    vec![match (case.certificates.is_empty(), late.is_empty()) {
        (true, _) => question.skipped("no server could be asked"),
        (_, true) => question.should(&soon, fine),
        (_, false) => question.must(&[late, soon].concat(), fine),
    }]
}
