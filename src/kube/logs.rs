//! What a container prints.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{AsyncBufReadExt, TryStreamExt};
use jiff::{Timestamp, Unit};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Kind, Result};
use crate::names::Namespace;

use super::client::Streams;
use super::errors::{explain, is_not_found};

/// Between the end of one stream and the next try.
const PAUSE: Duration = Duration::from_millis(500);
/// Lines that may wait for a slow reader before the stream is held back.
const BACKLOG: usize = 1024;

/// One line that a container printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the node received it; `None` if it carries no readable time.
    pub at: Option<Timestamp>,
    /// The line without its end.
    pub text: String,
}

/// What comes next of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A line.
    Line(Line),
    /// The container has ended and everything that it has printed was read, or nothing can be read at the moment.
    End,
}

/// The lines of a container from its start on, over restarts, until dropped. Waits for a container or pod that does
/// not exist yet.
pub struct Follow {
    entries: mpsc::Receiver<Entry>,
    last_error: Arc<Mutex<Option<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl Follow {
    /// Starts to read.
    #[must_use]
    pub fn start(streams: &Streams, namespace: &Namespace, pod: &str, container: &str) -> Self {
        Self::after(streams, namespace, pod, container, None)
    }

    /// As [`Follow::start`], from the first line after this time on.
    #[must_use]
    pub fn after(
        streams: &Streams,
        namespace: &Namespace,
        pod: &str,
        container: &str,
        seen: Option<Timestamp>,
    ) -> Self {
        let (sender, entries) = mpsc::channel(BACKLOG);
        let last_error = Arc::default();
        let reader = Reader {
            pods: Api::namespaced(streams.0.clone(), namespace.as_str()),
            pod: pod.to_owned(),
            container: container.to_owned(),
            seen,
            sender,
            last_error: Arc::clone(&last_error),
        };
        Self { entries, last_error, _task: AbortOnDropHandle::new(tokio::spawn(reader.run())) }
    }

    /// The next line, as soon as there is one. May be cancelled without losing a line.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            if let Entry::Line(line) = self.entry().await? {
                return Some(line);
            }
        }
    }

    /// The next line, or the end of what the container has printed. May be cancelled without losing one.
    pub async fn entry(&mut self) -> Option<Entry> {
        self.entries.recv().await
    }

    /// Why the latest try to read failed; `None` if it did not. The next try is under way.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Reader {
    pods: Api<Pod>,
    pod: String,
    container: String,
    /// Time of the latest line.
    seen: Option<Timestamp>,
    sender: mpsc::Sender<Entry>,
    last_error: Arc<Mutex<Option<String>>>,
}

impl Reader {
    async fn run(mut self) {
        while !self.sender.is_closed() {
            let error = self.read().await.err().map(|error| error.to_string());
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
            // Nobody is there to hear it only when nobody needs it.
            drop(self.sender.send(Entry::End).await);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads until the stream ends, as it does when the container ends.
    async fn read(&mut self) -> anyhow::Result<()> {
        let params = LogParams {
            container: Some(self.container.clone()),
            follow: true,
            timestamps: true,
            // The API takes whole seconds; what comes again is dropped below.
            since_time: self.seen.map(floor),
            ..LogParams::default()
        };
        let mut lines = self.pods.log_stream(&self.pod, &params).await?.lines();
        while let Some(line) = lines.try_next().await? {
            let line = parse(&line);
            if self.seen.is_some() && line.at.is_some() && line.at <= self.seen {
                continue;
            }
            self.seen = line.at.or(self.seen);
            if self.sender.send(Entry::Line(line)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn floor(time: Timestamp) -> Timestamp {
    let floored = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
    // Only times at the end of what can be written fail to round; those need none.
    time.round(floored).unwrap_or(time)
}

fn parse(line: &str) -> Line {
    let parsed = line.split_once(' ').and_then(|(time, text)| Some((time.parse().ok()?, text)));
    match parsed {
        Some((at, text)) => Line { at: Some(at), text: text.to_owned() },
        None => Line { at: None, text: line.to_owned() },
    }
}

/// What a container has printed so far, since a time if one is given, or with `previous` the container before the latest
/// restart. `None` if there is no such container (yet).
///
/// # Errors
/// [`Kind::Preflight`] if the API server refuses; [`Kind::Unreachable`].
pub async fn history(
    streams: &Streams,
    namespace: &Namespace,
    pod: &str,
    container: &str,
    since: Option<Timestamp>,
    previous: bool,
) -> Result<Option<Vec<Line>>> {
    let pods: Api<Pod> = Api::namespaced(streams.0.clone(), namespace.as_str());
    let params = LogParams {
        container: Some(container.to_owned()),
        timestamps: true,
        since_time: since.map(floor),
        previous,
        ..LogParams::default()
    };
    match pods.logs(pod, &params).await {
        Ok(text) => {
            let lines = text.lines().map(parse);
            Ok(Some(lines.filter(|line| line.at.is_none() || line.at >= since).collect()))
        }
        Err(error) if is_not_found(&error) || is_not_there_yet(&error) => Ok(None),
        Err(error) => Err(explain(Kind::Preflight, format!("read the log of pod/{pod}"), error)),
    }
}

/// The last lines of a container, or with `previous` of the container before the latest restart. Empty if there is
/// no such container (yet).
///
/// # Errors
/// [`Kind::Step`] if the API server refuses; [`Kind::Unreachable`].
pub async fn tail(
    streams: &Streams,
    namespace: &Namespace,
    pod: &str,
    container: &str,
    lines: u32,
    previous: bool,
) -> Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(streams.0.clone(), namespace.as_str());
    let params = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(lines.into()),
        previous,
        ..LogParams::default()
    };
    match pods.logs(pod, &params).await {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if is_not_found(&error) || is_not_there_yet(&error) => Ok(Vec::new()),
        Err(error) => Err(explain(Kind::Step, format!("read the log of pod/{pod}"), error)),
    }
}

/// The API server answers 400 for a container that waits to start, and for a previous one that never was.
fn is_not_there_yet(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 400
        && (status.message.contains("waiting to start") || status.message.contains("not found")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_split_off() {
        let line = parse("2026-11-22T10:00:00.123456789Z  two spaces");
        assert_eq!(line.text, " two spaces");
        assert_eq!(floor(line.at.unwrap()).to_string(), "2026-11-22T10:00:00Z");
        assert_eq!(parse("no time here"), Line { at: None, text: "no time here".into() });
        assert_eq!(parse(""), Line { at: None, text: String::new() });
    }
}
