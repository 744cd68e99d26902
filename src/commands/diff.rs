//! `galeractl diff`.

use serde_json::{Value, json};

use crate::commands::Globals;
use crate::engine::event::{Change, Level};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::plans::difference::differences;
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::plural::plural;

use super::Format;
use super::rehearsal::{self, Planned};
use super::target::connect;
use super::up::stored_wish;
use super::wish::Wish;

/// Show where a cluster's objects differ from the settings, field by field
///
/// Asks the API server what `up` would change, without changing anything. Exit code 0 if nothing differs, 1 if
/// something does. Passwords are never shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl diff -f shop.conf
  galeractl diff -o json")]
pub struct Args {
    #[command(flatten)]
    wish: Wish,
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let mut settings = args.wish.settings(globals, Some(&connection.default_namespace))?;
    if let Some(stored) = stored_wish(&settings, &connection).await? {
        settings.desired = stored;
    }
    for notice in &settings.notices {
        ui.notice(Level::Warning, notice);
    }
    let planned = rehearsal::of_recorded(&connection, &settings.desired).await?;
    let different: Vec<&Planned> = planned.iter().filter(|planned| planned.change != Change::Kept).collect();
    match Format::of(&args.output) {
        Format::Json => ui.json(&different.iter().map(|planned| as_json(planned)).collect::<Result<Vec<_>>>()?)?,
        _ if different.is_empty() => {}
        _ => ui.out(&text(&different, ui)?)?,
    }
    if different.is_empty() {
        ui.notice(
            Level::Info,
            &format!("nothing differs: {} are as the settings say", plural(planned.len(), "object")),
        );
        return Ok(());
    }
    let count = plural(different.len(), "object");
    Err(Failure::message(Kind::No, format!("{count} of {} not as the settings say", planned.len()))
        .hint("galeractl up makes them so; it never changes claims or passwords, and restarts no node"))
}

fn fields(planned: &Planned) -> Result<Vec<crate::plans::difference::Difference>> {
    let value = |object: &kube::api::DynamicObject| serde_json::to_value(object).or_fail(Kind::Bug);
    match (&planned.before, &planned.after) {
        (Some(before), Some(after)) => Ok(differences(&value(before)?, &value(after)?)),
        _ => Ok(Vec::new()),
    }
}

fn text(different: &[&Planned], ui: &Ui) -> Result<String> {
    let paint = ui.paint();
    let mut text = String::new();
    for planned in different {
        let word = match planned.change {
            Change::Created => " (is missing)",
            Change::Deleted => " (is left over)",
            Change::Changed | Change::Kept => "",
        };
        text.push_str(&format!("{}\n", paint.tone(Tone::Head, &format!("{}{word}", planned.object))));
        for difference in fields(planned)? {
            text.push_str(&format!("  {}\n", difference.describe().replace('\n', "\n  ")));
        }
    }
    Ok(text)
}

fn as_json(planned: &Planned) -> Result<Value> {
    let fields: Vec<Value> = fields(planned)?
        .into_iter()
        .map(|difference| json!({"path": difference.path, "live": difference.live, "wanted": difference.wanted}))
        .collect();
    Ok(json!({"object": planned.object, "change": planned.change, "fields": fields}))
}
