//! The first packet that a server sends, before anybody logs in: proof that a way leads to a server.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::SqlError;

/// A way that takes longer is of no use.
const LIMIT: Duration = Duration::from_secs(3);
/// No greeting is longer.
const LONGEST: usize = 1024;

/// Connects and reads the server's version. No name and no password is sent.
///
/// # Errors
/// [`SqlError::Closed`] if nobody listens; [`SqlError::Timeout`]; [`SqlError::Server`] if the server turns the
/// connection away; [`SqlError::Protocol`] if no MariaDB answers.
pub async fn greeting(host: &str, port: u16) -> Result<String, SqlError> {
    timeout(LIMIT, read(host, port)).await.map_err(|_| SqlError::Timeout(LIMIT))?
}

async fn read(host: &str, port: u16) -> Result<String, SqlError> {
    let closed = |error: std::io::Error| SqlError::Closed(error.to_string());
    let mut stream = TcpStream::connect((host, port)).await.map_err(closed)?;
    let mut head = [0_u8; 4];
    stream.read_exact(&mut head).await.map_err(closed)?;
    let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
    if head[3] != 0 || !(3..=LONGEST).contains(&length) {
        return Err(SqlError::Protocol("this is no greeting of a MariaDB server".to_owned()));
    }
    let mut body = vec![0_u8; length];
    stream.read_exact(&mut body).await.map_err(closed)?;
    understand(&body)
}

fn understand(body: &[u8]) -> Result<String, SqlError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match body {
        [10, rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == 0);
            let version = end.map(|end| text(&rest[..end])).filter(|version| !version.is_empty());
            version.ok_or_else(|| SqlError::Protocol("the greeting names no version".to_owned()))
        }
        [255, low, high, message @ ..] => {
            Err(SqlError::Server { code: u16::from_le_bytes([*low, *high]), message: text(message) })
        }
        _ => Err(SqlError::Protocol("this is no greeting of a MariaDB server".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_version_a_refusal_and_something_else() {
        assert_eq!(understand(b"\x0a11.8.6-MariaDB\0rest").unwrap(), "11.8.6-MariaDB");
        let refusal = understand(b"\xff\x10\x04Too many connections").unwrap_err();
        assert_eq!(refusal, SqlError::Server { code: 1040, message: "Too many connections".to_owned() });
        assert!(matches!(understand(b"SSH-2.0"), Err(SqlError::Protocol(_))));
    }

    #[tokio::test]
    async fn a_closed_port_says_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(matches!(greeting("127.0.0.1", port).await, Err(SqlError::Closed(_))));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = understand(&body);
        }
    }
}
