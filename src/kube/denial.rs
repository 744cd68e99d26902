//! Refusals that the API server words in free text: quotas, admission policies, namespaces that are going away.

/// Why the API server refused an object although the request was well-formed and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The user's roles do not allow it.
    Rights,
    /// A `ResourceQuota` of the namespace is used up.
    Quota,
    /// A `LimitRange` of the namespace does not allow the requested amounts.
    Limits,
    /// The namespace enforces a Pod Security Standard that the pod does not meet.
    PodSecurity,
    /// An admission webhook or admission policy said no.
    Policy,
    /// The namespace is being deleted.
    Terminating,
}

impl Denial {
    /// Recognises a refusal by the API server's own words, as found in a `Status` or in a `FailedCreate` event.
    #[must_use]
    pub fn recognise(message: &str) -> Option<Self> {
        let has = |part: &str| message.contains(part);
        if has("exceeded quota") || has("failed quota") {
            Some(Self::Quota)
        } else if has("violates PodSecurity") {
            Some(Self::PodSecurity)
        } else if has("because it is being terminated") {
            Some(Self::Terminating)
        } else if has("admission webhook") || has("ValidatingAdmissionPolicy") {
            Some(Self::Policy)
        } else if has("usage per Container") || has("usage per Pod") || has("storage usage per PersistentVolumeClaim") {
            Some(Self::Limits)
        } else if has("is forbidden: User ") || has("cannot set blockOwnerDeletion") {
            Some(Self::Rights)
        } else {
            None
        }
    }

    /// What to look at or type next.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Rights => "ask for a Role with this right in the namespace, or use another --context",
            Self::Quota => {
                "see what is used with `kubectl describe resourcequota`, or ask for less (resources, volume size, nodes)"
            }
            Self::Limits => "see the allowed range with `kubectl describe limitrange`, and set resources within it",
            Self::PodSecurity => {
                "the namespace's `pod-security.kubernetes.io/enforce` label is stricter than this pod; the message names each field"
            }
            Self::Policy => "the message is the policy's own; its owner can tell what it wants",
            Self::Terminating => "wait until the namespace is gone and run again, or use another one",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_api_server_are_recognised() {
        let cases = [
            (
                r#"pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"#,
                Denial::Quota,
            ),
            (r#"pods "a" is forbidden: failed quota: q: must specify limits.cpu for: mariadb"#, Denial::Quota),
            (
                r#"pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true"#,
                Denial::PodSecurity,
            ),
            (
                r#"deployments.apps is forbidden: User "bob" cannot create resource "deployments" in API group "apps""#,
                Denial::Rights,
            ),
            (
                r#"pods "a" is forbidden: unable to create new content in namespace x because it is being terminated"#,
                Denial::Terminating,
            ),
            (r#"admission webhook "v.example.com" denied the request: no latest tag"#, Denial::Policy),
            (r#"pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"#, Denial::Limits),
        ];
        for (message, denial) in cases {
            assert_eq!(Denial::recognise(message), Some(denial), "{message}");
        }
        assert_eq!(Denial::recognise("the object has been modified"), None);
    }
}
