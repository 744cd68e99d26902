//! A GET request to a port of a pod.

use std::time::Duration;

use http::Request;
use http::header::{CONNECTION, HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Failure, Kind, OrFail, Result};
use crate::names::Namespace;

use super::client::Streams;
use super::tunnel;

/// No page of interest is longer.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Status code and body of `GET path` at a pod's port, through the API server.
///
/// # Errors
/// [`Kind::Unreachable`] if there is no whole answer within the timeout.
pub async fn get(
    streams: &Streams,
    namespace: &Namespace,
    pod: &str,
    port: u16,
    path: &str,
    timeout: Duration,
) -> Result<(u16, String)> {
    let ask = async {
        let stream = tunnel::stream(streams, namespace, pod, port).await?;
        exchange(stream, pod, path).await
    };
    let what = format!("no answer from http://{pod}:{port}{path}");
    match tokio::time::timeout(timeout, ask).await {
        Ok(answer) => answer.map_err(|failure| failure.context(what)),
        Err(_) => Err(Failure::message(Kind::Unreachable, format!("{what} within {timeout:?}"))),
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
    path: &str,
) -> Result<(u16, String)> {
    let request = Request::get(path).header(HOST, host).header(CONNECTION, "close").body(Empty::<Bytes>::new());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request.or_fail(Kind::Bug)?).await.map_err(|error| broken(&error))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| Failure::message(Kind::Unreachable, format!("the answer breaks off: {error}")))?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

fn broken(error: &hyper::Error) -> Failure {
    let why = if error.is_parse() { "this is not HTTP" } else { "the port is closed" };
    Failure::message(Kind::Unreachable, why)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn answer(bytes: &[u8]) -> Result<(u16, String)> {
        let (near, mut far) = tokio::io::duplex(1024);
        let asked = tokio::spawn(async move { exchange(near, "pod", "/x").await });
        let mut request = [0; 6];
        far.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"GET /x");
        far.write_all(bytes).await.unwrap();
        drop(far);
        asked.await.unwrap()
    }

    #[tokio::test]
    async fn answers_are_taken_apart() {
        let (status, body) = answer(b"HTTP/1.1 200 OK\r\na: b\r\n\r\nup\n\r\n\r\nx").await.unwrap();
        assert_eq!((status, body.as_str()), (200, "up\n\r\n\r\nx"));
        assert_eq!(answer(b"HTTP/1.0 503 Service Unavailable\r\n\r\n").await.unwrap().0, 503);
    }

    #[tokio::test]
    async fn what_is_no_answer_says_so() {
        assert_eq!(answer(b"").await.unwrap_err().to_string(), "the port is closed");
        let greeting = answer(b"\x4a\0\0\0MariaDB").await.unwrap_err();
        assert_eq!((greeting.kind, greeting.to_string().as_str()), (Kind::Unreachable, "this is not HTTP"));
        let torn = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nup").await.unwrap_err();
        assert!(torn.to_string().starts_with("the answer breaks off"), "{torn}");
    }
}
