//! How a password is replaced while clients use it: for a while servers take two, and the Secret says which they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The values of a Secret by their keys.
pub type Secret = BTreeMap<String, String>;

/// How far the replacement of a password is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is one password.
    Settled,
    /// The next one waits beside the one that clients get, and servers may not know it yet.
    Begun,
    /// Clients get the new one, and servers may still take the one before.
    Handed,
}

fn next(key: &str) -> String {
    format!("{key}-next")
}

fn previous(key: &str) -> String {
    format!("{key}-previous")
}

/// How far the replacement of the password under this key is.
#[must_use]
pub fn stage(secret: &Secret, key: &str) -> Stage {
    match (secret.contains_key(&next(key)), secret.contains_key(&previous(key))) {
        (true, _) => Stage::Begun,
        (false, true) => Stage::Handed,
        (false, false) => Stage::Settled,
    }
}

/// The Secret with a next password beside the present one.
#[must_use]
pub fn begun(secret: &Secret, key: &str, password: String) -> Secret {
    let mut secret = secret.clone();
    secret.insert(next(key), password);
    secret
}

/// The Secret that gives clients the next password; the one that they have had stays beside it.
#[must_use]
pub fn handed(secret: &Secret, key: &str) -> Secret {
    let mut secret = secret.clone();
    if let Some(password) = secret.remove(&next(key))
        && let Some(before) = secret.insert(key.to_owned(), password)
    {
        secret.insert(previous(key), before);
    }
    secret
}

/// The Secret without the password that clients had before.
#[must_use]
pub fn ended(secret: &Secret, key: &str) -> Secret {
    let mut secret = secret.clone();
    secret.remove(&previous(key));
    secret
}

/// All passwords of the account, the one that clients get first.
#[must_use]
pub fn all<'a>(secret: &'a Secret, key: &str) -> Vec<&'a str> {
    [key.to_owned(), next(key), previous(key)].iter().filter_map(|key| secret.get(key).map(String::as_str)).collect()
}

/// How an account of a server may log in, as the column `Priv` of `mysql.global_priv` has it.
#[derive(Debug, Deserialize)]
struct Privileges {
    #[serde(flatten)]
    first: Way,
    #[serde(default)]
    auth_or: Vec<Way>,
}

#[derive(Debug, Deserialize)]
struct Way {
    plugin: Option<String>,
    authentication_string: Option<String>,
}

/// The passwords that an account takes, as the server keeps them; `None` where it takes anything but those of `known`:
/// such an account is somebody else's affair.
#[must_use]
pub fn takes(privileges: &str, known: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let Privileges { first, auth_or } = serde_json::from_str(privileges).ok()?;
    // Among the alternatives, an empty one stands for the first.
    let ways = std::iter::once(first).chain(auth_or.into_iter().filter(|way| way.plugin.is_some()));
    ways.map(|way| {
        let kept = way.authentication_string.filter(|kept| known.contains(kept));
        kept.filter(|_| way.plugin.as_deref() == Some(PLUGIN))
    })
    .collect()
}

/// Takes a password as the double SHA-1 of itself.
const PLUGIN: &str = "mysql_native_password";

/// The statement that has an account take these passwords, each as the server keeps it, and no other way in.
#[must_use]
pub fn statement(user: &str, host: &str, kept: &[String]) -> String {
    let ways: Vec<String> = kept.iter().map(|kept| format!("{PLUGIN} USING {}", string(kept))).collect();
    format!("ALTER USER {}@{} IDENTIFIED VIA {}", string(user), string(host), ways.join(" OR "))
}

/// A string for a server that knows backslashes.
#[must_use]
pub fn string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "user-password";

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_clients_get_is_taken_at_every_moment() {
        let mut secret =
            Secret::from([(KEY.to_owned(), "old".to_owned()), ("root-password".to_owned(), "r".to_owned())]);
        // What servers take is changed between two writes of the Secret, to what the Secret names then.
        let mut taken = set(&["old"]);
        for change in [|secret: &Secret| begun(secret, KEY, "new".to_owned()), |secret: &Secret| handed(secret, KEY)] {
            secret = change(&secret);
            assert!(taken.contains(&secret[KEY]));
            taken = set(&all(&secret, KEY));
            assert!(taken.contains("old") && taken.contains("new"));
        }
        assert_eq!((stage(&secret, KEY), secret[KEY].as_str()), (Stage::Handed, "new"));
        taken = set(&[&secret[KEY]]);
        secret = ended(&secret, KEY);
        assert_eq!((stage(&secret, KEY), taken), (Stage::Settled, set(&all(&secret, KEY))));
        assert_eq!(secret.len(), 2, "nothing is left, and nobody else is touched");
    }

    #[test]
    fn a_step_that_is_done_again_changes_nothing() {
        let settled = Secret::from([(KEY.to_owned(), "old".to_owned())]);
        assert_eq!(handed(&settled, KEY), settled);
        let handed_over = handed(&begun(&settled, KEY, "new".to_owned()), KEY);
        assert_eq!(handed(&handed_over, KEY), handed_over);
        assert_eq!(ended(&settled, KEY), settled);
    }

    #[test]
    fn accounts_with_other_ways_in_are_somebody_elses() {
        let known = set(&["*A", "*B"]);
        let one = r#"{"access":0,"plugin":"mysql_native_password","authentication_string":"*A","auth_or":[{}]}"#;
        assert_eq!(takes(one, &known), Some(set(&["*A"])));
        let two = r#"{"plugin":"mysql_native_password","authentication_string":"*A","auth_or":[{},{"plugin":"mysql_native_password","authentication_string":"*B"}]}"#;
        assert_eq!(takes(two, &known), Some(set(&["*A", "*B"])));
        for other in [
            r#"{"plugin":"mysql_native_password","authentication_string":"*C"}"#,
            r#"{"plugin":"ed25519","authentication_string":"*A"}"#,
            r#"{"plugin":"mysql_native_password","authentication_string":"*A","auth_or":[{},{"plugin":"unix_socket"}]}"#,
            r#"{"access":1}"#,
            "",
        ] {
            assert_eq!(takes(other, &known), None, "{other}");
        }
    }

    #[test]
    fn names_stay_names() {
        assert_eq!(
            statement(r"o'\x", "%", &["*A".to_owned(), "*B".to_owned()]),
            r"ALTER USER 'o\'\\x'@'%' IDENTIFIED VIA mysql_native_password USING '*A' OR mysql_native_password USING '*B'"
        );
    }
}
