//! A GET request to a port of a pod.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Failure, Kind, OrFail, Result};
use crate::names::Namespace;

use super::client::Streams;
use super::tunnel;

/// No page of interest is longer.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

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

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str, path: &str) -> Result<(u16, String)> {
    // HTTP/1.0: the answer is not chunked and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.or_fail(Kind::Unreachable)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await.or_fail(Kind::Unreachable)?;
    let text = String::from_utf8_lossy(&answer);
    parse(&text).ok_or_else(|| match text.lines().next() {
        None => Failure::message(Kind::Unreachable, "the port is closed"),
        Some(line) => Failure::message(Kind::Unreachable, format!("this is not HTTP: {line}")),
    })
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    let status = words.next().filter(|version| version.starts_with("HTTP/")).and(words.next())?;
    Some((status.parse().ok()?, body.to_owned()))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(answer(b"\x4a\0\0\0MariaDB").await.unwrap_err().kind, Kind::Unreachable);
    }
}
