//! Errors of the API client, turned into sentences with a next step.

use std::error::Error as _;
use std::fmt::Display;
use std::io::ErrorKind;

use kube::client::AuthError;
use kube::core::Status;

use crate::error::{Failure, Kind};

use super::denial::Denial;

/// Explains an error of the API client. `doing` completes "cannot …", such as `create statefulset/shop-galera-node1`.
///
/// The failure is of the given kind if the API server answered, [`Kind::Unreachable`] if it did not or does not know
/// who is asking.
#[must_use]
pub fn explain(kind: Kind, doing: impl Display, error: kube::Error) -> Failure {
    let sentence = format!("cannot {doing}");
    match error {
        kube::Error::Api(status) => refused(kind, &status).context(sentence),
        other => transport(other).context(sentence),
    }
}

/// Whether the API server answered that the object does not exist.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

/// Whether the API server answered that the user may not.
#[must_use]
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

/// Whether the API server answered that somebody else was faster.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists())
}

fn refused(kind: Kind, status: &Status) -> Failure {
    if status.code == 401 {
        return Failure::message(Kind::Unreachable, "the API server does not accept these credentials (401)")
            .hint("log in again (the token or certificate may have expired), or choose another --context");
    }
    let failure = Failure::message(kind, describe(status));
    match Denial::recognise(&status.message) {
        Some(denial) => failure.hint(denial.hint()),
        None if status.is_forbidden() => failure.hint(Denial::Rights.hint()),
        None => failure,
    }
}

/// The API server's message; for an invalid object one `field: reason` per cause instead of the whole object's dump.
fn describe(status: &Status) -> String {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    if !status.is_invalid() || causes.is_empty() {
        return match status.message.trim() {
            "" => format!("the API server answered {} {}", status.code, status.reason),
            message => message.to_owned(),
        };
    }
    let fields: Vec<String> = causes
        .iter()
        .map(|cause| match cause.field.as_str() {
            "" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        })
        .collect();
    format!("the API server rejects {}", fields.join("; "))
}

/// A program that was to log in says why it did not on its standard error; what it gives out is a secret.
fn no_login(error: &AuthError) -> Failure {
    let why = match error {
        AuthError::AuthExecRun { out, .. } => {
            format!("{}, and it said: {}", out.status, String::from_utf8_lossy(&out.stderr).trim())
        }
        AuthError::AuthExecParse(_) => "what it gave out is no ExecCredential".to_owned(),
        other => other.to_string(),
    };
    Failure::message(Kind::Unreachable, why).context("the kubeconfig's credentials could not be used").hint(RELOGIN)
}

const RELOGIN: &str = "run the login command of your provider, or choose another --context";

fn transport(error: kube::Error) -> Failure {
    if let kube::Error::Auth(error) = &error {
        return no_login(error);
    }
    let (what, hint) = match cause(&error) {
        Cause::Refused => ("nothing listens there", "is the cluster running, and is this the right --context?"),
        Cause::Timeout => ("no answer in time", "check the network or VPN, and whether the API server is overloaded"),
        Cause::Name => ("its name does not resolve", "check the server address in the kubeconfig, the VPN and DNS"),
        Cause::Tls => (
            "its certificate is not trusted or ours is not",
            "the kubeconfig's certificate-authority-data must belong to this server; fetch a fresh kubeconfig",
        ),
        Cause::Other => ("the connection failed", "check that `kubectl version` works with the same options"),
    };
    Failure::new(Kind::Unreachable, error).context(format!("cannot reach the API server: {what}")).hint(hint)
}

enum Cause {
    Refused,
    Timeout,
    Name,
    Tls,
    Other,
}

fn cause(error: &kube::Error) -> Cause {
    let mut next = error.source();
    let mut text = error.to_string();
    while let Some(source) = next {
        match source.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => return Cause::Refused,
            Some(ErrorKind::TimedOut) => return Cause::Timeout,
            _ => text = format!("{text}: {source}"),
        }
        next = source.source();
    }
    let text = text.to_lowercase();
    if text.contains("certificate") || text.contains("tls") {
        Cause::Tls
    } else if text.contains("dns error") || text.contains("lookup address") {
        Cause::Name
    } else if text.contains("timed out") || text.contains("deadline has elapsed") {
        Cause::Timeout
    } else if text.contains("connection refused") {
        Cause::Refused
    } else {
        Cause::Other
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn api(status: serde_json::Value) -> kube::Error {
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn invalid_objects_name_their_fields_only() {
        let error = api(
            json!({"code": 422, "reason": "Invalid", "message": "StatefulSet \"x\" is invalid: [long]", "details": {
            "causes": [
                {"reason": "FieldValueInvalid", "message": "Invalid value: 0: must be greater than 0", "field": "spec.ports[0].port"},
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"}]}}),
        );
        let failure = explain(Kind::Step, "create service/x", error);
        assert_eq!(
            failure.to_string(),
            "cannot create service/x: the API server rejects spec.ports[0].port: Invalid value: 0: must be greater \
             than 0; spec.selector: Required value"
        );
        assert_eq!(failure.kind, Kind::Step);
    }

    #[test]
    fn refusals_keep_the_kind_and_expired_credentials_do_not() {
        let quota =
            api(json!({"code": 403, "reason": "Forbidden", "message": "pods \"a\" is forbidden: exceeded quota: q"}));
        let failure = explain(Kind::Preflight, "create pod/a", quota);
        assert_eq!((failure.kind, failure.hints), (Kind::Preflight, vec![Denial::Quota.hint().to_owned()]));

        let expired = explain(
            Kind::Step,
            "read pod/a",
            api(json!({"code": 401, "reason": "Unauthorized", "message": "Unauthorized"})),
        );
        assert_eq!(expired.kind, Kind::Unreachable);
    }

    #[test]
    fn a_closed_port_is_unreachable() {
        let refused = std::io::Error::from(ErrorKind::ConnectionRefused);
        let failure = explain(Kind::Step, "list pods", kube::Error::Service(Box::new(refused)));
        assert_eq!(failure.kind, Kind::Unreachable);
        assert!(
            failure.to_string().starts_with("cannot list pods: cannot reach the API server: nothing listens there")
        );
    }
}
