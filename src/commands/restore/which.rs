//! Which backup is meant, and up to which moment.

use crate::backups::{From, Gaps, To, Wanted};
use crate::commands::complete;
use crate::error::{Failure, Kind, Result};
use crate::steps::restore::Origin;

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The backup: latest, its name, or dir:PATH for a folder of mariadb-backup on the backup volume
    #[arg(long, value_name = "BACKUP", required_unless_present_any = ["finish", "undo"], add = complete::backups())]
    from: Option<String>,
    /// How many increments of the chain: a number, or latest for all
    #[arg(long, value_name = "K", requires = "from", value_parser = increment)]
    increment: Option<Increment>,
    /// Replay binary logs: everything before this moment, such as 2026-11-25T10:00:00Z
    #[arg(long, value_name = "TIME", requires = "from", group = "moment", value_parser = To::time)]
    to_time: Option<To>,
    /// Replay binary logs: everything up to this transaction, such as 0-1-4711
    #[arg(long, value_name = "GTID", requires = "from", group = "moment", value_parser = To::gtid)]
    to_gtid: Option<To>,
    /// Go on where transactions are missing in the binary logs; what was in them is lost
    #[arg(long, requires = "moment")]
    across_gaps: bool,
}

#[derive(Debug, Clone, Copy)]
enum Increment {
    Latest,
    Count(usize),
}

fn increment(text: &str) -> Result<Increment, String> {
    match text {
        "latest" => Ok(Increment::Latest),
        _ => text.parse().map(Increment::Count).map_err(|_| format!("`{text}` is neither a number nor latest")),
    }
}

impl Which {
    /// Whether somebody has said it.
    pub(super) fn is_named(&self) -> bool {
        self.from.is_some()
    }

    /// Where it comes from.
    pub(super) fn origin(&self) -> Result<Origin> {
        let (from, to) = (self.from.as_deref().unwrap_or("latest"), self.to_time.or(self.to_gtid));
        if let Some(path) = from.strip_prefix("dir:") {
            if to.is_some() || self.increment.is_some() {
                let why = "--increment, --to-time and --to-gtid do not go with dir:, which has neither increments nor binary logs";
                return Err(Failure::message(Kind::Usage, why));
            }
            let path = path.trim_matches('/');
            if path.is_empty() || path.split('/').any(|part| part == "..") {
                return Err(Failure::message(
                    Kind::Usage,
                    format!("--from: `dir:{}` names no folder of the backup volume", path.escape_default()),
                ));
            }
            return Ok(Origin::Directory(path.to_owned()));
        }
        let increment = match self.increment {
            Some(Increment::Count(count)) => Some(count),
            Some(Increment::Latest) | None => None,
        };
        let from = if from == "latest" { From::Latest } else { From::Id(from.to_owned()) };
        let gaps = if self.across_gaps { Gaps::Crossed } else { Gaps::Refused };
        Ok(Origin::Backup(Wanted { from, increment, to, gaps }))
    }
}
