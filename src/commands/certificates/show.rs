//! `galeractl certificates show`.

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::backups::utc;
use crate::cluster::trust::{self, Leaf, Shown, Trust};
use crate::cluster::x509::Certificate;
use crate::commands::{Format, Globals};
use crate::error::{Kind, Result};
use crate::kube::apply::{Applier, Strategy};
use crate::names::Member;
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

/// As many digits tell two certificates of a cluster apart.
const SHORT: usize = 16;
const DAY: i64 = 24 * 60 * 60;

/// Show the certificates, until when they hold, and whether servers use them
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// table or json; json has all names and the whole fingerprints
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
}

/// A node's certificate in its Secret, and what its server shows.
struct Row<'a> {
    node: Member,
    leaf: &'a Leaf,
    shown: Result<Shown, String>,
    is_told: bool,
}

pub(super) async fn run(args: &ShowArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let (connection, desired) = super::cluster(globals, Kind::No).await?;
    let applier = Applier::new(connection.client.clone(), desired.cluster.clone(), Strategy::ServerDryRun);
    let trust = trust::read(&applier, &desired).await?;
    let visitor = trust.visitor(&desired)?;
    let rows = trust.leaves.iter().map(async |(node, leaf)| Row {
        node: *node,
        leaf,
        shown: trust::shown(&connection, &desired, *node, &visitor).await,
        is_told: trust.is_told_of_the_newest(leaf),
    });
    let rows = join_all(rows).await;
    if Format::of(&args.output) == Format::Json {
        return ui.json(&json!({
            "cluster": desired.cluster, "namespace": desired.namespace,
            "authorities": authorities(&trust).map(|(certificate, role)| with(certificate, &json!({"role": role}))).collect::<Vec<_>>(),
            "servers": rows.iter().map(as_json).collect::<Vec<_>>(),
        }));
    }
    ui.table(&table(&trust, &rows, Timestamp::now()))
}

/// What each authority is for at this moment.
fn authorities(trust: &Trust) -> impl Iterator<Item = (&Certificate, &'static str)> {
    trust.authorities.iter().enumerate().map(|(index, certificate)| match index {
        0 => (certificate, "signs"),
        _ => (certificate, "trusted beside the one that signs"),
    })
}

fn with(certificate: &Certificate, more: &Value) -> Value {
    let mut value = json!(certificate);
    if let (Some(value), Some(more)) = (value.as_object_mut(), more.as_object()) {
        value.extend(more.clone());
    }
    value
}

fn as_json(row: &Row<'_>) -> Value {
    let shown = match &row.shown {
        Ok(shown) => json!({"fingerprint": shown.certificate.fingerprint, "notAfter": shown.certificate.not_after}),
        Err(why) => json!({"error": why}),
    };
    let (_, state) = row.state();
    let more = json!({"node": row.node, "signedBy": row.leaf.signed_by, "shown": shown, "loaded": row.is_loaded(), "state": state});
    with(&row.leaf.certificate, &more)
}

impl Row<'_> {
    fn is_loaded(&self) -> bool {
        let same = |shown: &Shown| shown.certificate.fingerprint == self.leaf.certificate.fingerprint;
        self.shown.as_ref().is_ok_and(|shown| same(shown) && (shown.takes.is_ok() || !self.is_told))
    }

    fn state(&self) -> (Tone, String) {
        match &self.shown {
            _ if self.is_loaded() => (Tone::Ok, "loaded".to_owned()),
            Err(why) => (Tone::Fail, format!("not known: {why}")),
            Ok(shown) if shown.certificate.fingerprint != self.leaf.certificate.fingerprint => {
                let end = utc(shown.certificate.not_after.as_second());
                (Tone::Warn, format!("renewed, not loaded: the server shows one until {end}"))
            }
            Ok(_) => (Tone::Warn, "does not trust the new authority yet".to_owned()),
        }
    }
}

fn table(trust: &Trust, rows: &[Row<'_>], now: Timestamp) -> Table {
    let mut table = Table::new(["WHOSE", "HOLDS UNTIL", "LEFT", "NAMES", "FINGERPRINT", "STATE"]);
    let mut row = |whose: &str, certificate: &Certificate, (tone, state): (Tone, String)| {
        let names = match certificate.names.len() {
            0 => certificate.subject.clone(),
            1 => certificate.names[0].clone(),
            more => format!("{} and {} more", certificate.names[0], more - 1),
        };
        table.row([
            Cell::from(whose),
            Cell::from(utc(certificate.not_after.as_second())),
            Cell::from(left(certificate.not_after, now)),
            Cell::from(names),
            Cell::from(certificate.fingerprint.get(..SHORT).unwrap_or_default()),
            Cell::new(tone, state),
        ]);
    };
    for (certificate, role) in authorities(trust) {
        row("authority", certificate, (Tone::Plain, role.to_owned()));
    }
    for node in rows {
        row(&node.node.to_string(), &node.leaf.certificate, node.state());
    }
    table
}

/// How long it is until then, in words.
fn left(end: Timestamp, now: Timestamp) -> String {
    let seconds = end.duration_since(now).as_secs();
    match seconds / DAY {
        _ if seconds < 0 => format!("ended {} days ago", -seconds / DAY),
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn what_is_left_is_told_in_days() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        for (hours, expected) in [
            (365 * 24, "365 days"),
            (47, "1 day"),
            (23, "less than a day"),
            (-1, "ended 0 days ago"),
            (-49, "ended 2 days ago"),
        ] {
            assert_eq!(left(now + hours.hours(), now), expected);
        }
    }
}
