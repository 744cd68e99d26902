//! Everything that must hold before anything is changed.

use k8s_openapi::api::core::v1::Namespace;

use crate::cluster::course::{decide, secret_is_there, settle};
use crate::cluster::record::{self, Secrets};
use crate::cluster::world::World;
use crate::cluster::{admission, adopt, backup_keys, certificates, options};
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::access::{Right, denied};
use crate::kube::classes;
use crate::kube::objects::{Objects, Seen};
use crate::manifests;
use crate::manifests::config::{OWN_PASSWORD, ROOT_PASSWORD, Record, USER_PASSWORD};
use crate::names::Member;
use crate::plans::course::Course;
use crate::plans::stage::Fate;

use super::{Found, stages};

/// The step.
pub const PREFLIGHT: Named = Named::new("preflight", "look before anything is changed");

/// As [`look`], under the lock where there can be one.
///
/// # Errors
/// Another run holds it, or what stands in the way.
pub async fn run(cx: &StepCx<'_, World>) -> Result<Finished<(Found, bool)>> {
    if namespace(cx.world).await? {
        cx.world.take_lock(cx).await?;
    }
    look(cx).await
}

/// Everything that the run asks before it changes anything, without the lock unless volumes have to be looked into.
/// Answers with what is known then, and whether the namespace exists.
///
/// # Errors
/// What stands in the way.
pub async fn look(cx: &StepCx<'_, World>) -> Result<Finished<(Found, bool)>> {
    let world = cx.world;
    let server = world.connection.version().await?;
    let namespace_exists = namespace(world).await?;
    storage_class(world).await?;
    let (course, record, secrets) =
        if namespace_exists { existing(cx).await? } else { (Course::Form, Record::default(), None) };
    adopt::missing(world, course == Course::Form).await?;
    if namespace_exists {
        let mut stages = stages(&world.desired, &course, &record);
        stages.retain(|stage| stage.fate == Fate::Made);
        admission::admitted(world, stages.into_iter().flat_map(|stage| stage.objects)).await?;
    }
    let way = match &course {
        Course::Form => "nothing stands in the way".to_owned(),
        Course::BringBack { from, position, .. } => {
            format!("stopped volumes; {from} has the newest, {position}")
        }
        Course::Compare => "stopped volumes; their servers will say where they stand".to_owned(),
        Course::Keep => "the cluster runs".to_owned(),
    };
    let found = (Found { course, record, secrets }, namespace_exists);
    Ok(Finished::unchanged(format!("Kubernetes {server}; {way}")).with(found))
}

/// Whether the namespace is there, or may be made.
///
/// # Errors
/// It is being deleted, or does not exist and may not be made.
pub async fn namespace(world: &World) -> Result<bool> {
    let name = world.desired.namespace.as_str();
    let all: Objects<Namespace> = Objects::everywhere(&world.connection.client);
    let found = all.look(name, Kind::Preflight).await?;
    if found == Seen::Hidden {
        // Someone who may work in a namespace need not be allowed to look at it.
        return Ok(true);
    }
    let Some(namespace) = found.there() else {
        let right = Right { verb: "create", group: "", resource: "namespaces", subresource: "", namespace: None };
        if denied(&world.connection.client, &[right]).await?.is_empty() {
            return Ok(false);
        }
        return Err(Failure::message(
            Kind::Preflight,
            format!("namespace {name} does not exist, and you may not create it"),
        )
        .hint("name another one with -n, or ask for it to be created"));
    };
    if namespace.metadata.deletion_timestamp.is_some() {
        return Err(Failure::message(Kind::Preflight, format!("namespace {name} is being deleted"))
            .hint("wait until it is gone, or name another one with -n"));
    }
    Ok(true)
}

async fn storage_class(world: &World) -> Result<()> {
    if !world.desired.iscsi.is_empty() {
        return Ok(());
    }
    let observed = world.observer.now();
    let bound = |member: Member| {
        observed.claims.get(&world.desired.cluster.claim(member)).is_some_and(|claim| claim.phase == "Bound")
    };
    if world.desired.members().all(bound) {
        return Ok(());
    }
    let Some(classes) = classes::list(&world.connection.client, Kind::Preflight).await? else { return Ok(()) };
    let names: Vec<&str> = classes.iter().filter_map(|class| class.metadata.name.as_deref()).collect();
    let known = if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
    let named = world.desired.storage_class.iter().chain(&world.desired.seed_storage_class);
    if let Some(wanted) = named.into_iter().find(|wanted| !names.contains(&wanted.as_str())) {
        return Err(Failure::message(Kind::Preflight, format!("storage class `{wanted}` does not exist; {known}"))
            .hint("name another one: --set galera_cluster_storage_class=NAME"));
    }
    match &world.desired.storage_class {
        None if !classes.iter().any(classes::is_default) => {
            Err(Failure::message(Kind::Preflight, format!("no storage class is the default one; {known}"))
                .hint("name one: --set galera_cluster_storage_class=NAME"))
        }
        _ => Ok(()),
    }
}

/// What exists of the cluster, whose it is, and which way follows from it.
async fn existing(cx: &StepCx<'_, World>) -> Result<(Course, Record, Option<Secrets>)> {
    let world = cx.world;
    let (client, desired) = (&world.connection.client, &world.desired);
    let (stored, recorded) = tokio::try_join!(
        record::stored(client, &desired.namespace, &desired.cluster),
        record::recorded(client, &desired.namespace, &desired.cluster),
    )?;
    let objects: Vec<manifests::Object> = [
        manifests::shared(desired),
        manifests::nodes(desired),
        manifests::proxy(desired),
        manifests::claims(desired, false),
    ]
    .concat();
    world.applier.read_all(&objects).await?;
    let secrets = record::stored_passwords(client, &desired.namespace, &desired.cluster).await?;
    if let Some(secrets) = &secrets {
        record::whose_secret(&world.applier, desired).await?;
        record::same_passwords(world, secrets)?;
    }
    certificates::judge(&world.applier, desired).await?;
    backup_keys::judge(&world.applier, desired).await?;
    if let Some((before, record)) = &stored {
        differences(cx, before, record)?;
    }
    let access = record::access_so_far(client, desired, secrets.as_ref()).await?;
    let is_asked = access.is_some();
    if let Some(access) = access {
        world.observer.set_access(access);
    }
    settle(cx, is_asked).await?;
    let (way, _) = decide(cx, recorded.as_ref()).await?;
    if way == Course::Form {
        usable_passwords(world, secrets.as_ref())?;
    }
    if let Some((before, _)) = stored.as_ref().filter(|_| way == Course::Keep) {
        options::taken(world, before).await?;
    }
    if way != Course::Form || !world.observer.now().members.is_empty() {
        secret_is_there(world, secrets.as_ref())?;
    }
    Ok((way, recorded.unwrap_or_default(), secrets))
}

/// The accounts are made with what is in a Secret that somebody has made before. A line break at the end of a password, as
/// files have one, is part of it for the database and for nobody else.
fn usable_passwords(world: &World, secrets: Option<&Secrets>) -> Result<()> {
    let Some(secrets) = secrets else { return Ok(()) };
    let name = world.desired.cluster.credentials();
    let user = world.desired.user.as_ref().map(|_| USER_PASSWORD);
    for key in [ROOT_PASSWORD, OWN_PASSWORD].into_iter().chain(user) {
        let wrong = match secrets.get(key).map(String::as_str) {
            None => "is missing, or is no text",
            Some("") => "is empty",
            Some(text) if text.contains(char::is_control) => "holds a line break or another control character",
            Some(_) => continue,
        };
        return Err(Failure::message(Kind::Preflight, format!("secret/{name}: `{key}` {wrong}")).hint(format!(
            "correct it, or delete the Secret and let galeractl make one; without line break: kubectl create secret generic -n {} {name} \
             --from-literal={key}=…",
            world.desired.namespace
        )));
    }
    Ok(())
}

fn differences(cx: &StepCx<'_, World>, before: &Desired, record: &Record) -> Result<()> {
    let wanted = &cx.world.desired;
    if before.nodes != wanted.nodes && record.formed && !cx.world.choices.resizes {
        return Err(Failure::message(
            Kind::Preflight,
            format!(
                "cluster {} has {} nodes; `up` does not change it to {}",
                wanted.cluster, before.nodes, wanted.nodes
            ),
        )
        .hint(format!("keep the size: galeractl up --nodes {}", before.nodes))
        .hint(format!("give it another size: galeractl scale --nodes {}", wanted.nodes)));
    }
    if before.mariadb_image != wanted.mariadb_image && record.formed && !cx.world.choices.upgrades {
        return Err(Failure::message(
            Kind::Preflight,
            format!(
                "cluster {} has the image {}; `up` does not change it to {}",
                wanted.cluster, before.mariadb_image, wanted.mariadb_image
            ),
        )
        .hint(format!("keep it: galeractl up --set=galera_cluster_docker_image={}", before.mariadb_image))
        .hint(format!("judge the way, and go it node by node: galeractl upgrade --image {}", wanted.mariadb_image)));
    }
    if before.network.is_some() && wanted.network.is_none() {
        let (cluster, namespace) = (&wanted.cluster, &wanted.namespace);
        cx.notice(
            Level::Warning,
            format!(
                "the network policies of before stay in force until somebody deletes them: kubectl delete networkpolicy -n \
                 {namespace} {} {} {}",
                cluster.members_policy(),
                cluster.proxy(),
                cluster.helpers_policy()
            ),
        );
    }
    same_tls(before, wanted, !cx.world.observer.now().members.is_empty())?;
    if before.tls != wanted.tls && wanted.tls.is_some() && before.tls.is_some() {
        cx.notice(
            Level::Warning,
            format!(
                "certificates that exist keep their names; for new ones delete the Secret of a node, such as secret/{}, \
                 run `up` again, and restart the node's pod",
                wanted.cluster.certificate(Member::Node(1))
            ),
        );
    }
    Ok(())
}

/// Members with TLS and members without are strangers to each other, so the step from one to the other is taken while none
/// runs.
fn same_tls(before: &Desired, wanted: &Desired, some_run: bool) -> Result<()> {
    if before.tls.is_some() == wanted.tls.is_some() || !some_run {
        return Ok(());
    }
    let word = |desired: &Desired| if desired.tls.is_some() { "own" } else { "off" };
    let (is, wish) = (word(before), word(wanted));
    Err(Failure::message(
        Kind::Preflight,
        format!(
            "cluster {} runs with galera_cluster_tls={is}; `up` does not change it to {wish} while any node runs",
            wanted.cluster
        ),
    )
    .hint("stop it, its volumes stay: galeractl teardown")
    .hint(format!("then bring it back with the new value: galeractl up --set=galera_cluster_tls={wish}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Tls;

    #[test]
    fn tls_comes_and_goes_while_no_node_runs() {
        let off = crate::desired::tests::desired("c", 3);
        let own = Desired { tls: Some(Tls::default()), ..off.clone() };
        let named = Desired { tls: Some(Tls { names: vec!["db.example.org".to_owned()] }), ..off.clone() };
        for (before, wanted) in [(&off, &off), (&own, &own), (&own, &named)] {
            assert!(same_tls(before, wanted, true).is_ok());
        }
        for (before, wanted, word) in [(&off, &own, "own"), (&own, &off, "off")] {
            assert!(same_tls(before, wanted, false).is_ok());
            let failure = same_tls(before, wanted, true).unwrap_err();
            assert_eq!(failure.kind, Kind::Preflight);
            assert!(failure.hints[0].contains("galeractl teardown"));
            assert!(failure.hints[1].ends_with(&format!("galera_cluster_tls={word}")), "{:?}", failure.hints);
        }
    }
}
