//! A login in the forms that programs read.

use std::fmt::Write as _;

use crate::desired::{Desired, Hidden};
use crate::error::{Failure, Kind, Result};
use crate::manifests::config::{ROOT_PASSWORD, USER_PASSWORD};
use crate::manifests::services::SQL_PORT;

/// The file with the authority's certificate, as `credentials` tells to make it.
const CA_FILE: &str = "ca.crt";

/// Where to log in, as whom.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Login {
    pub(in crate::commands) host: String,
    pub(in crate::commands) port: u16,
    pub(in crate::commands) user: String,
    pub(in crate::commands) database: Option<String>,
    /// Not shown where there is none.
    pub(in crate::commands) password: Option<Hidden>,
    /// The servers prove who they are.
    pub(in crate::commands) verifies: bool,
}

impl Login {
    /// Through the proxies inside of Kubernetes, as this user: that of the application where nobody is named and there is
    /// one, else root.
    ///
    /// # Errors
    /// There is no such user in the Secret.
    pub(in crate::commands) fn of(desired: &Desired, user: Option<&str>) -> Result<Self> {
        let application = desired.user.as_deref();
        let user = user.or(application).unwrap_or("root");
        if user != "root" && Some(user) != application {
            let known = ["root"].into_iter().chain(application).collect::<Vec<_>>().join(", ");
            return Err(Failure::message(Kind::Usage, format!("--user: the Secret has no user `{user}`"))
                .hint(format!("it has: {known}")));
        }
        Ok(Self {
            host: format!("{}.{}.svc", desired.cluster.proxy(), desired.namespace),
            port: SQL_PORT,
            user: user.to_owned(),
            database: desired.database.clone(),
            password: None,
            verifies: desired.tls.is_some(),
        })
    }

    /// The key of the Secret with the password.
    pub(in crate::commands) fn key(&self) -> &'static str {
        if self.user == "root" { ROOT_PASSWORD } else { USER_PASSWORD }
    }

    /// `mysql://app:password@host:3306/shop`.
    pub(in crate::commands) fn uri(&self) -> String {
        let mut uri = format!("mysql://{}", escaped(&self.user));
        if let Some(password) = &self.password {
            let _ = write!(uri, ":{}", escaped(password.reveal()));
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let database = self.database.as_deref().map(escaped).unwrap_or_default();
        format!("{uri}@{host}:{}/{database}", self.port)
    }

    /// Variables for a shell to take over, by the names that MariaDB's own programs read where they read one.
    pub(super) fn env(&self) -> String {
        let port = self.port.to_string();
        let password = self.password.as_ref().map(Hidden::reveal);
        let all = [
            ("MYSQL_HOST", Some(self.host.as_str())),
            ("MYSQL_TCP_PORT", Some(&port)),
            ("MYSQL_USER", Some(&self.user)),
            ("MYSQL_DATABASE", self.database.as_deref()),
            ("MYSQL_PWD", password),
        ];
        let line = |(name, value): (&str, Option<&str>)| Some(format!("export {name}={}\n", shell(value?)));
        all.into_iter().filter_map(line).collect()
    }

    /// A file of options for MariaDB's clients.
    pub(super) fn my_cnf(&self) -> String {
        let mut text =
            format!("[client]\nhost={}\nport={}\nuser={}\n", option(&self.host), self.port, option(&self.user));
        if let Some(password) = &self.password {
            let _ = writeln!(text, "password={}", option(password.reveal()));
        }
        if self.verifies {
            let _ = writeln!(text, "ssl_ca={CA_FILE}\nssl_verify_server_cert");
        }
        if let Some(database) = &self.database {
            let _ = writeln!(text, "\n[mariadb-client]\ndatabase={}", option(database));
        }
        text
    }
}

/// Text as part of a URI: everything but letters, digits and `-._~` as `%xx`.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// Text as one word of a shell.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Text as a value of an option file.
fn option(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(password: Option<&str>) -> Login {
        let mut desired = crate::desired::tests::desired("c", 1);
        (desired.user, desired.database) = (Some("o'neil".to_owned()), Some("my shop".to_owned()));
        Login { password: password.map(Hidden::new), ..Login::of(&desired, None).unwrap() }
    }

    #[test]
    fn every_form_holds_what_its_readers_read_back() {
        let login = login(Some(r#"a"b\c'd#e /@"#));
        assert_eq!(login.uri(), "mysql://o%27neil:a%22b%5Cc%27d%23e%20%2F%40@c-galera-haproxy.data.svc:3306/my%20shop");
        let env = login.env();
        assert!(env.contains("export MYSQL_USER='o'\\''neil'\n"), "{env}");
        let read =
            std::process::Command::new("sh").args(["-c", &format!("{env}printf %s \"$MYSQL_PWD\"")]).output().unwrap();
        assert_eq!(String::from_utf8(read.stdout).unwrap(), r#"a"b\c'd#e /@"#);
        let file = login.my_cnf();
        assert!(file.contains(r#"password="a\"b\\c'd#e /@""#) && file.contains("database=\"my shop\""), "{file}");
        assert!(!file.contains("ssl"));
    }

    #[test]
    fn without_a_password_there_is_no_trace_of_one() {
        let login = login(None);
        let all = [login.uri(), login.env(), login.my_cnf()].concat();
        assert!(
            !all.contains("PWD") && !all.contains("password") && login.uri().starts_with("mysql://o%27neil@"),
            "{all}"
        );
    }

    #[test]
    fn users_are_those_of_the_secret() {
        let desired = crate::desired::tests::desired("c", 1);
        assert_eq!(Login::of(&desired, None).unwrap().user, "root");
        let refused = Login::of(&desired, Some("app")).unwrap_err();
        assert_eq!((refused.kind, refused.hints), (Kind::Usage, vec!["it has: root".to_owned()]));
    }
}
