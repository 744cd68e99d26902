//! Whether the API server is reached through a proxy, as kubectl decides it: the kubeconfig names one, or the environment
//! does and `NO_PROXY` does not exempt the server.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::error::{Failure, Kind, OrFail, Result};

/// The proxy for `server`. `named` is what the kubeconfig has as `proxy-url`, and needs no other's permission.
///
/// # Errors
/// [`Kind::Usage`] if what is named is no URL of a proxy.
pub(super) fn proxy(server: &Uri, named: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Result<Option<Uri>> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return url(named, "`proxy-url` in the kubeconfig").map(Some);
    }
    let value = |name: &str| {
        let found = [name.to_owned(), name.to_lowercase()].into_iter().find_map(|name| Some((env(&name)?, name)));
        found.filter(|(text, _)| !text.is_empty())
    };
    let scheme = if server.scheme_str() == Some("http") { "HTTP_PROXY" } else { "HTTPS_PROXY" };
    let Some((text, name)) = value(scheme) else { return Ok(None) };
    let exempt = value("NO_PROXY").map(|(text, _)| text).unwrap_or_default();
    if is_here(server) || Matcher::builder().all("http://proxy").no(exempt).build().intercept(server).is_none() {
        return Ok(None);
    }
    url(&text, &format!("the environment's {name}")).map(Some)
}

/// This machine is never reached through another.
fn is_here(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn url(text: &str, place: &str) -> Result<Uri> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url: Uri = whole.parse().or_fail(Kind::Usage).map_err(|failure: Failure| {
        failure.context(format!("{place} is no URL of a proxy")).hint("write it as http://HOST:PORT")
    })?;
    match url.scheme_str() {
        Some("http" | "https" | "socks5") if url.host().is_some_and(|host| !host.is_empty()) => Ok(url),
        _ => Err(Failure::message(Kind::Usage, format!("{place} is no URL of a proxy that can be used"))
            .hint("write it as http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(server: &str, named: Option<&str>, env: &[(&str, &str)]) -> Result<Option<String>> {
        let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        proxy(&server.parse().unwrap(), named, env).map(|found| found.map(|url| url.to_string()))
    }

    #[test]
    fn the_environment_names_a_proxy_for_servers_elsewhere() {
        let http = ("HTTPS_PROXY", "http://proxy:3128");
        for (server, no, through) in [
            ("https://k8s.example.com:6443", "", true),
            ("https://k8s.example.com:6443", "example.org,10.0.0.0/8", true),
            ("https://k8s.example.com:6443", "k8s.example.com", false),
            ("https://k8s.example.com:6443", ".example.com", false),
            ("https://k8s.example.com:6443", "localhost, example.com", false),
            ("https://k8s.notexample.com:6443", "example.com", true),
            ("https://10.1.2.3:6443", "10.0.0.0/8", false),
            ("https://11.1.2.3:6443", "10.0.0.0/8", true),
            ("https://10.1.2.3:6443", "10.1.2.3", false),
            ("https://k8s.example.com:6443", "*", false),
            ("https://127.0.0.1:6443", "", false),
            ("https://localhost:6443", "", false),
            ("https://[::1]:6443", "", false),
        ] {
            let found = of(server, None, &[http, ("NO_PROXY", no)]).unwrap();
            assert_eq!(found.is_some(), through, "{server}, NO_PROXY={no}");
            assert_eq!(
                of(server, None, &[("https_proxy", "proxy:3128"), ("no_proxy", no)]).unwrap(),
                found,
                "{server}"
            );
        }
        assert_eq!(of("https://a", None, &[]).unwrap(), None);
        assert_eq!(of("https://a", None, &[("HTTPS_PROXY", "")]).unwrap(), None);
        assert_eq!(of("http://a", None, &[http]).unwrap(), None);
    }

    #[test]
    fn the_kubeconfig_needs_no_permission() {
        let env = [("NO_PROXY", "*"), ("HTTPS_PROXY", "http://other:1")];
        let found = of("https://127.0.0.1:1", Some("socks5://proxy:1080"), &env).unwrap();
        assert_eq!(found.as_deref(), Some("socks5://proxy:1080/"));
    }

    #[test]
    fn what_is_no_proxy_is_named() {
        for bad in ["http://", "ftp://proxy:1", "http://a b", "://"] {
            let failure = of("https://a", None, &[("HTTPS_PROXY", bad)]).unwrap_err();
            assert_eq!(failure.kind, Kind::Usage, "{bad}");
            assert!(failure.to_string().contains("HTTPS_PROXY") && !failure.hints.is_empty(), "{bad}: {failure}");
        }
    }
}
