//! One connection to one node.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, SslOpts};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::desired::{Authority, Hidden};
use crate::kube::tunnel::Tunnel;

use super::error::SqlError;

/// How long the first answer of a server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a statement may take if nobody says otherwise.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name of the database user.
    pub user: String,
    /// Its password.
    pub password: Hidden,
}

/// Whom a server has to prove to be before it is told a password.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The only one whose word counts.
    pub authority: Authority,
    /// The name that the server's certificate has to bear.
    pub name: String,
}

/// One row of an answer as text; `None` for NULL.
pub type Row = Vec<Option<String>>;

/// A connection to one node. One that answered with [`SqlError::Timeout`], [`SqlError::Closed`] or
/// [`SqlError::Protocol`] is of no further use.
pub struct Conn {
    /// Empty on drop only.
    inner: Option<mysql_async::Conn>,
    timeout: Duration,
}

/// Connects through a tunnel, whose way to the node is encrypted by Kubernetes. With an identity, the server has to prove
/// it by TLS; without one, there is no TLS.
///
/// # Errors
/// [`SqlError::Closed`] with the tunnel's reason while the port is closed; [`SqlError::Denied`];
/// [`SqlError::Untrusted`]; [`SqlError::Timeout`] after 2 s.
pub async fn connect(tunnel: &Tunnel, login: &Login, identity: Option<&Identity>) -> Result<Conn, SqlError> {
    connect_to(tunnel.address(), login, identity).await.map_err(|error| match (error, tunnel.last_error()) {
        (SqlError::Closed(_), Some(reason)) => SqlError::Closed(reason),
        (error, _) => error,
    })
}

async fn connect_to(address: SocketAddr, login: &Login, identity: Option<&Identity>) -> Result<Conn, SqlError> {
    let options = options(address, login, identity);
    // Who is let in comes to the end of its login, to say goodbye, even where nobody waits for it any more.
    let opening = tokio::spawn(async {
        let inner = mysql_async::Conn::new(options).await?;
        Ok::<_, mysql_async::Error>(Conn { inner: Some(inner), timeout: STATEMENT_TIMEOUT })
    });
    let opened = timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| SqlError::Timeout(CONNECT_TIMEOUT))?;
    Ok(opened.map_err(|ended| SqlError::Closed(ended.to_string()))??)
}

fn options(address: SocketAddr, login: &Login, identity: Option<&Identity>) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some(login.user.clone()))
        .pass(Some(login.password.reveal().to_owned()))
        // Without these three the library asks `SELECT @@…` first, which a node without quorum refuses.
        .prefer_socket(false)
        .max_allowed_packet(Some(16 * 1024 * 1024))
        .wait_timeout(Some(28_800))
        .tcp_nodelay(true)
        .stmt_cache_size(0)
        .ssl_opts(identity.map(|identity| {
            // The address is that of the tunnel, and says nothing about who answers at its other end.
            SslOpts::default()
                .with_root_certs(vec![identity.authority.0.clone().into_bytes().into()])
                .with_disable_built_in_roots(true)
                .with_danger_tls_hostname_override(Some(identity.name.clone()))
        }))
        .into()
}

impl Conn {
    /// Gives every following statement this long. The server goes on with a statement that was given up.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs a statement, and answers its rows.
    ///
    /// # Errors
    /// As the server answers; [`SqlError::Timeout`]; [`SqlError::Closed`].
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, SqlError> {
        let mut results = self.query_all(sql).await?;
        results.swap_remove(0)
    }

    /// Runs several statements, separated by `;`, in one round trip. The server stops at the first that fails, so the
    /// last of the results may be an error, and later ones are missing. There is at least one.
    ///
    /// # Errors
    /// [`SqlError::Timeout`]; [`SqlError::Closed`]; [`SqlError::Protocol`].
    pub async fn query_all(&mut self, sql: &str) -> Result<Vec<Result<Vec<Row>, SqlError>>, SqlError> {
        let limit = self.timeout;
        timeout(limit, self.results(sql)).await.map_err(|_| SqlError::Timeout(limit))?
    }

    async fn results(&mut self, sql: &str) -> Result<Vec<Result<Vec<Row>, SqlError>>, SqlError> {
        let mut results = Vec::new();
        let Some(inner) = &mut self.inner else { return Ok(results) };
        let mut answer = match inner.query_iter(sql).await {
            Ok(answer) => answer,
            Err(error) => return refused(error, results),
        };
        loop {
            match answer.collect::<mysql_async::Row>().await {
                Ok(rows) => results.push(Ok(rows.into_iter().map(text).collect())),
                Err(error) => return refused(error, results),
            }
            if answer.is_empty() {
                return Ok(results);
            }
        }
    }
}

impl Drop for Conn {
    /// Says goodbye: a server counts and logs every client that goes without, and the library forgets to.
    fn drop(&mut self) {
        if let (Some(inner), Ok(runtime)) = (self.inner.take(), Handle::try_current()) {
            // Who does not hear it any more has closed the connection already.
            runtime.spawn(async { drop(inner.disconnect().await) });
        }
    }
}

/// An error that the server answered is one of the results; any other breaks the connection.
fn refused(
    error: mysql_async::Error,
    mut results: Vec<Result<Vec<Row>, SqlError>>,
) -> Result<Vec<Result<Vec<Row>, SqlError>>, SqlError> {
    match error {
        mysql_async::Error::Server(error) => {
            results.push(Err(error.into()));
            Ok(results)
        }
        error => Err(error.into()),
    }
}

fn text(row: mysql_async::Row) -> Row {
    let text = |value| match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        // The text protocol that is used here has no other values.
        other => Some(other.as_sql(true)),
    };
    row.unwrap().into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn login() -> Login {
        Login { user: "u".into(), password: Hidden::new("p") }
    }

    #[tokio::test]
    async fn a_closed_port_may_open() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(connect_to(address, &login(), None).await.err(), Some(SqlError::Closed(_))));
    }

    #[tokio::test]
    async fn a_port_that_closes_at_once_may_open() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = tokio::spawn(async move { drop(listener.accept().await) });
        assert!(matches!(connect_to(address, &login(), None).await.err(), Some(SqlError::Closed(_))));
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_port_does_not_hang() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = connect_to(listener.local_addr().unwrap(), &login(), None).await.err();
        assert_eq!(error, Some(SqlError::Timeout(CONNECT_TIMEOUT)));
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(format!("{:?}", login()), r#"Login { user: "u", password: *** }"#);
    }
}
