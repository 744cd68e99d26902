//! `galeractl credentials rotate`.

use crate::cluster::nodes::in_one_view;
use crate::cluster::passwords::{Account, accounts};
use crate::cluster::record::own_access;
use crate::cluster::rights;
use crate::cluster::world::{Choices, World};
use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::{Frame, Run, patiently};
use crate::commands::gather;
use crate::commands::rehearsal::{self, Planned};
use crate::commands::target::{connect, find, running};
use crate::desired::{Access, Desired, Passwords};
use crate::engine::event::{Change, Level};
use crate::engine::{Due, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::plans::passwords::{Secret, Stage, stage};
use crate::steps::credentials::{self as steps, ADMIT, HAND, RETIRE};
use crate::ui::Ui;

/// Replace passwords while clients use them
///
/// Every server takes the new password beside the old one, then the Secret gets the new one, then servers refuse the old
/// one. So at every moment the password in the Secret is right, and no connection is lost. Without names: the accounts root
/// and galeractl.
///
/// Of an account that applications use, both passwords hold until they have the new one: run it for that account, have the
/// applications read the Secret again, and run it with --finish. Interrupted, it continues when it is run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl credentials rotate
  galeractl credentials rotate app
  galeractl credentials rotate app --finish")]
pub(super) struct RotateArgs {
    /// Whose password, such as root or the user of the settings
    #[arg(value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Have servers refuse the old password of an account that applications use
    #[arg(long, requires = "accounts")]
    finish: bool,
    #[command(flatten)]
    bounds: Bounds,
    /// Also overwrite what somebody else has written into the Secret
    #[arg(long)]
    take_ownership: bool,
}

pub(super) async fn run(args: &RotateArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::Preflight).await?.desired;
    let meant = meant(&desired, &args.accounts)?;
    rights::check(&connection, &desired, rights::CREDENTIALS).await?;
    let access = own_access(&connection.client, &desired).await?;
    let looking = gather::look(&connection, &desired, Some(access.clone()));
    let observer = patiently(ui, "the servers to answer", looking).await?;
    Frame::whole(ui, "credentials", async |frame| {
        let choices = Choices { take_ownership: args.take_ownership, ..frame.choices(&args.bounds) };
        let world = World::new(connection, desired, Passwords::default(), choices, observer);
        let secret = steps::look(&world, &meant).await?;
        let (changed, ended) = parts(&secret, &meant, args.finish)?;
        if args.bounds.dry_run.is_some() {
            let rehearse = async |cx: &StepCx<'_, World>| {
                in_one_view(cx).await?;
                Ok(planned(&world, &secret, &changed, &ended))
            };
            let planned = rehearsal::show(frame, ui, args.bounds.timeout, &world, rehearse).await?;
            return Ok(rehearsal::outcome("passwords would be replaced", &planned));
        }
        act(frame, args, (&world, &access), &changed, &ended).await
    })
    .await
}

async fn act(
    frame: &Frame,
    args: &RotateArgs,
    (world, access): (&World, &Access),
    changed: &[Account],
    ended: &[Account],
) -> Result<String> {
    let limit = args.bounds.timeout;
    let both = async |run: &Run<'_>, [admit, hand]: [Due; 2]| {
        run.step(admit, async |cx| steps::admit(cx, access, changed).await).await?;
        run.step(hand, async |cx| steps::hand(cx, access, changed).await).await
    };
    let end = async |run: &Run<'_>, [retire]: [Due; 1]| {
        run.step(retire, async |cx| steps::retire(cx, access, ended).await).await
    };
    if changed.is_empty() {
        frame.run([RETIRE], limit, world, end).await?;
    } else if ended.is_empty() {
        frame.run([ADMIT, HAND], limit, world, both).await?;
    } else {
        let all = async |run: &Run<'_>, [admit, hand, retire]: [Due; 3]| {
            both(run, [admit, hand]).await?;
            end(run, [retire]).await
        };
        frame.run([ADMIT, HAND, RETIRE], limit, world, all).await?;
    }
    let kept: Vec<&str> =
        changed.iter().filter(|account| !ended.contains(account)).map(|account| account.user.as_str()).collect();
    if !kept.is_empty() {
        frame.notice(
            Level::Warning,
            format!(
                "servers still take the old password of {}: when all its programs use the one in the Secret: galeractl \
                 credentials rotate {} --finish",
                kept.join(", "),
                kept.join(" ")
            ),
        );
    }
    let users: Vec<&str> = changed
        .iter()
        .chain(ended.iter().filter(|account| !changed.contains(account)))
        .map(|account| account.user.as_str())
        .collect();
    Ok(format!("passwords are replaced: {}", users.join(", ")))
}

/// The accounts of these names.
///
/// # Errors
/// The Secret has no password of one.
fn meant(desired: &Desired, names: &[String]) -> Result<Vec<Account>> {
    let all = accounts(desired);
    if let Some(name) = names.iter().find(|name| all.iter().all(|account| account.user != **name)) {
        let known: Vec<&str> = all.iter().map(|account| account.user.as_str()).collect();
        return Err(Failure::message(
            Kind::Usage,
            format!("the password of `{}` is not kept by galeractl", name.escape_default()),
        )
        .hint(format!("it keeps those of {}; change others in SQL: ALTER USER", known.join(", "))));
    }
    let meant = |account: &Account| {
        if names.is_empty() { !account.is_of_applications() } else { names.contains(&account.user) }
    };
    Ok(all.into_iter().filter(meant).collect())
}

/// Whose password becomes another, and whose old one ends. One whose old password still has to end gets no new one.
///
/// # Errors
/// An end is asked for where nothing was begun, or a beginning where the end is due.
fn parts(secret: &Secret, meant: &[Account], finish: bool) -> Result<(Vec<Account>, Vec<Account>)> {
    let refused = |account: &Account, why: &str, then: &str| {
        Err(Failure::message(Kind::Preflight, format!("the password of {} {why}", account.user)).hint(then.to_owned()))
    };
    for account in meant {
        match (stage(secret, account.key), finish) {
            (Stage::Settled | Stage::Begun, true) => {
                return refused(
                    account,
                    "has not been replaced yet",
                    &format!("first: galeractl credentials rotate {}", account.user),
                );
            }
            (Stage::Handed, false) if account.is_of_applications() => {
                return refused(
                    account,
                    "has been replaced, and servers still take the old one",
                    &format!(
                        "when all programs use the one in the Secret: galeractl credentials rotate {} --finish",
                        account.user
                    ),
                );
            }
            _ => {}
        }
    }
    let changed = meant.iter().filter(|account| stage(secret, account.key) != Stage::Handed).cloned().collect();
    let ended = meant.iter().filter(|account| finish || !account.is_of_applications()).cloned().collect();
    Ok((changed, ended))
}

/// How often the Secret is written in each step.
fn planned(world: &World, secret: &Secret, changed: &[Account], ended: &[Account]) -> Vec<Planned> {
    let name = format!("secret/{}", world.desired.cluster.credentials());
    let settled = changed.iter().filter(|account| stage(secret, account.key) == Stage::Settled).count();
    [(ADMIT.id, settled), (HAND.id, changed.len()), (RETIRE.id, ended.len())]
        .into_iter()
        .flat_map(|(step, count)| (0..count).map(move |_| step))
        .map(|step| Planned::new(step, name.clone(), Change::Changed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: &str, key: &'static str) -> Account {
        Account { user: user.to_owned(), key }
    }

    fn secret(keys: &[&str]) -> Secret {
        keys.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect()
    }

    #[test]
    fn an_account_of_applications_is_replaced_in_two_runs() {
        let app = [account("app", "user-password")];
        let begun = parts(&secret(&["user-password"]), &app, false).unwrap();
        assert_eq!(begun, (app.to_vec(), vec![]));
        let both = secret(&["user-password", "user-password-previous"]);
        assert!(parts(&both, &app, false).unwrap_err().to_string().contains("still take the old one"));
        assert_eq!(parts(&both, &app, true).unwrap(), (vec![], app.to_vec()));
        assert!(parts(&secret(&["user-password"]), &app, true).unwrap_err().to_string().contains("not been replaced"));
    }

    #[test]
    fn what_was_interrupted_is_brought_to_its_end_and_not_begun_again() {
        let root = [account("root", "root-password")];
        let next = secret(&["root-password", "root-password-next"]);
        assert_eq!(parts(&next, &root, false).unwrap(), (root.to_vec(), root.to_vec()));
        let previous = secret(&["root-password", "root-password-previous"]);
        assert_eq!(parts(&previous, &root, false).unwrap(), (vec![], root.to_vec()));
    }

    #[test]
    fn without_names_those_of_applications_are_left_alone() {
        let mut desired = crate::desired::tests::desired("c", 1);
        desired.user = Some("app".to_owned());
        let users = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            meant(&desired, &names).map(|all| all.into_iter().map(|one| one.user).collect::<Vec<_>>())
        };
        assert_eq!(users(&[]).unwrap(), ["root", "galeractl"]);
        assert_eq!(users(&["app"]).unwrap(), ["app"]);
        let unknown = users(&["me"]).unwrap_err();
        assert_eq!((unknown.kind, unknown.to_string().contains("`me`")), (Kind::Usage, true));
    }
}
