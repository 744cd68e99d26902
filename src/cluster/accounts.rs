//! Whether those whose passwords are in the Secret can log in, and what they may do then.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::checks::NoLogin;
use crate::desired::{Access, Desired, Hidden};
use crate::kube::client::Connection;
use crate::manifests::config::{ROOT_PASSWORD, USER_PASSWORD};
use crate::sql::{Login, SqlError, Ways};

use super::record::Kept;

/// Logs in at a pod as each account of the Secret but galeractl's own, and answers the rights that the server names.
pub async fn grants(
    connection: &Connection,
    desired: &Desired,
    kept: &Kept,
    pod: &str,
) -> BTreeMap<String, Result<Vec<String>, NoLogin>> {
    let accounts =
        [("root", ROOT_PASSWORD)].into_iter().chain(desired.user.as_deref().map(|user| (user, USER_PASSWORD)));
    let asked = accounts.map(async |(user, key)| {
        let answer = match kept.all.get(key) {
            Some(password) => {
                let access = Access { password: Hidden::new(password), authority: kept.own.authority.clone() };
                ask(connection, desired, user, access, pod).await
            }
            None => Err(NoLogin::Denied(format!("secret/{} has no key `{key}`", desired.cluster.credentials()))),
        };
        (user.to_owned(), answer)
    });
    join_all(asked).await.into_iter().collect()
}

async fn ask(
    connection: &Connection,
    desired: &Desired,
    user: &str,
    Access { password, authority }: Access,
    pod: &str,
) -> Result<Vec<String>, NoLogin> {
    let silent = |error: SqlError| match error {
        SqlError::Denied(why) => NoLogin::Denied(why),
        other => NoLogin::Silent(other.to_string()),
    };
    let ways = Ways::open(&connection.streams, desired, pod, authority.as_ref()).await;
    let ways = ways.map_err(|failure| NoLogin::Silent(failure.to_string()))?;
    let login = Login { user: user.to_owned(), password };
    let mut conn = ways.connect(&login).await.map_err(silent)?;
    let rows = conn.query("SHOW GRANTS").await.map_err(silent)?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// What the settings promise an account and the server does not name among its rights, or names beyond them.
#[must_use]
pub fn lacks(desired: &Desired, user: &str, grants: &[String]) -> Option<String> {
    let has = |begin: &str| grants.iter().any(|grant| grant.starts_with(begin));
    if user == "root" {
        let all = grants
            .iter()
            .any(|grant| grant.starts_with("GRANT ALL PRIVILEGES ON *.* TO") && grant.ends_with("WITH GRANT OPTION"));
        return (!all).then(|| "not every right on everything".to_owned());
    }
    let database = desired.database.as_ref()?;
    // In a GRANT the name of a database is a pattern.
    let pattern = database.replace('`', "``").replace('_', "\\_").replace('%', "\\%");
    let wanted = format!("GRANT ALL PRIVILEGES ON `{pattern}`.* TO ");
    if !has(&wanted) {
        return Some(format!("no rights on the database `{database}`"));
    }
    let beyond = grants.iter().find(|grant| !grant.starts_with("GRANT USAGE ON *.* ") && !grant.starts_with(&wanted));
    beyond.map(|grant| format!("more than its database: {}", grant.split(" TO ").next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(database: Option<&str>, user: &str, grants: &[&str]) -> Option<String> {
        let mut desired = crate::desired::tests::desired("c", 1);
        desired.database = database.map(str::to_owned);
        lacks(&desired, user, &grants.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn an_account_has_exactly_what_the_settings_say() {
        let usage = "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*1'";
        let right = "GRANT ALL PRIVILEGES ON `shop\\_db`.* TO `app`@`%`";
        assert_eq!(found(Some("shop_db"), "app", &[usage, right]), None);
        assert_eq!(found(None, "app", &[usage]), None);
        let wrong = found(Some("shop_db"), "app", &[usage, "GRANT ALL PRIVILEGES ON `shop_db`.* TO `app`@`%`"]);
        assert!(wrong.unwrap().contains("no rights on the database"), "a pattern that fits others as well");
        assert!(found(Some("shop_db"), "app", &[usage]).is_some());
        let more = found(Some("shop_db"), "app", &[usage, right, "GRANT SELECT ON `mysql`.* TO `app`@`%`"]);
        assert_eq!(more.unwrap(), "more than its database: GRANT SELECT ON `mysql`.*");
    }

    #[test]
    fn root_has_everything() {
        let all = "GRANT ALL PRIVILEGES ON *.* TO `root`@`%` IDENTIFIED BY PASSWORD '*1' WITH GRANT OPTION";
        assert_eq!(found(None, "root", &[all]), None);
        assert!(found(None, "root", &["GRANT USAGE ON *.* TO `root`@`%`"]).is_some());
    }
}
