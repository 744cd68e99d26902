//! New passwords for accounts that clients use. At every moment servers take the one that the Secret gives out.

use crate::cluster::nodes::in_one_view;
use crate::cluster::passwords::{Account, proven, teach};
use crate::cluster::record::{random_password, stored_passwords};
use crate::cluster::world::World;
use crate::desired::{Access, Hidden};
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::manifests::Object;
use crate::manifests::config::{OWN_PASSWORD, credentials};
use crate::plans::passwords::{Secret, Stage, begun, ended, handed, stage};

/// Has servers take a new password.
pub const ADMIT: Named = Named::new("admit", "have every server take a new password beside the old one");

/// Gives clients the new password.
pub const HAND: Named = Named::new("hand", "put the new password into the Secret");

/// Takes the old password away.
pub const RETIRE: Named = Named::new("retire", "have every server refuse the old password");

/// The Secret as it is now.
///
/// # Errors
/// It is not there, or has no password for the account.
pub async fn look(world: &World, accounts: &[Account]) -> Result<Secret> {
    let (cluster, namespace) = (&world.desired.cluster, &world.desired.namespace);
    let secret = stored_passwords(&world.connection.client, namespace, cluster).await?.unwrap_or_default();
    match accounts.iter().find(|account| !secret.contains_key(account.key)) {
        None => Ok(secret),
        Some(account) => Err(Failure::message(
            Kind::Preflight,
            format!("secret/{} in namespace {namespace} has no `{}`", cluster.credentials(), account.key),
        )
        .hint("was the Secret deleted or changed by hand? see: galeractl verify")),
    }
}

/// Chooses a next password for each account that has none under way, and has every server take both.
///
/// # Errors
/// The nodes are not all Synced in one view; a server refuses.
pub async fn admit(cx: &StepCx<'_, World>, access: &Access, accounts: &[Account]) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    in_one_view(cx).await?;
    let before = world.changes();
    let mut secret = look(world, accounts).await?;
    for account in
        accounts.iter().filter(|account| stage(&secret, account.key) == Stage::Settled).cloned().collect::<Vec<_>>()
    {
        secret = put(cx, begun(&secret, account.key, random_password())).await?;
    }
    for account in accounts.iter().filter(|account| stage(&secret, account.key) == Stage::Begun) {
        cx.check_cancelled()?;
        for other in teach(cx, access.authority.as_ref(), &secret, account, false).await? {
            cx.notice(
                Level::Warning,
                format!("{other} logs in with something else than the Secret has, and stays as it is"),
            );
        }
        proven(cx, access.authority.as_ref(), &secret, account, false).await?;
    }
    Ok(Finished::which(world.changes() > before, "every node takes both"))
}

/// Gives clients the new passwords: the Secret has them from now on.
///
/// # Errors
/// The Secret cannot be written.
pub async fn hand(cx: &StepCx<'_, World>, access: &Access, accounts: &[Account]) -> Result<Finished> {
    let world = cx.world;
    let before = world.changes();
    let mut secret = look(world, accounts).await?;
    for account in accounts {
        if stage(&secret, account.key) == Stage::Begun {
            secret = put(cx, handed(&secret, account.key)).await?;
        }
    }
    if let Some(password) = secret.get(OWN_PASSWORD) {
        world.observer.set_access(Access { password: Hidden::new(password), ..access.clone() });
    }
    Ok(Finished::which(world.changes() > before, format!("secret/{} has them", world.desired.cluster.credentials())))
}

/// Has every server refuse the passwords that clients had before.
///
/// # Errors
/// The nodes are not all Synced in one view; a server refuses, or goes on taking the old one.
pub async fn retire(cx: &StepCx<'_, World>, access: &Access, accounts: &[Account]) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    in_one_view(cx).await?;
    let before = world.changes();
    let mut secret = look(world, accounts).await?;
    for account in accounts {
        if stage(&secret, account.key) == Stage::Handed {
            cx.check_cancelled()?;
            teach(cx, access.authority.as_ref(), &secret, account, true).await?;
            proven(cx, access.authority.as_ref(), &secret, account, true).await?;
            secret = put(cx, ended(&secret, account.key)).await?;
        }
    }
    Ok(Finished::which(world.changes() > before, "every node takes the new one alone"))
}

async fn put(cx: &StepCx<'_, World>, secret: Secret) -> Result<Secret> {
    cx.world.confirm_lock().await?;
    let values = secret.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    cx.world.apply(cx, &[Object::of(&credentials(&cx.world.desired, &values))]).await?;
    Ok(secret)
}
