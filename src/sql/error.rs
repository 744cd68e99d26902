//! What a node answers when it does not answer the question.

use std::time::Duration;

use crate::error::{Failure, Kind};

/// Why there is no answer, sorted by what it means for a wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// Nothing listens, or the connection broke: the server starts, takes a state transfer, or ended.
    #[error("the port is closed: {0}")]
    Closed(String),
    /// The server answers but is not part of a cluster that may serve (1047), or is just starting or ending.
    #[error("the server is not ready: {0}")]
    NotReady(String),
    /// All connections are taken.
    #[error("the server has no connection left: {0}")]
    Full(String),
    /// User, password or host are not accepted: no waiting helps.
    #[error("access denied: {0}")]
    Denied(String),
    /// The server does not prove to be the one that is meant: no waiting helps.
    #[error("the server cannot be verified: {0}")]
    Untrusted(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The server refused the statement.
    #[error("error {code}: {message}")]
    Server {
        /// The server's error number.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The connection is open, but what comes is not understood.
    #[error("unexpected answer: {0}")]
    Protocol(String),
}

impl SqlError {
    /// Whether waiting may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::NotReady(_) | Self::Full(_) | Self::Timeout(_))
    }

    /// A failure of a verb that could not ask `pod`.
    #[must_use]
    pub fn into_failure(self, pod: &str) -> Failure {
        let (denied, untrusted) = (matches!(self, Self::Denied(_)), matches!(self, Self::Untrusted(_)));
        let failure = Failure::new(Kind::Unreachable, self).context(format!("cannot ask {pod} by SQL"));
        if denied {
            return failure.hint("the password in the Secret is not the one in the database; was it changed by hand?");
        }
        if untrusted {
            return failure.hint("somebody else answers in its place, or its certificate has expired or was changed");
        }
        failure
    }
}

/// Why TLS did not come about, where that is the server's fault and not the line's.
fn distrust(error: &mysql_async::Error) -> Option<String> {
    let why = |error: &rustls::Error| match error {
        rustls::Error::InvalidCertificate(why) => Some(format!("its certificate is not good: {why}")),
        _ => None,
    };
    match error {
        mysql_async::Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => {
            Some("it offers no TLS".to_owned())
        }
        mysql_async::Error::Io(mysql_async::IoError::Io(error)) => why(error.get_ref()?.downcast_ref()?),
        mysql_async::Error::Io(mysql_async::IoError::Tls(mysql_async::TlsError::Tls(error))) => why(error),
        _ => None,
    }
}

impl From<mysql_async::ServerError> for SqlError {
    fn from(error: mysql_async::ServerError) -> Self {
        let message = format!("{} ({})", error.message, error.code);
        match error.code {
            // Wrong password or user, right user without a password, a host that may not log in, an unknown plugin.
            1045 | 1698 | 1130 | 1251 | 1524 => Self::Denied(message),
            // Of the server, of the account, of the account within the hour.
            1040 | 1203 | 1226 => Self::Full(message),
            // WSREP not ready, shutdown in progress, connection killed by a shutdown.
            1047 | 1053 | 1927 => Self::NotReady(message),
            code => Self::Server { code, message: error.message },
        }
    }
}

impl From<mysql_async::Error> for SqlError {
    fn from(error: mysql_async::Error) -> Self {
        if let Some(why) = distrust(&error) {
            return Self::Untrusted(why);
        }
        match error {
            mysql_async::Error::Server(error) => error.into(),
            mysql_async::Error::Io(error) => Self::Closed(error.to_string()),
            mysql_async::Error::Driver(mysql_async::DriverError::ConnectionClosed) => {
                Self::Closed("the connection ended".to_owned())
            }
            other => Self::Protocol(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> SqlError {
        let message = "words".to_owned();
        mysql_async::Error::Server(mysql_async::ServerError { code, message, state: "HY000".into() }).into()
    }

    #[test]
    fn errors_are_sorted_by_what_they_mean() {
        assert_eq!(server(1045), SqlError::Denied("words (1045)".into()));
        assert!(!server(1045).may_pass());
        assert!(server(1047).may_pass());
        assert_eq!(server(1146), SqlError::Server { code: 1146, message: "words".into() });
        let closed = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        assert!(SqlError::from(mysql_async::Error::from(closed)).may_pass());
    }

    #[test]
    fn a_denied_login_tells_where_to_look() {
        let failure = server(1045).into_failure("pod/a");
        assert_eq!(failure.to_string(), "cannot ask pod/a by SQL: access denied: words (1045)");
        assert_eq!((failure.kind, failure.hints.len()), (Kind::Unreachable, 1));
    }
}
