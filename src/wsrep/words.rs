//! Reports of pods in words, for people who read logs.

use super::volume::{Evidence, Held};
use super::{Position, Report};

/// What a member does in a phase of its start script.
#[must_use]
pub fn phase(name: &str) -> Option<&'static str> {
    Some(match name {
        "waiting" => "waits for its turn to join",
        "recovering" => "looks for its position on the volume",
        "initialising" => "creates an empty database",
        "asking" => "asks all nodes whether their volumes are empty",
        "giving" => "gives every node a copy of the empty database",
        "filling" => "takes a copy of the empty database",
        "filled" => "has its copy of the empty database, and waits for the others",
        "locked" => "waits for another pod to let go of its volume",
        _ => return None,
    })
}

/// What a report says. One that is not known is shown with its fields.
#[must_use]
pub fn words(report: &Report) -> String {
    let get = |key: &str| report.get(key);
    let why = || get("reason").map(|reason| format!(": {reason}")).unwrap_or_default();
    let known = match report.event.as_str() {
        "phase" => get("phase").map(|name| match name {
            "starting" => "starts its server".to_owned(),
            "refused" => "refuses to start".to_owned(),
            "held" => Held::default().to_string(),
            name => phase(name).map_or_else(|| format!("is in phase {name}"), str::to_owned),
        }),
        "refused" => Some(format!("refuses{}", why())),
        "volume" => Evidence::from_report(report, None).ok().map(|volume| format!("its volume: {}", volume.describe())),
        "position" => Some(match report.parsed::<Position>("position") {
            Some(position) => format!("its data is at {position}"),
            None => "its data has no known position".to_owned(),
        }),
        "hold" => Some(Held::from_report(report).to_string()),
        "transfer" => report.parsed::<u64>("bytes").map(|bytes| format!("its volume has {} MiB", bytes >> 20)),
        "crash" => Some(format!(
            "its server has ended by itself with code {} after {} seconds; that happened {} times since the pod began",
            get("code").unwrap_or("?"),
            get("lived").unwrap_or("?"),
            get("count").unwrap_or("?")
        )),
        "stopping" => Some("stops".to_owned()),
        "stopped" => Some("has stopped its server".to_owned()),
        "wsrep" => Some(format!(
            "is {}{} with {}",
            get("status").unwrap_or("-").to_lowercase(),
            if get("primary") == Some("no") { ", without a majority," } else { "" },
            get("members").unwrap_or("nobody")
        )),
        "asking" => get("silent").map(|silent| format!("waits for the answers of {silent}")),
        "initialised" => Some("has created an empty database".to_owned()),
        "bootstrap" => get("position").map(|position| format!("begins the group at {position}")),
        "copy" if get("done") == Some("no") => {
            Some(format!("could not take a copy of the empty database (try {}){}", get("try").unwrap_or("?"), why()))
        }
        "rebuild" => Some(match (get("done"), get("aside")) {
            (Some("yes"), Some(aside)) => format!("has put its data aside as {aside}, for a new copy"),
            _ => format!("does not put its data aside for a new copy{}", why()),
        }),
        "agent" => get("state").map(|state| format!("backups: the agent is in state {state}{}", why())),
        "backup" => get("state").map(|state| {
            let which = get("id").map(|id| format!(" {id}")).unwrap_or_default();
            let kind = get("kind").map(|kind| format!(" ({kind})")).unwrap_or_default();
            format!("backup{which}{kind} {state}{}", why())
        }),
        "removed" => {
            get("backup").or(get("log")).map(|what| format!("backups: {what} is removed, as it is not kept any longer"))
        }
        _ => None,
    };
    known.unwrap_or_else(|| report.bare())
}

/// Whether a report tells of something that somebody should look at.
#[must_use]
pub fn is_trouble(report: &Report) -> bool {
    match report.event.as_str() {
        "refused" | "crash" => true,
        "copy" | "rebuild" => report.get("done") == Some("no"),
        "backup" => report.get("state") == Some("failed"),
        "agent" => report.get("state") == Some("lost"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rest: &str) -> (String, bool) {
        let report = Report::parse(&format!("GALERACTL at=1.5 member=node1 {rest}")).unwrap();
        (words(&report), is_trouble(&report))
    }

    #[test]
    fn reports_are_sentences() {
        for (line, wanted) in [
            ("event=phase phase=waiting", "waits for its turn to join"),
            ("event=phase phase=odd", "is in phase odd"),
            ("event=wsrep status=Synced uuid=x primary=yes index=0 members=a,b", "is synced with a,b"),
            ("event=wsrep status=joined primary=no members=a", "is joined, without a majority, with a"),
            ("event=position position=none safe=0", "its data has no known position"),
            ("event=transfer bytes=3145728", "its volume has 3 MiB"),
            ("event=asking silent=\"a b\"", "waits for the answers of a b"),
            ("event=backup state=done request= id=x kind=full bytes=1", "backup x (full) done"),
            ("event=news a=1 b=\"two words\"", "news a=1 b=\"two words\""),
            ("event=copy done=yes", "copy done=yes"),
        ] {
            assert_eq!(said(line), (wanted.to_owned(), false), "{line}");
        }
        for (line, wanted) in [
            ("event=refused reason=\"no key\"", "refuses: no key"),
            ("event=rebuild done=no reason=\"in use\"", "does not put its data aside for a new copy: in use"),
            ("event=backup state=failed request= reason=\"full\"", "backup failed: full"),
        ] {
            assert_eq!(said(line), (wanted.to_owned(), true), "{line}");
        }
        assert!(said("event=crash code=139 lived=12 count=2").1);
    }
}
