//! What the user wishes the cluster to be: the options that name settings, shared by the verbs that read them.

use std::path::PathBuf;

use crate::commands::Globals;
use crate::error::Result;
use crate::settings::{self, Flag, Settings};

use super::{complete, target};

/// Options that name settings.
#[derive(Debug, clap::Args)]
pub(super) struct Wish {
    /// Number of nodes; 3 or 5 are best, for an even number survives no more failures than one less
    #[arg(long, value_name = "N")]
    nodes: Option<String>,
    /// Take backups: an agent beside the last node writes them to a volume of their own
    #[arg(long)]
    backup: bool,
    /// Settings file; ./galera.conf is used if it exists
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take over the server options of an option file, such as /etc/mysql/my.cnf; those in [mysqld] of the settings file hold
    #[arg(long, value_name = "FILE")]
    from_my_cnf: Option<PathBuf>,
    /// Built-in settings to start from: local, pks, coreos or targetd
    #[arg(long, value_name = "PROFILE", add = complete::profiles())]
    profile: Option<String>,
    /// Set one setting, as KEY=VALUE; can be repeated
    #[arg(long, value_name = "KEY=VALUE", add = complete::sets())]
    set: Vec<String>,
}

impl Wish {
    /// Whether everything is said: by a settings file, or by a profile.
    pub(super) fn says_all(&self) -> bool {
        self.file.is_some() || self.profile.is_some() || std::path::Path::new(settings::DEFAULT_FILE).exists()
    }

    /// The merged settings.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) for whatever is wrong with them.
    pub(super) fn settings(&self, globals: &Globals, fallback_namespace: Option<&str>) -> Result<Settings> {
        let mut input = target::input(globals, fallback_namespace.map(str::to_owned));
        input.file.clone_from(&self.file);
        input.my_cnf.clone_from(&self.from_my_cnf);
        input.profile.clone_from(&self.profile);
        input.sets.clone_from(&self.set);
        input.flags.extend(self.nodes.iter().map(|nodes| Flag::nodes("--nodes", nodes)));
        input.flags.extend(self.backup.then(|| Flag::backup("--backup")));
        let typed = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        globals.meant.learn(|place| (place.file, place.my_cnf) = (typed(&self.file), typed(&self.from_my_cnf)));
        let settings = settings::load(&input)?;
        globals.learn(&settings.desired.cluster, &settings.desired.namespace);
        Ok(settings)
    }
}
