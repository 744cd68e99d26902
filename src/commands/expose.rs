//! `galeractl expose` and `galeractl unexpose`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::rights;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::desired::{Desired, ExternalAccess, Passwords};
use crate::engine::{Due, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::manifests::access::{self, Exposure};
use crate::observe::exposures;
use crate::settings::ranges::range;
use crate::settings::span;
use crate::steps::expose::{self, CLOSE, OPEN, REACH};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::gather;
use super::rehearsal::{self, Rehearsal};
use super::target::{connect, find, running};

/// Let clients outside of Kubernetes reach a cluster, and wait until they can
///
/// Makes a Service before the proxy: a load balancer on port 3306, or a port on every host. Waits until it has an
/// address and a server answers there, and prints how to connect. `galeractl unexpose` closes it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl expose --type lb --allow 10.1.0.0/16
  galeractl expose --type nodeport --node-port 30306 --for 2h")]
pub struct Args {
    /// Kind of Service: lb or nodeport; without it, what the settings say
    #[arg(long = "type", value_name = "TYPE", value_parser = ["lb", "nodeport"])]
    kind: Option<String>,
    /// A load balancer, as for VMware PKS; the same as --type lb
    #[arg(long, conflicts_with_all = ["kind", "coreos"])]
    pks: bool,
    /// A port on every host, as for CoreOS; the same as --type nodeport
    #[arg(long, conflicts_with = "kind")]
    coreos: bool,
    /// The port on every host, 30000-32767; without it, that of the settings, or one that Kubernetes chooses
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(30000..=32767))]
    node_port: Option<u16>,
    /// Only clients from these addresses, such as 10.1.0.0/16; can be repeated
    #[arg(long, value_name = "RANGE", value_delimiter = ',', value_parser = range)]
    allow: Vec<String>,
    /// How long it is meant to stay open, such as 2h; afterwards verify fails until it is closed
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    lasting: Option<Duration>,
    #[command(flatten)]
    bounds: Bounds,
}

/// Close what `expose` has opened, and prove that it is closed
///
/// Removes the Services that let clients in from outside, and waits until nothing answers at their addresses any more.
/// Clients inside of Kubernetes notice nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl unexpose
  galeractl unexpose --expired")]
pub struct CloseArgs {
    /// Only those whose time is over
    #[arg(long)]
    expired: bool,
    #[command(flatten)]
    bounds: Bounds,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::Preflight).await?.desired;
    let exposure = exposure(args, &desired)?;
    rights::check(&connection, &desired, rights::EXPOSE).await?;
    let (way, limited) = (exposure.way, !exposure.allow.is_empty());
    let name = access::name(&desired, way);
    let dry = args.bounds.dry_run.is_some();
    let act = async |frame: &Frame, world: &World| {
        if dry {
            let look = async |_: &StepCx<'_, World>| {
                expose::look(world, &exposure).await?;
                let mut planned = Rehearsal::on(world).of(&[expose::stage(&desired, &exposure)]).await?;
                planned.extend(rehearsal::removals(OPEN.id, &expose::needless(world, &exposure).await?));
                Ok(planned)
            };
            let planned = rehearsal::show(frame, ui, args.bounds.timeout, world, look).await?;
            return Ok(rehearsal::outcome(format_args!("service/{name} would be open"), &planned));
        }
        let opened = async |run: &Run<'_>, [open, reach]: [Due; 2]| {
            run.step(open, async |cx| expose::open(cx, &exposure).await).await?;
            run.step(reach, async |cx| expose::reach(cx, way, limited).await).await
        };
        frame.run([OPEN, REACH], args.bounds.timeout, world, opened).await?;
        Ok(format!("service/{name} is open"))
    };
    go(ui, "expose", (&connection, &desired), &args.bounds, act).await?;
    if dry {
        return Ok(());
    }
    let open = exposures::list(&connection, &desired).await?;
    let Some((host, port)) =
        open.iter().find(|open| open.name == name).and_then(|open| Some((open.hosts.first()?, open.port)))
    else {
        return Err(Failure::message(Kind::Step, format!("service/{name} is gone again")));
    };
    ui.out(&format!("mariadb -h {host} -P {port} -u root -p"))
}

pub(crate) async fn close(args: &CloseArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::Preflight).await?.desired;
    rights::check(&connection, &desired, rights::EXPOSE).await?;
    let cluster = &desired.cluster;
    let act = async |frame: &Frame, world: &World| {
        if args.bounds.dry_run.is_some() {
            return rehearse_closing(args, frame, world, ui).await;
        }
        let closed = async |run: &Run<'_>, [close]: [Due; 1]| {
            run.step(close, async |cx| expose::close(cx, args.expired).await).await
        };
        frame.run([CLOSE], args.bounds.timeout, world, closed).await?;
        Ok(if args.expired {
            "no exposure is over its time".to_owned()
        } else {
            format!("cluster {cluster} is not exposed")
        })
    };
    go(ui, "unexpose", (&connection, &desired), &args.bounds, act).await
}

/// Shows what would be closed.
async fn rehearse_closing(args: &CloseArgs, frame: &Frame, world: &World, ui: &Ui) -> Result<String> {
    let mut ways = Vec::new();
    let look = async |_: &StepCx<'_, World>| {
        ways = expose::ways(world, args.expired).await?;
        Ok(rehearsal::removals(CLOSE.id, &expose::parts(world, &ways).await?))
    };
    let planned = rehearsal::show(frame, ui, args.bounds.timeout, world, look).await?;
    if planned.is_empty() {
        return Ok("nothing to close; nothing was changed".to_owned());
    }
    let now = Timestamp::now();
    let meant: Vec<String> = ways.iter().map(|way| way.describe(now)).collect();
    Ok(rehearsal::outcome(format_args!("would be closed: {}", meant.join("; ")), &planned))
}

fn exposure(args: &Args, desired: &Desired) -> Result<Exposure> {
    let way = match args.kind.as_deref() {
        Some("lb") => ExternalAccess::LoadBalancer,
        Some(_) => ExternalAccess::NodePort,
        None if args.pks => ExternalAccess::LoadBalancer,
        None if args.coreos || args.node_port.is_some() => ExternalAccess::NodePort,
        None => desired.external_access,
    };
    if way == ExternalAccess::LoadBalancer && args.node_port.is_some() {
        return Err(Failure::message(Kind::Usage, "--node-port does not go with a load balancer")
            .hint("use --type nodeport, or leave the port out"));
    }
    let until = |lasting: Duration| {
        let lasting = SignedDuration::try_from(lasting).ok();
        let end = lasting.and_then(|lasting| Timestamp::now().checked_add(lasting).ok());
        end.map(|end| end.strftime("%FT%TZ").to_string())
            .ok_or_else(|| Failure::message(Kind::Usage, "--for is further away than a calendar goes"))
    };
    Ok(Exposure {
        way,
        node_port: match way {
            ExternalAccess::NodePort => args.node_port.or(desired.node_port),
            ExternalAccess::LoadBalancer => None,
        },
        allow: args.allow.clone(),
        until: args.lasting.map(until).transpose()?,
        ..Exposure::of(desired)
    })
}

/// Looks at the cluster, and acts on it under the frame of a run. Answers with what it comes to.
async fn go(
    ui: &Ui,
    verb: &'static str,
    (connection, desired): (&Connection, &Desired),
    bounds: &Bounds,
    act: impl AsyncFnOnce(&Frame, &World) -> Result<String>,
) -> Result<()> {
    let observer = gather::look(connection, desired, None).await?;
    Frame::whole(ui, verb, async |frame| {
        let choices = frame.choices(bounds);
        let world = World::new(connection.clone(), desired.clone(), Passwords::default(), choices, observer);
        act(frame, &world).await
    })
    .await
}
