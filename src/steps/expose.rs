//! Opening a way into the cluster from outside, and closing it.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use kube::core::ApiResource;

use crate::cluster::remove;
use crate::cluster::world::{BEAT, World};
use crate::desired::{Desired, ExternalAccess};
use crate::engine::event::Level;
use crate::engine::{Finished, Named, Never, Patience, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::delete::Found;
use crate::kube::objects::Objects;
use crate::manifests::access::{self, Exposure};
use crate::observe::exposures;
use crate::observed::Exposed;
use crate::plans::stage::Stage;
use crate::sql::{SqlError, greeting};

/// Makes the Service.
pub const OPEN: Named = Named::new("open", "make the Service");

/// Waits until a server answers through the new way.
pub const REACH: Named = Named::new("reach", "reach a server from outside");

/// Closes ways in.
pub const CLOSE: Named = Named::new("close", "close the ways in from outside");

/// Somebody has to assign an address, or to route one; nobody does it later than this.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(90);
/// Ports that a `NodePort` may have.
const NODE_PORTS: std::ops::RangeInclusive<i32> = 30000..=32767;

/// What the run asks before it opens anything.
///
/// # Errors
/// There is no proxy, or the port is taken.
pub async fn look(world: &World, exposure: &Exposure) -> Result<()> {
    let proxy = world.observer.now().proxy.clone();
    if proxy.available == 0 {
        let why = if proxy.exists { "no pod of the proxy is available" } else { "there is no proxy" };
        return Err(Failure::message(Kind::Preflight, format!("nothing can be exposed: {why}"))
            .hint("galeractl up puts back what is missing"));
    }
    port_is_free(world, exposure).await
}

/// What [`open`] makes.
#[must_use]
pub fn stage(desired: &Desired, exposure: &Exposure) -> Stage {
    Stage::makes(OPEN.id, access::objects(desired, exposure))
}

/// A guard that was there for some, where everybody may come in now.
///
/// # Errors
/// The API server refuses to list it.
pub async fn needless(world: &World, exposure: &Exposure) -> Result<Vec<Found>> {
    if access::policy(&world.desired, exposure).is_some() {
        return Ok(Vec::new());
    }
    let name = access::name(&world.desired, exposure.way);
    remove::found(world, &[ApiResource::erase::<NetworkPolicy>(&())], |found| found == name).await
}

/// Makes the Service, and its guard where only some may come in.
///
/// # Errors
/// As [`look`], or the API server refuses.
pub async fn open(cx: &StepCx<'_, World>, exposure: &Exposure) -> Result<Finished> {
    let world = cx.world;
    look(world, exposure).await?;
    world.take_lock(cx).await?;
    let before = world.changes();
    let name = access::name(&world.desired, exposure.way);
    world.apply(cx, &stage(&world.desired, exposure).objects).await?;
    remove::these(cx, needless(world, exposure).await?).await?;
    if exposure.allow.is_empty() {
        cx.notice(
            Level::Warning,
            format!("service/{name} is open to everybody who can reach it; limit it with --allow ADDRESS-RANGE"),
        );
    } else if exposure.way == ExternalAccess::NodePort {
        cx.notice(
            Level::Warning,
            "a port on hosts is filtered by a NetworkPolicy: it holds only where the network plugin enforces policies",
        );
    }
    let detail = format!("service/{name}");
    Ok(Finished::which(world.changes() > before, detail))
}

/// A port can have one owner in the whole Kubernetes cluster.
async fn port_is_free(world: &World, exposure: &Exposure) -> Result<()> {
    let Some(wanted) = exposure.node_port.map(i32::from) else { return Ok(()) };
    let all: Objects<Service> = Objects::everywhere(&world.connection.client);
    // The API server itself refuses a taken port; it only does not say whose it is.
    let Some(services) = all.list_seen("", Kind::Preflight).await? else { return Ok(()) };
    let own = access::name(&world.desired, exposure.way);
    let namespace = world.desired.namespace.as_str();
    let ports = |service: &Service| -> Vec<i32> {
        let ports = service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default();
        ports.iter().filter_map(|port| port.node_port).collect()
    };
    let others = services.iter().filter(|service| {
        (service.name_any().as_str(), service.namespace().as_deref()) != (own.as_str(), Some(namespace))
    });
    let Some(owner) = others.clone().find(|service| ports(service).contains(&wanted)) else { return Ok(()) };
    let taken: Vec<i32> = services.iter().flat_map(ports).collect();
    let free = NODE_PORTS.cycle().skip(usize::try_from(wanted - NODE_PORTS.start()).unwrap_or(0));
    let free = free.take(NODE_PORTS.count()).find(|port| !taken.contains(port));
    let place = owner.namespace().unwrap_or_default();
    let failure = Failure::message(
        Kind::Preflight,
        format!("node port {wanted} is taken by service/{} in namespace {place}", owner.name_any()),
    );
    Err(match free {
        Some(free) => failure.hint(format!("{free} is free: --node-port {free}")),
        None => failure.hint("no port in 30000-32767 is free"),
    })
}

/// Waits until a server answers through the new way. Where it is `limited`, this machine may be one that may not come in.
///
/// # Errors
/// No address is assigned, or nobody answers there.
pub async fn reach(cx: &StepCx<'_, World>, way: ExternalAccess, limited: bool) -> Result<Finished> {
    let world = cx.world;
    let name = access::name(&world.desired, way);
    let reached = cx.wait(Never, BEAT, Patience::new(ADDRESS_PATIENCE), || async {
        let found = match exposures::list(&world.connection, &world.desired).await {
            Ok(found) => found.into_iter().find(|found| found.name == name),
            Err(failure) => return Verdict::wait(format!("service/{name}: {failure}")),
        };
        match found {
            None => Verdict::wait(format!("service/{name}: it is not seen yet")),
            Some(found) if found.hosts.is_empty() => {
                Verdict::wait(format!("an address for service/{name}: {}", no_address(world, &name).await))
            }
            Some(found) => answer(&found).await,
        }
    });
    let detail = reached.await.map_err(|failure| match way {
        _ if limited => failure.hint("the Service stays; is the address of this machine within --allow?"),
        ExternalAccess::LoadBalancer => failure
            .hint("without a controller for load balancers no address ever comes: galeractl expose --type nodeport")
            .hint(format!("the Service stays; its events say more: kubectl describe service {name}")),
        ExternalAccess::NodePort => failure
            .hint("the Service stays; if a firewall stands between this machine and the hosts, try from elsewhere"),
    })?;
    Ok(Finished::unchanged(detail))
}

/// Whether servers greet at all addresses.
async fn answer(found: &Exposed) -> Verdict {
    let answers = join_all(found.hosts.iter().map(|host| greeting(host, found.port))).await;
    let mut version = String::new();
    for (host, answer) in found.hosts.iter().zip(answers) {
        match answer {
            Ok(told) => version = told,
            Err(error) => return Verdict::wait(format!("an answer from {host}:{}: {error}", found.port)),
        }
    }
    Verdict::pass(format!("MariaDB {version} answers at {} port {}", found.hosts.join(", "), found.port))
}

/// What Kubernetes says about a Service without an address.
async fn no_address(world: &World, name: &str) -> String {
    let events: Objects<Event> = Objects::within(&world.connection.client, &world.desired.namespace);
    let about = format!("involvedObject.kind=Service,involvedObject.name={name}");
    let newest = events.list_by(&about, Kind::Step).await.ok().and_then(|events| events.into_iter().next_back());
    newest.and_then(|event| event.message).unwrap_or_else(|| "none is assigned yet".to_owned())
}

/// The ways in that are meant: all of them, or those whose time is over.
///
/// # Errors
/// The API server refuses.
pub async fn ways(world: &World, expired: bool) -> Result<Vec<Exposed>> {
    let now = Timestamp::now();
    let mut ways = exposures::list(&world.connection, &world.desired).await?;
    ways.retain(|way| !expired || way.expired(now));
    Ok(ways)
}

fn kinds() -> [ApiResource; 2] {
    [ApiResource::erase::<Service>(&()), ApiResource::erase::<NetworkPolicy>(&())]
}

/// Whether an object of this name is one of those that make up these ways.
fn is_of(ways: &[Exposed]) -> impl Fn(&str) -> bool + Send + Sync {
    move |name: &str| ways.iter().any(|way| way.name == name)
}

/// What these ways consist of.
///
/// # Errors
/// The API server refuses to list it.
pub async fn parts(world: &World, ways: &[Exposed]) -> Result<Vec<Found>> {
    remove::found(world, &kinds(), is_of(ways)).await
}

/// Closes the ways in, or those whose time is over, and waits until nobody answers there.
///
/// # Errors
/// The API server refuses, or somebody still answers.
pub async fn close(cx: &StepCx<'_, World>, expired: bool) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let ways = ways(world, expired).await?;
    if ways.is_empty() {
        return Ok(Finished::unchanged(if expired { "none is over its time" } else { "none is open" }));
    }
    // What did not answer before proves nothing by not answering afterwards.
    let open = answering(&ways).await;
    remove::these(cx, parts(world, &ways).await?).await?;
    remove::gone(cx, &kinds(), "the Services to go", is_of(&ways)).await?;
    cx.wait(Never, BEAT / 4, Patience::new(ADDRESS_PATIENCE), || async {
        let left: Vec<String> = answering(&ways).await;
        if left.is_empty() { Verdict::pass("") } else { Verdict::wait(format!("silence at {}", left.join(", "))) }
    })
    .await?;
    let names: Vec<&str> = ways.iter().map(|way| way.name.as_str()).collect();
    let proof = if open.is_empty() {
        "nothing had answered from this machine before either".to_owned()
    } else {
        format!("nobody answers at {} any more", open.join(", "))
    };
    Ok(Finished::changed(format!("{} closed; {proof}", names.join(", "))))
}

/// Addresses at which a server, or anything else, answers.
async fn answering(ways: &[Exposed]) -> Vec<String> {
    let addresses: Vec<(&str, u16)> =
        ways.iter().flat_map(|way| way.hosts.iter().map(|host| (host.as_str(), way.port))).collect();
    let answers = join_all(addresses.iter().map(|(host, port)| greeting(host, *port))).await;
    let open = addresses
        .iter()
        .zip(answers)
        .filter(|(_, answer)| !matches!(answer, Err(SqlError::Closed(_) | SqlError::Timeout(_))));
    open.map(|((host, port), _)| format!("{host}:{port}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_made_where_only_some_may_come_in_and_before_the_door() {
        let desired = crate::desired::tests::desired("c", 1);
        let names = |allow: &[&str]| -> Vec<String> {
            let allow = allow.iter().map(ToString::to_string).collect();
            let exposure = Exposure { way: ExternalAccess::NodePort, allow, ..Exposure::of(&desired) };
            stage(&desired, &exposure).objects.iter().map(crate::manifests::Object::display).collect()
        };
        assert_eq!(names(&[]), ["service/c-galera-external-access"]);
        assert_eq!(
            names(&["10.0.0.0/8"]),
            ["networkpolicy/c-galera-external-access", "service/c-galera-external-access"]
        );
    }
}
