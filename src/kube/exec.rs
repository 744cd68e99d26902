//! Running a command in a container.

use std::io::ErrorKind;
use std::time::Duration;

use futures::future;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Failure, Kind, Result};
use crate::names::Namespace;

use super::client::Streams;
use super::errors::explain;

/// Bytes under way per stream; the library's default of 1 KiB makes large outputs slow.
pub(super) const BUFFER: usize = 64 * 1024;

/// Where a command runs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Namespace of the pod.
    pub namespace: &'a Namespace,
    /// Name of the pod.
    pub pod: &'a str,
    /// Name of the container.
    pub container: &'a str,
}

/// What a command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; 128 + n after signal n.
    pub exit_code: i32,
}

/// Runs a command and collects what it prints. A secret goes to `stdin`, never into `argv`, which anyone on the node
/// can read; more than a few kilobytes that the command does not read block it until the timeout. After the timeout the command is left to itself: Kubernetes has no way to end it.
///
/// # Errors
/// [`Kind::Step`] if the command cannot be started or does not end within the timeout; [`Kind::Unreachable`].
/// A command that fails is not an error: see [`Output::exit_code`].
pub async fn exec(
    streams: &Streams,
    place: Place<'_>,
    argv: &[&str],
    stdin: Option<&str>,
    timeout: Duration,
) -> Result<Output> {
    let what = format!("run `{}` in pod/{}", argv.first().unwrap_or(&""), place.pod);
    match tokio::time::timeout(timeout, run(streams, place, argv, stdin, &what)).await {
        Ok(output) => output,
        Err(_) => Err(Failure::message(Kind::Step, format!("cannot {what}: it did not end within {timeout:?}"))),
    }
}

async fn run(streams: &Streams, place: Place<'_>, argv: &[&str], stdin: Option<&str>, what: &str) -> Result<Output> {
    let pods: Api<Pod> = Api::namespaced(streams.0.clone(), place.namespace.as_str());
    let params = AttachParams::default()
        .container(place.container)
        .stdin(stdin.is_some())
        .max_stdin_buf_size(BUFFER)
        .max_stdout_buf_size(BUFFER)
        .max_stderr_buf_size(BUFFER);
    let mut process =
        pods.exec(place.pod, argv.iter().copied(), &params).await.map_err(|error| explain(Kind::Step, what, error))?;
    let status = process.take_status();
    let ended = async {
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        status.ok_or(ErrorKind::UnexpectedEof.into())
    };
    let feeding = feed(process.stdin(), stdin);
    let collecting = future::try_join3(collect(process.stdout()), collect(process.stderr()), ended);
    // A command need not read all that it is given, and nothing tells the feeder when it has ended.
    let collected = tokio::select! {
        biased;
        collected = collecting => collected,
        Err(error) = feeding => Err(error),
    };
    let Ok((stdout, stderr, status)) = collected else { return Err(broken(process, what).await) };
    match exit_code(&status) {
        Ok(exit_code) => Ok(Output { stdout, stderr, exit_code }),
        Err(why) => Err(Failure::message(Kind::Step, format!("cannot {what}: {why}"))),
    }
}

/// Why a command ended without telling its exit code.
pub(super) async fn broken(process: AttachedProcess, what: &str) -> Failure {
    match process.join().await {
        Err(error) => Failure::new(Kind::Unreachable, error),
        Ok(()) => Failure::message(Kind::Unreachable, "the connection ended before the command"),
    }
    .context(format!("cannot {what}"))
}

async fn feed(writer: Option<impl AsyncWrite + Unpin>, text: Option<&str>) -> std::io::Result<()> {
    let (Some(mut writer), Some(text)) = (writer, text) else { return Ok(()) };
    writer.write_all(text.as_bytes()).await?;
    writer.shutdown().await
}

async fn collect(reader: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut reader) = reader {
        reader.read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The exit code in a status, or why the command did not run.
pub(super) fn exit_code(status: &Status) -> Result<i32, String> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.as_ref().and_then(|details| details.causes.as_deref()).unwrap_or_default();
    causes
        .iter()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .and_then(|cause| cause.message.as_deref()?.parse().ok())
        .ok_or_else(|| status.message.clone().unwrap_or_else(|| "no reason was given".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(status: serde_json::Value) -> Result<i32, String> {
        exit_code(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn exit_codes_are_found() {
        assert_eq!(code(json!({"status": "Success"})), Ok(0));
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with non-zero exit code",
            "details": {"causes": [{"reason": "ExitCode", "message": "137"}]}});
        assert_eq!(code(failed), Ok(137));
        let missing = json!({"status": "Failure", "reason": "InternalError", "message": "exec: \"x\": not found"});
        assert_eq!(code(missing), Err("exec: \"x\": not found".to_owned()));
    }
}
