//! What the servers are, and what images are, before any node runs with them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::Pod;

use crate::desired::Access;
use crate::engine::{StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::exec::{Place, exec};
use crate::kube::logs;
use crate::kube::trouble::pod_trouble;
use crate::manifests::Object;
use crate::manifests::image::{self, CONTAINER};
use crate::manifests::member;
use crate::manifests::scripts::{self, NOT_TAKEN};
use crate::names::Member;
use crate::observe::OWN_USER;
use crate::observed::Observed;
use crate::plans::upgrade::{Provider, Software, Version};
use crate::sql::{Login, SqlError, Ways};
use crate::wsrep::Report;

use super::inspect::remove_inspectors;
use super::record::Kept;
use super::world::{BEAT, World};

/// Lines of a log that are looked at: what is asked for is one.
const NEWEST: u32 = 20;
/// A server with very many tables takes long to go through them; none takes this long.
const TABLES_LIMIT: std::time::Duration = std::time::Duration::from_secs(3600);

/// What the servers that serve are.
#[derive(Debug, Clone, Default)]
pub struct Running {
    /// By node.
    pub software: BTreeMap<Member, Software>,
    /// Libraries of plugins that one of them has loaded.
    pub plugins: Vec<String>,
}

/// Asks every node that serves.
///
/// # Errors
/// One of them does not say it, or says what cannot be understood.
pub async fn running(world: &World, access: &Access) -> Result<Running> {
    let observed = world.observer.now();
    let serving = crate::plans::rolling::serving(&observed);
    let answers = try_join_all(serving.into_iter().map(async |node| {
        let unknown = |why: String| {
            Failure::message(Kind::Preflight, format!("it cannot be known which version {node} runs: {why}"))
        };
        let answer = ask(world, access, node).await.map_err(|error| unknown(error.to_string()))?;
        let [version, provider, plugins] = answer;
        let server =
            Version::read(&version).ok_or_else(|| unknown(format!("it calls itself `{}`", version.escape_debug())))?;
        Ok((node, Software { server, provider: Provider::read(&provider) }, plugins))
    }))
    .await?;
    let plugins: BTreeSet<String> =
        answers.iter().flat_map(|(_, _, plugins)| plugins.split(',')).filter(is_library).map(str::to_owned).collect();
    let software = answers.into_iter().map(|(node, software, _)| (node, software)).collect();
    Ok(Running { software, plugins: plugins.into_iter().collect() })
}

/// Whether this may be the file of a plugin, and nothing else: it becomes a line of an option file.
fn is_library(name: &&str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    name.len() < 100 && name.strip_suffix(".so").is_some_and(|stem| !stem.is_empty() && stem.bytes().all(plain))
}

async fn ask(world: &World, access: &Access, node: Member) -> Result<[String; 3], SqlError> {
    let (streams, desired) = (&world.connection.streams, &world.desired);
    let closed = |failure: Failure| SqlError::Closed(failure.to_string());
    let pod = desired.cluster.pod(node);
    let ways = Ways::open(streams, desired, &pod, access.authority.as_ref()).await.map_err(closed)?;
    let login = Login { user: OWN_USER.to_owned(), password: access.password.clone() };
    let mut conn = ways.connect(&login).await?.with_timeout(BEAT * 10);
    let all = "SELECT VERSION(), (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
               WHERE VARIABLE_NAME = 'wsrep_provider_version'), (SELECT GROUP_CONCAT(DISTINCT PLUGIN_LIBRARY) \
               FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE')";
    let rows = conn.query(all).await?;
    let mut cells = rows.into_iter().flatten().map(Option::unwrap_or_default);
    Ok(std::array::from_fn(|_| cells.next().unwrap_or_default()))
}

/// What an image of servers has to be looked into for, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// The image of the servers.
    pub servers: bool,
    /// The image of the proxy.
    pub proxy: bool,
}

/// What images were found to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Images {
    /// The servers.
    pub server: Option<Software>,
    /// The proxy's version.
    pub proxy: Option<String>,
}

/// Has the wanted images fetched on every host that will need them, and asks them what they are. Nothing of the cluster
/// runs with them then. The pods are gone when this returns.
///
/// # Errors
/// An image that cannot be had, that is none of a server or a proxy, or whose server does not take the wanted options.
pub async fn images(cx: &StepCx<'_, World>, wanted: Wanted, plugins: &[String]) -> Result<Images> {
    let (world, desired) = (cx.world, &cx.world.desired);
    // Two who look at once would remove each other's pods.
    world.take_lock(cx).await?;
    remove_inspectors(cx).await?;
    let mut pods: Vec<(String, String, Pod)> = Vec::new();
    for (node, host) in hosts(&world.observer.now(), desired.members()).iter().filter(|_| wanted.servers) {
        let pod = image::of_servers(desired, *node, host.as_deref(), plugins);
        pods.push((desired.cluster.image_inspector(*node), desired.mariadb_image.clone(), pod));
    }
    if wanted.proxy {
        let name = desired.cluster.proxy_image_inspector();
        pods.push((name, desired.haproxy_image.clone(), image::of_proxy(desired)));
    }
    let looked = async {
        let objects: Vec<Object> = pods.iter().map(|(_, _, pod)| Object::of(pod)).collect();
        world.applier.apply_all(&objects).await?;
        until_ended(cx, &pods).await?;
        let mut images = Images::default();
        for (pod, image, _) in &pods {
            let lines =
                logs::tail(&world.connection.streams, &desired.namespace, pod, CONTAINER, NEWEST, false).await?;
            let report = lines.iter().filter_map(|line| Report::parse(line)).find(|report| report.event == "image");
            let report = report.ok_or_else(|| useless(image, "it does not say what it is"))?;
            if *pod == desired.cluster.proxy_image_inspector() {
                let version = report.get("proxy").ok_or_else(|| useless(image, "it has no haproxy"))?;
                images.proxy = Some(version.to_owned());
            } else {
                one_for_all(&mut images.server, server(&report, image)?, image)?;
            }
        }
        Ok(images)
    };
    let result = looked.await;
    remove_inspectors(cx).await?;
    result
}

/// One node for each host that has any; and one wherever there is room where nothing is known of hosts.
fn hosts(observed: &Observed, members: impl Iterator<Item = Member>) -> Vec<(Member, Option<String>)> {
    let mut hosts: BTreeMap<String, Member> = BTreeMap::new();
    for node in members {
        if let Some(host) = observed.members.get(&node).and_then(|view| view.pod.host.clone()) {
            hosts.entry(host).or_insert(node);
        }
    }
    if hosts.is_empty() {
        return vec![(Member::Node(1), None)];
    }
    hosts.into_iter().map(|(host, node)| (node, Some(host))).collect()
}

fn useless(image: &str, why: &str) -> Failure {
    Failure::message(Kind::Preflight, format!("image `{image}` cannot be used: {why}"))
        .hint("nothing was changed; name another image")
}

/// What a pod has said of a server image.
fn server(report: &Report, image: &str) -> Result<Software> {
    if let Some(missing) = report.get("missing") {
        return Err(useless(image, &format!("it lacks {missing}")));
    }
    if let Some(objection) = report.get("objection") {
        let why = objection.strip_prefix(NOT_TAKEN).unwrap_or(objection);
        return Err(useless(image, &format!("its server would not take the present options: {why}"))
            .hint("change the options first: galeractl apply"));
    }
    let said = report.get("server").unwrap_or_default();
    let Some(server) = Version::read(said) else {
        return Err(useless(image, &format!("its server calls itself `{}`", said.escape_debug())));
    };
    Ok(Software { server, provider: report.get("provider").and_then(Provider::read) })
}

/// Under one name hosts may have different images, where somebody has moved a tag.
fn one_for_all(known: &mut Option<Software>, found: Software, image: &str) -> Result<()> {
    match *known {
        Some(known) if known != found => {
            Err(useless(image, &format!("on one host it is {known}, and on another {found}"))
                .hint("name it by a tag that never moves, or by its digest"))
        }
        _ => {
            *known = Some(found);
            Ok(())
        }
    }
}

async fn until_ended(cx: &StepCx<'_, World>, pods: &[(String, String, Pod)]) -> Result<()> {
    let world = cx.world;
    cx.wait(world.observer.changes(), BEAT / 2, world.patience(), || async {
        let states = join_all(pods.iter().map(|(name, image, _)| state(world, name, image))).await;
        let mut left = Vec::new();
        for state in states {
            match state {
                Ok(None) => {}
                Ok(Some(waits)) => left.push(waits),
                Err(failure) => return Verdict::Fail(failure),
            }
        }
        left.dedup();
        if left.is_empty() { Verdict::pass("") } else { Verdict::wait(left.join(", ")) }
    })
    .await
    .map(drop)
}

/// What a pod waits for; `None` when it has ended.
async fn state(world: &World, name: &str, image: &str) -> Result<Option<String>> {
    let pod = match world.pod(name).await {
        Ok(Some(pod)) => pod,
        Ok(None) => return Ok(Some(format!("image {image}: its pod is created"))),
        Err(failure) => return Ok(Some(format!("image {image}: {failure}"))),
    };
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if phase == "Succeeded" {
        return Ok(None);
    }
    let snapshot = world.observer.live().snapshot();
    match pod_trouble(&pod, snapshot.events.values()) {
        Some(trouble) if trouble.cause == "failed" || trouble.cause == "runtime" => {
            Err(useless(image, &format!("it has not what is asked of it: {}", trouble.message)))
        }
        Some(trouble) if trouble.is_fatal() => {
            Err(Failure::message(Kind::Preflight, trouble.message).hint(trouble.hint).hint("nothing was changed"))
        }
        Some(trouble) => Ok(Some(format!("image {image}: {}", trouble.message))),
        None if phase == "Running" => Ok(Some(format!("image {image}: it says what it is"))),
        None => Ok(Some(format!("image {image}: it is fetched"))),
    }
}

/// Brings the system tables of a node's server to its version; `false` if they are of it already.
///
/// # Errors
/// The server, or the program that does it, refuses.
pub async fn upgrade_tables(world: &World, kept: &Kept, node: Member) -> Result<bool> {
    let (desired, pod) = (&world.desired, world.desired.cluster.pod(node));
    let failed = |why: &str| {
        Failure::message(Kind::Step, format!("the system tables of {node} were not brought to its version: {why}"))
            .hint("every node serves with what it has; the same command tries again")
    };
    let secret = desired.cluster.credentials();
    let root = kept.all.get(crate::manifests::config::ROOT_PASSWORD);
    let root = root.ok_or_else(|| failed(&format!("secret/{secret} has no password of root")))?;
    let place = Place { namespace: &desired.namespace, pod: &pod, container: member::CONTAINER };
    let argv = scripts::bash(scripts::TABLES);
    let output = exec(&world.connection.streams, place, &argv, Some(&format!("{root}\n")), TABLES_LIMIT).await?;
    match (output.exit_code, output.stdout.trim()) {
        (0, "current") => Ok(false),
        (0, "upgraded") => Ok(true),
        _ => Err(failed(output.stderr.trim())),
    }
}
