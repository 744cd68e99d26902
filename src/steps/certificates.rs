//! New certificates for servers that run, and a new authority for all of them. Nobody is restarted, and no connection ends.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;

use crate::cluster::nodes::{common_view, in_one_view};
use crate::cluster::trust::{self, Lack, Trust};
use crate::cluster::world::{BEAT, World};
use crate::desired::Access;
use crate::engine::{Finished, Named, Never, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::manifests::Object;
use crate::names::Member;
use crate::plans::rotation::{Act, Phase, State, is_under_way, next, phase};

/// Gives nodes new certificates.
pub const RENEW: Named = Named::new("renew", "give nodes new certificates, one after the other");

/// Has all nodes trust a new authority.
pub const TRUST: Named = Named::new("trust", "have every node trust a new authority beside the old one");

/// Has the new authority sign.
pub const SIGN: Named = Named::new("sign", "have the new authority sign the certificate of every node");

/// Takes the old authority away.
pub const RETIRE: Named = Named::new("retire", "take the old authority away from every node");

/// What the run asks before it changes anything.
///
/// # Errors
/// A Secret cannot be used, or the nodes are not all Synced in one view.
pub async fn look(cx: &StepCx<'_, World>) -> Result<Trust> {
    let trust = trust::read(&cx.world.applier, &cx.world.desired).await?;
    in_one_view(cx).await?;
    Ok(trust)
}

/// Which nodes have loaded what their Secrets hold. One that does not answer has not.
///
/// # Errors
/// The authority cannot sign.
pub async fn state(world: &World, access: &Access, trust: &Trust) -> Result<State> {
    let (desired, visitor) = (&world.desired, trust.visitor(&world.desired)?);
    let access = Access { authority: Some(trust.authority()), ..access.clone() };
    let asked = trust.leaves.iter().map(async |(member, leaf)| {
        let lacks = trust::lacks(&world.connection, desired, &access, (*member, leaf), &visitor).await;
        (lacks == Ok(None)).then_some(*member)
    });
    let loaded: BTreeSet<Member> = join_all(asked).await.into_iter().flatten().collect();
    Ok(trust.state(&loaded))
}

/// Makes new certificates for these nodes, and has each load its own before the next one gets one. A node that has not
/// loaded what it got before loads that.
///
/// # Errors
/// As [`look`]; an authority is being replaced; a node does not load its certificate.
pub async fn renew(cx: &StepCx<'_, World>, access: &Access, nodes: &[Member]) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let trust = look(cx).await?;
    let state = self::state(world, access, &trust).await?;
    settled(&state)?;
    for node in nodes {
        let server = state.servers.get(node);
        let anew =
            server.is_none_or(|server| server.loaded || server.signed_by.as_ref() != Some(&state.authorities.signs));
        give(cx, access, &trust, (*node, anew, &state.authorities.trusted)).await?;
    }
    Ok(Finished::changed(format!("{}: loaded, and shown to clients and to the group", list(nodes))))
}

/// Nothing is renewed in the middle of a rotation.
///
/// # Errors
/// One is under way.
pub fn settled(state: &State) -> Result<()> {
    if is_under_way(state) {
        return Err(Failure::message(Kind::Preflight, "the authority of this cluster is being replaced")
            .hint("finish that, which renews all certificates as well: galeractl certificates rotate"));
    }
    Ok(())
}

/// Makes a new authority, unless a rotation is under way, and has every node trust it.
///
/// # Errors
/// As [`look`], or a node does not come to trust it.
pub async fn introduce(cx: &StepCx<'_, World>, access: &Access) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let trust = look(cx).await?;
    if !is_under_way(&trust.state(&BTreeSet::new())) {
        put(cx, &trust.introduced(&world.desired)?).await?;
    }
    advance(cx, access, Phase::Trust, "every node trusts both").await
}

/// Has the new authority sign, and every node show a certificate of it.
///
/// # Errors
/// A node does not load its certificate.
pub async fn sign(cx: &StepCx<'_, World>, access: &Access) -> Result<Finished> {
    advance(cx, access, Phase::Sign, "every node shows a certificate of the new authority").await
}

/// Takes the old authority from the files of every node.
///
/// # Errors
/// A node does not load its files.
pub async fn retire(cx: &StepCx<'_, World>, access: &Access) -> Result<Finished> {
    advance(cx, access, Phase::Retire, "the old authority is in no file any more").await
}

/// Does what belongs to this part, and to those before it.
async fn advance(cx: &StepCx<'_, World>, access: &Access, part: Phase, detail: &str) -> Result<Finished> {
    let world = cx.world;
    let before = world.changes();
    let mut trust = now(world, access).await?;
    let mut state = self::state(world, access, &trust).await?;
    while let Some(act) = next(&state).filter(|act| phase(&state, act) <= part) {
        cx.check_cancelled()?;
        let mut loaded: BTreeSet<Member> =
            state.servers.iter().filter(|(_, server)| server.loaded).map(|(member, _)| *member).collect();
        match act {
            Act::Give { member, anew, trusts } => {
                give(cx, access, &trust, (member, anew, &trusts)).await?;
                loaded.insert(member);
            }
            Act::Promote => put(cx, &trust.promoted(&world.desired)).await?,
            Act::Retire => put(cx, &trust.retired(&world.desired)).await?,
        }
        trust = now(world, access).await?;
        // Whoever is restarted meanwhile reads the same files.
        state = trust.state(&loaded);
    }
    Ok(Finished::which(world.changes() > before, detail))
}

/// The certificates as they are now; servers are believed by them from then on.
async fn now(world: &World, access: &Access) -> Result<Trust> {
    let trust = trust::read(&world.applier, &world.desired).await?;
    world.observer.set_access(Access { authority: Some(trust.authority()), ..access.clone() });
    Ok(trust)
}

async fn put(cx: &StepCx<'_, World>, secret: &Secret) -> Result<()> {
    cx.world.confirm_lock().await?;
    cx.world.apply(cx, &[Object::of(secret)]).await
}

/// Writes a node's Secret, has the node load it, and waits until all nodes are in one view.
async fn give(
    cx: &StepCx<'_, World>,
    access: &Access,
    trust: &Trust,
    (node, anew, trusts): (Member, bool, &BTreeSet<String>),
) -> Result<()> {
    let world = cx.world;
    let (connection, desired) = (&world.connection, &world.desired);
    put(cx, &trust.give(desired, node, anew, trusts)?).await?;
    let trust = now(world, access).await?;
    let (access, visitor) = (Access { authority: Some(trust.authority()), ..access.clone() }, trust.visitor(desired)?);
    let leaf = trust.leaves.get(&node).ok_or_else(|| Failure::message(Kind::Bug, format!("{node} has no Secret")))?;
    cx.wait(Never, BEAT / 2, world.patience(), || async {
        let lacks = trust::lacks(connection, desired, &access, (node, leaf), &visitor).await;
        let helped = match &lacks {
            Ok(None) => return Verdict::pass(""),
            Ok(Some(Lack::Files)) => trust::nudge(connection, desired, node).await,
            Ok(Some(_)) => trust::reload(connection, desired, node).await,
            Err(_) => Ok(()),
        };
        let answer = match (lacks, helped) {
            (_, Err(failure)) => failure.to_string(),
            (Ok(lack), _) => lack.map_or_else(String::new, |lack| lack.to_string()),
            (Err(why), _) => why,
        };
        Verdict::wait(format!("{node} to load its certificate: {answer}"))
    })
    .await?;
    let nodes: Vec<Member> = desired.members().collect();
    common_view(cx, &nodes, None).await.map(drop)
}
