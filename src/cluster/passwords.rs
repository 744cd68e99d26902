//! The passwords of a cluster's accounts, as its servers take them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;

use crate::desired::{Authority, Desired, Hidden};
use crate::engine::{Never, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::manifests::config::{OWN_PASSWORD, ROOT_PASSWORD, USER_PASSWORD};
use crate::names::Member;
use crate::observe::OWN_USER;
use crate::plans::passwords::{Secret, all, statement, string, takes};
use crate::sql::{Door, Login, SqlError, Ways};

use super::world::{BEAT, World};

/// An account is changed on all nodes at once, in the order of all writes.
const STATEMENT_LIMIT: Duration = Duration::from_secs(20);

/// An account whose password is in the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// The key of its password.
    pub key: &'static str,
}

impl Account {
    /// Whether programs use it of which galeractl knows nothing.
    #[must_use]
    pub fn is_of_applications(&self) -> bool {
        self.key == USER_PASSWORD
    }
}

/// All accounts whose passwords are in the Secret.
#[must_use]
pub fn accounts(desired: &Desired) -> Vec<Account> {
    let own = [("root", ROOT_PASSWORD), (OWN_USER, OWN_PASSWORD)];
    let user = desired.user.as_deref().map(|user| (user, USER_PASSWORD));
    own.into_iter().chain(user).map(|(user, key)| Account { user: user.to_owned(), key }).collect()
}

async fn log_in(
    world: &World,
    authority: Option<&Authority>,
    node: Member,
    user: &str,
    password: &str,
) -> Result<Door, SqlError> {
    let pod = world.desired.cluster.pod(node);
    let ways = Ways::open(&world.connection.streams, &world.desired, &pod, authority).await;
    let ways = ways.map_err(|failure| SqlError::Closed(failure.to_string()))?;
    let login = Login { user: user.to_owned(), password: Hidden::new(password) };
    ways.enter(&login, STATEMENT_LIMIT).await
}

/// As root at the first node, by whichever of root's passwords it takes.
async fn as_root(world: &World, authority: Option<&Authority>, secret: &Secret) -> Result<Door> {
    let node = Member::Node(1);
    let mut refused = format!("the Secret has no `{ROOT_PASSWORD}`");
    for password in all(secret, ROOT_PASSWORD) {
        match log_in(world, authority, node, "root", password).await {
            Ok(door) => return Ok(door),
            Err(error) => refused = error.to_string(),
        }
    }
    Err(Failure::message(Kind::Step, format!("nobody gets into {node} as root: {refused}"))
        .hint("the password of root in the Secret is not the one of the servers: galeractl verify"))
}

fn said(error: SqlError) -> Failure {
    Failure::new(Kind::Step, error)
}

/// Has every server take the passwords that the Secret names for this account, or the first of them `alone`, and answers
/// which accounts of the name log in otherwise and stay as they are.
///
/// # Errors
/// No account of this name has a password of the Secret, or a server refuses.
pub async fn teach(
    cx: &StepCx<'_, World>,
    authority: Option<&Authority>,
    secret: &Secret,
    account: &Account,
    alone: bool,
) -> Result<Vec<String>> {
    let world = cx.world;
    let mut root = as_root(world, authority, secret).await?;
    let known = all(secret, account.key);
    let hold = if alone { &known[..1.min(known.len())] } else { &known[..] };
    let columns: Vec<String> = known.iter().map(|text| format!("PASSWORD({})", string(text))).collect();
    // Without it, backslashes in names might be letters.
    root.conn.query("SET SESSION sql_mode=''").await.map_err(said)?;
    let kept = root.conn.query(&format!("SELECT {}", columns.join(", "))).await.map_err(said)?;
    let kept: Vec<String> = kept.into_iter().flatten().flatten().collect();
    let wanted: Vec<String> = kept.iter().take(hold.len()).cloned().collect();
    let (known, wished): (BTreeSet<String>, BTreeSet<String>) =
        (kept.into_iter().collect(), wanted.iter().cloned().collect());
    let find = format!("SELECT Host, Priv FROM mysql.global_priv WHERE User = {} ORDER BY Host", string(&account.user));
    let (mut own, mut others) = (0, Vec::new());
    for row in root.conn.query(&find).await.map_err(said)? {
        let [Some(host), Some(privileges)] = &row[..] else { continue };
        match takes(privileges, &known) {
            None => others.push(format!("{}@{host}", account.user)),
            Some(has) => {
                own += 1;
                if has != wished {
                    world.confirm_lock().await?;
                    root.conn.query(&statement(&account.user, host, &wanted)).await.map_err(said)?;
                    world.count_change();
                }
            }
        }
    }
    if own == 0 {
        let message = format!("no account {} logs in with the password of the Secret alone", account.user);
        return Err(Failure::message(Kind::Step, message)
            .hint("somebody has given it another password or another way to log in; see: galeractl verify"));
    }
    Ok(others)
}

/// Waits until every node lets the account in with what it is to take, and no more with what it is not.
///
/// # Errors
/// A node does not come to that in time.
pub async fn proven(
    cx: &StepCx<'_, World>,
    authority: Option<&Authority>,
    secret: &Secret,
    account: &Account,
    alone: bool,
) -> Result<()> {
    let world = cx.world;
    let nodes: Vec<Member> = world.desired.members().collect();
    let known = all(secret, account.key);
    cx.wait(Never, BEAT, world.patience(), || async {
        let asked =
            nodes.iter().flat_map(|node| known.iter().enumerate().map(move |(at, password)| (*node, at, *password)));
        let answers = join_all(asked.map(async |(node, at, password)| {
            let answer = log_in(world, authority, node, &account.user, password).await;
            match (answer, at > 0 && alone) {
                (Ok(_), false) | (Err(SqlError::Denied(_)), true) => Ok(()),
                (Ok(_), true) => Err(format!("{node} to refuse the old password of {}", account.user)),
                (Err(error), _) => Err(format!("{node} to let {} in: {error}", account.user)),
            }
        }));
        match answers.await.into_iter().find_map(std::result::Result::err) {
            None => Verdict::pass(""),
            Some(why) => Verdict::wait(why),
        }
    })
    .await
    .map(drop)
}
