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
use super::x509::Certificate;

/// Asks these nodes; nothing without TLS.
pub async fn look(connection: &Connection, desired: &Desired, access: &Access, nodes: Vec<Member>) -> Ends {
    let Some(authority) = &access.authority else { return Ends::new() };
    let asked = join_all(nodes.into_iter().map(async |node| {
        let end = shown_by(connection, desired, access, node).await;
        (node.to_string(), end)
    }));
    let mut ends: Ends = asked.await.into_iter().collect();
    ends.insert("the authority".to_owned(), Certificate::first_of(&authority.0).map(|first| first.not_after));
    ends
}

/// Until when the certificate holds that a server shows to its clients.
pub(super) async fn shown_by(
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

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
