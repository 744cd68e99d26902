//! Until when the certificates hold: those that servers show, which may be older than their Secrets, and that of the authority.

use futures::future::join_all;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::checks::certificates::Ends;
use crate::desired::{Access, Desired};
use crate::kube::client::Connection;
use crate::names::Member;

use super::proof;

/// Asks these nodes; nothing without TLS.
pub async fn look(connection: &Connection, desired: &Desired, access: &Access, nodes: Vec<Member>) -> Ends {
    let Some(authority) = &access.authority else { return Ends::new() };
    let asked = join_all(nodes.into_iter().map(async |node| {
        let end = shown_by(connection, desired, access, node).await;
        (node.to_string(), end)
    }));
    let mut ends: Ends = asked.await.into_iter().collect();
    ends.insert("the authority".to_owned(), of_pem(&authority.0));
    ends
}

async fn shown_by(
    connection: &Connection,
    desired: &Desired,
    access: &Access,
    node: Member,
) -> Result<Timestamp, String> {
    let mut door = proof::open(connection, desired, access, &desired.cluster.pod(node)).await?;
    let rows = door.conn.query("SHOW STATUS LIKE 'Ssl_server_not_after'").await.map_err(|error| error.to_string())?;
    let text = rows.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten());
    of_openssl(&text.ok_or("it shows none")?)
}

/// As OpenSSL writes a time: `Nov  8 12:00:00 2027 GMT`.
fn of_openssl(text: &str) -> Result<Timestamp, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let time = DateTime::strptime("%b %d %H:%M:%S %Y GMT", words.join(" "));
    let time = time.and_then(|time| time.to_zoned(TimeZone::UTC));
    time.map(|time| time.timestamp()).map_err(|error| format!("`{}` is no time: {error}", text.escape_debug()))
}

/// The end of a certificate in PEM.
///
/// # Errors
/// It is none.
pub(super) fn of_pem(certificate: &str) -> Result<Timestamp, String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).map_err(|error| error.to_string())?;
    let end = pem.parse_x509().map_err(|error| error.to_string())?.validity().not_after.timestamp();
    Timestamp::from_second(end).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::cluster::authority::Signer;

    #[test]
    fn ends_are_read_as_servers_and_certificates_say_them() {
        for (text, expected) in
            [("Nov 28 12:00:00 2027 GMT", "2027-11-28T12:00:00Z"), ("Jan  8 01:02:03 2028 GMT", "2028-01-08T01:02:03Z")]
        {
            assert_eq!(of_openssl(text), Ok(expected.parse().unwrap()));
        }
        for bad in ["", "Nov 31 12:00:00 2027 GMT", "2027-11-28", "Nov 28 12:00:00 2027 CET", "\u{1b}[2J"] {
            let why = of_openssl(bad).unwrap_err();
            assert!(why.contains("is no time") && !why.contains('\u{1b}'), "{why}");
        }
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let signer = Signer::new("data/c", now).unwrap();
        let leaf = signer.sign(&["c-galera-node1".to_owned()], now).unwrap();
        assert_eq!(of_pem(&leaf.certificate), Ok(now + (365 * 24).hours()));
        assert_eq!(of_pem(&signer.pair().certificate), Ok(now + (3650 * 24).hours()));
        assert!(of_pem("x").is_err() && of_pem(&leaf.key).is_err());
    }
}
