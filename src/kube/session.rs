//! A command in a container that is talked to while it runs.

use std::pin::Pin;
use std::time::Duration;

use futures::channel::mpsc::Sender;
use futures::{SinkExt, future};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess, TerminalSize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::error::{Failure, Kind, Result};

use super::client::Streams;
use super::errors::explain;
use super::exec::{BUFFER, Place, broken, exit_code};

/// No line before the talk is longer.
const LONGEST: u64 = 4096;
/// A command that has not said its next word by then hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A command that runs until it ends by itself or this is dropped, which closes its input.
pub struct Session {
    process: AttachedProcess,
    what: String,
    input: Box<dyn AsyncWrite + Send + Unpin>,
    output: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    errors: Box<dyn AsyncRead + Send + Unpin>,
    sizes: Option<Sender<TerminalSize>>,
    status: Pin<Box<dyn Future<Output = Option<Status>> + Send>>,
}

impl Session {
    /// Starts a command, with a terminal of its own or without. What it is to be told in secret is sent, never part of
    /// `argv`.
    ///
    /// # Errors
    /// [`Kind::Preflight`] if the API server does not start it; [`Kind::Unreachable`].
    pub async fn start(streams: &Streams, place: Place<'_>, argv: &[&str], terminal: bool) -> Result<Self> {
        let what = format!("run `{}` in pod/{}", argv.first().unwrap_or(&""), place.pod);
        let pods: Api<Pod> = Api::namespaced(streams.0.clone(), place.namespace.as_str());
        // A terminal has one stream for both.
        let params = AttachParams::default()
            .container(place.container)
            .stdin(true)
            .stderr(!terminal)
            .tty(terminal)
            .max_stdin_buf_size(BUFFER)
            .max_stdout_buf_size(BUFFER)
            .max_stderr_buf_size(BUFFER);
        let params = if terminal { AttachParams { max_stderr_buf_size: None, ..params } } else { params };
        let started = pods.exec(place.pod, argv.iter().copied(), &params).await;
        let mut process = started.map_err(|error| explain(Kind::Preflight, what.as_str(), error))?;
        let sizes = process.terminal_size();
        let no_errors = || Box::new(tokio::io::empty()) as Box<dyn AsyncRead + Send + Unpin>;
        let errors = process.stderr().map_or_else(no_errors, |errors| Box::new(errors) as _);
        let (Some(input), Some(output), Some(status)) = (process.stdin(), process.stdout(), process.take_status())
        else {
            return Err(Failure::message(Kind::Bug, "a command that was attached has no streams"));
        };
        let output = BufReader::new(Box::new(output) as Box<dyn AsyncRead + Send + Unpin>);
        Ok(Self { process, what, input: Box::new(input), output, errors, sizes, status: Box::pin(status) })
    }

    /// The next line that it prints, without its end. Empty when it prints no more.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if nothing comes in time.
    pub async fn line(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.output).take(LONGEST);
        match timeout(LIMIT, limited.read_until(b'\n', &mut bytes)).await {
            Ok(Ok(_)) => Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            Ok(Err(error)) => Err(Failure::new(Kind::Unreachable, error).context(format!("cannot {}", self.what))),
            Err(_) => {
                Err(Failure::message(Kind::Unreachable, format!("cannot {}: no word within {LIMIT:?}", self.what)))
            }
        }
    }

    /// What it has printed as errors when it has ended.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if it does not end in time.
    pub async fn last_words(mut self) -> Result<String> {
        let mut bytes = Vec::new();
        let reading = future::join(self.errors.read_to_end(&mut bytes), &mut self.status);
        let Ok((read, status)) = timeout(LIMIT, reading).await else {
            return Err(Failure::message(Kind::Unreachable, format!("cannot {}: it does not end", self.what)));
        };
        read.map_err(|error| Failure::new(Kind::Unreachable, error).context(format!("cannot {}", self.what)))?;
        let status = status.map(|status| status.message.unwrap_or_default()).unwrap_or_default();
        let said = String::from_utf8_lossy(&bytes).trim().to_owned();
        Ok(if said.is_empty() { status } else { said })
    }

    /// Sends a line.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if it takes no more.
    pub async fn send(&mut self, line: &str) -> Result<()> {
        let sent = self.input.write_all(format!("{line}\n").as_bytes()).await;
        sent.map_err(|error| Failure::new(Kind::Unreachable, error).context(format!("cannot {}", self.what)))
    }

    /// Brings together what is typed and what it prints, until it ends; answers with its exit code, 128 + n after signal
    /// n. Sizes are columns and rows. `None` when `out` says that nobody reads any more.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if the connection ends before the command; what `out` and `err` say.
    pub async fn carry(
        self,
        mut typed: Receiver<Vec<u8>>,
        mut sizes: Receiver<(u16, u16)>,
        out: impl FnMut(&[u8]) -> Result<bool>,
        err: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<Option<i32>> {
        let Self { process, what, mut input, output, errors, sizes: resize, status } = self;
        let feeding = async {
            while let Some(bytes) = typed.recv().await {
                if input.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            // A command that has ended takes no more, and its exit code says why.
            let _ = input.shutdown().await;
            future::pending::<()>().await;
        };
        let sizing = async {
            if let Some(mut resize) = resize {
                while let Some((width, height)) = sizes.recv().await {
                    if resize.send(TerminalSize { width, height }).await.is_err() {
                        break;
                    }
                }
            }
            future::pending::<()>().await;
        };
        let ended = async { Ok(status.await) };
        let ending = future::try_join3(pass(output, out), pass(errors, err), ended);
        let ended = tokio::select! {
            biased;
            ended = ending => ended,
            () = feeding => return Ok(None),
            () = sizing => return Ok(None),
        };
        let status = match ended {
            Ok(((), (), status)) => status,
            Err(Cut::Unread) => return Ok(None),
            Err(Cut::Failed(failure)) => return Err(failure),
        };
        let Some(status) = status else { return Err(broken(process, &what).await) };
        exit_code(&status).map(Some).map_err(|why| Failure::message(Kind::Step, format!("cannot {what}: {why}")))
    }
}

/// Why a talk ends before the command does.
enum Cut {
    Unread,
    Failed(Failure),
}

/// Hands over what comes, until its end.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl FnMut(&[u8]) -> Result<bool>) -> Result<(), Cut> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer).await {
            // The status tells of a connection that broke.
            Ok(0) | Err(_) => return Ok(()),
            Ok(read) => {
                if !to(&buffer[..read]).map_err(Cut::Failed)? {
                    return Err(Cut::Unread);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_is_handed_over_until_nobody_reads() {
        let mut got = Vec::new();
        let all = pass(&b"abc"[..], |bytes| {
            got.extend_from_slice(bytes);
            Ok(true)
        });
        assert!(all.await.is_ok());
        assert_eq!(got, b"abc");
        // More would come, and is not waited for.
        let endless = tokio::io::repeat(b'x');
        assert!(matches!(pass(endless, |_| Ok(false)).await, Err(Cut::Unread)));
    }
}
