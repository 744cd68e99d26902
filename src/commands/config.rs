//! `galeractl config`.

use crate::commands::Globals;
use crate::error::{Failure, Kind, Result};
use crate::settings;
use crate::ui::Ui;
use crate::ui::table::{Cell, Table};

use super::wish::Wish;
use super::{Format, complete};

/// Show the merged settings and where each comes from, or an example file
///
/// Settings come from a built-in profile, then the file, then environment variables (the key in capitals, such as
/// GALERA_CLUSTER_NAME), then flags. Needs no cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl config
  galeractl config -o json
  galeractl config --set galera_cluster_volume_size=20Gi")]
pub struct Args {
    #[command(flatten)]
    wish: Wish,
    /// table, json, or conf: one settings file that gives the same
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json", "conf"])]
    output: String,
    /// Show passwords instead of stars
    #[arg(long)]
    show_secrets: bool,
    /// Write a commented starting file for a profile: local, pks, coreos or targetd
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["file", "from_my_cnf", "profile", "set", "nodes"], add = complete::profiles())]
    example: Option<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    if let Some(profile) = &args.example {
        return ui.out(&settings::example(profile.parse().map_err(|why| Failure::message(Kind::Usage, why))?));
    }
    let merged = args.wish.settings(globals, None)?;
    for notice in &merged.notices {
        ui.notice(crate::engine::event::Level::Warning, notice);
    }
    if args.output == "conf" {
        return ui.out(&merged.file(args.show_secrets));
    }
    if Format::of(&args.output) == Format::Json {
        return ui.json(&merged.json(args.show_secrets));
    }
    let mut table = Table::new(["KEY", "VALUE", "FROM"]);
    for row in merged.rows(args.show_secrets) {
        table.row([Cell::from(row.key), Cell::from(row.value), Cell::from(row.origin)]);
    }
    if table.is_empty() {
        return Err(Failure::message(Kind::Bug, "there are no settings"));
    }
    ui.table(&table)
}
