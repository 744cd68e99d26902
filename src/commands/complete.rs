//! What a shell completes beyond verbs and options: names that only the settings, the kubeconfig or a cluster know.
//!
//! A shell waits for the answer while somebody types, so each look is short, and one that fails completes nothing.

use std::ffi::{OsStr, OsString};
use std::sync::mpsc;
use std::time::Duration;

use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use k8s_openapi::api::core::v1;

use crate::cluster::backup_keys::Word;
use crate::cluster::reader;
use crate::engine::journal;
use crate::error::Kind;
use crate::kube::client::{Connection, contexts as known_contexts};
use crate::kube::objects::Objects;
use crate::settings::{self, Variant};

use super::target::{self, Stored, find, stored};
use super::{Globals, gather};

/// How long a look may take, a login by another program included.
const LIMIT: Duration = Duration::from_secs(1);
/// What lies on a volume of backups is told by a script in the agent's container.
const BACKUPS_LIMIT: Duration = Duration::from_secs(2);

/// Contexts of the kubeconfig.
pub(super) fn contexts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(known_contexts(&typed().connection()).unwrap_or_default()))
}

/// Namespaces that the user may see.
pub(super) fn namespaces() -> ArgValueCandidates {
    asked(LIMIT, async || {
        let connection = Connection::open(&typed().connection()).await.ok()?;
        let all: Objects<v1::Namespace> = Objects::everywhere(&connection.client);
        let all = all.list("", Kind::Unreachable).await.ok()?;
        Some(all.into_iter().filter_map(|namespace| namespace.metadata.name).collect())
    })
}

/// Clusters of the namespace.
pub(super) fn clusters() -> ArgValueCandidates {
    asked(LIMIT, async || {
        let connection = Connection::open(&typed().connection()).await.ok()?;
        let (clusters, _) = target::clusters(&connection, &connection.default_namespace.parse().ok()?).await.ok()?;
        Some(clusters.iter().map(ToString::to_string).collect())
    })
}

/// Nodes of the cluster that is meant, by their names.
pub(super) fn members() -> ArgValueCandidates {
    asked(LIMIT, async || {
        let (_, Stored { desired, .. }) = cluster().await?;
        Some((1..=desired.nodes).map(|index| format!("node{index}")).collect())
    })
}

/// Nodes of the cluster that is meant, by their numbers.
pub(super) fn numbers() -> ArgValueCandidates {
    asked(LIMIT, async || {
        let (_, Stored { desired, .. }) = cluster().await?;
        Some((1..=desired.nodes).map(|index| index.to_string()).collect())
    })
}

/// Backups that the agent knows, newest first. Where none runs, nobody has asked for the pod that would have to look.
pub(super) fn backups() -> ArgValueCandidates {
    asked(BACKUPS_LIMIT, async || {
        let (connection, Stored { desired, .. }) = cluster().await?;
        let observer = gather::look(&connection, &desired, None).await.ok()?;
        let agent = reader::agent(&desired, &observer.live().snapshot())?;
        let folder = format!("{}/{}", desired.namespace, desired.cluster);
        let catalog = reader::catalog(&connection, &desired, &agent, &folder, &Word::default()).await.ok()?;
        Some(catalog.backups.into_iter().rev().map(|backup| backup.id).collect())
    })
}

/// The cluster that is meant, and the way to it.
async fn cluster() -> Option<(Connection, Stored)> {
    let globals = typed();
    let connection = Connection::open(&globals.connection()).await.ok()?;
    let target = find(&globals, &connection).await.ok()?;
    let stored = stored(&connection, &target).await.ok()??;
    Some((connection, stored))
}

/// Profiles.
pub(super) fn profiles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(Variant::ALL.map(|variant| variant.name)))
}

/// Runs of which there are journals, newest first.
pub(super) fn runs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let folder = journal::directory(|name| std::env::var_os(name));
        let said = |run: journal::RunSummary| {
            CompletionCandidate::new(run.id).help(Some(format!("{} {}", run.verb, run.cluster).into()))
        };
        folder.and_then(|folder| journal::list(&folder).ok()).into_iter().flatten().map(said).collect()
    })
}

/// What can stand at `--set`.
pub(super) fn sets() -> ArgValueCompleter {
    let said = |(text, doc): (String, &'static str)| CompletionCandidate::new(text).help(Some(doc.into()));
    ArgValueCompleter::new(move |current: &OsStr| -> Vec<CompletionCandidate> {
        settings::suggest(&current.to_string_lossy()).into_iter().map(said).collect()
    })
}

/// Words that are always the same.
pub(super) fn words<const N: usize>(words: [&'static str; N]) -> ArgValueCandidates {
    ArgValueCandidates::new(move || candidates(words))
}

fn candidates(names: impl IntoIterator<Item = impl Into<OsString>>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// What comes out of a look.
fn asked(
    limit: Duration,
    look: impl AsyncFn() -> Option<Vec<String>> + Copy + Send + Sync + 'static,
) -> ArgValueCandidates {
    ArgValueCandidates::new(move || candidates(in_time(limit, look)))
}

/// What comes out of a look, if it ends in time. A thread of its own, which ends with the process, since a login by another
/// program blocks.
fn in_time(limit: Duration, look: impl AsyncFn() -> Option<Vec<String>> + Send + 'static) -> Vec<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Nobody listens any more when this is late.
        let _ = runtime.map(|runtime| tell.send(runtime.block_on(look())));
    });
    told.recv_timeout(limit).ok().flatten().unwrap_or_default()
}

/// What the command line says so far about the cluster that is meant. It is not complete, and need not be right.
fn typed() -> Globals {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let value = |long: &str, short: &str| value_of(&words, long, short);
    Globals {
        name: value("--name", "--name"),
        namespace: value("--namespace", "-n"),
        kubeconfig: value("--kubeconfig", "--kubeconfig").map(Into::into),
        context: value("--context", "--context"),
        impersonate: value("--as", "--as"),
        ..Globals::default()
    }
}

/// The value of an option that is finished: the last word is being typed.
fn value_of(words: &[String], long: &str, short: &str) -> Option<String> {
    let (_, finished) = words.split_last()?;
    let mut words = finished.iter();
    while let Some(word) = words.next() {
        if word == long || word == short {
            // bash takes `=` for a word of its own.
            return words.find(|word| *word != "=").cloned();
        }
        let inline = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let joined = || word.strip_prefix(short).filter(|_| !word.starts_with("--"));
        if let Some(value) = inline.or_else(joined) {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_typed_says_which_cluster_is_meant() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            value_of(&words, "--namespace", "-n")
        };
        for line in [
            "galeractl verify -n web ",
            "galeractl -nweb verify --name",
            "galeractl --namespace=web x",
            "galeractl --namespace = web --name ",
        ] {
            assert_eq!(of(line).as_deref(), Some("web"), "{line}");
        }
        for line in ["galeractl verify -n ", "galeractl verify --name shop ", ""] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn a_look_that_takes_too_long_completes_nothing() {
        let none: Vec<String> = Vec::new();
        assert_eq!(in_time(Duration::from_millis(20), async || std::future::pending().await), none);
        assert_eq!(in_time(LIMIT, async || None), none);
        assert_eq!(in_time(LIMIT, async || Some(vec!["a".to_owned()])), ["a"]);
    }
}
