//! What the databases hold that Galera treats in another way than a single server would.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::checks::content::{Content, Event, Odd};
use crate::desired::{Desired, Hidden};
use crate::kube::client::Connection;
use crate::manifests::config::ROOT_PASSWORD;
use crate::names::Member;
use crate::sql::{Conn, Login, SqlError, Ways};

/// The server gives up after 5 s: a catalog of very many tables is not worth more load.
const LIMIT: Duration = Duration::from_secs(8);
const BOUNDED: &str = "SET STATEMENT max_statement_time = 5 FOR ";
/// Schemas that the server brings itself.
const OWN: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// Asks these nodes as root, at the same time.
pub async fn look(
    connection: &Connection,
    desired: &Desired,
    secrets: &BTreeMap<String, String>,
    nodes: impl IntoIterator<Item = Member>,
) -> BTreeMap<Member, Result<Content, String>> {
    let Some(password) = secrets.get(ROOT_PASSWORD) else { return BTreeMap::new() };
    let login = Login { user: "root".to_owned(), password: Hidden::new(password) };
    let asked = nodes.into_iter().map(async |node| {
        let pod = desired.cluster.pod(node);
        let answer = match Ways::open(&connection.streams, &desired.namespace, &pod).await {
            Ok(ways) => ask(&ways, &login).await.map_err(|error| error.to_string()),
            Err(failure) => Err(failure.to_string()),
        };
        (node, answer)
    });
    join_all(asked).await.into_iter().collect()
}

async fn ask(ways: &Ways, login: &Login) -> Result<Content, SqlError> {
    let mut conn = ways.connect(login).await?.with_timeout(LIMIT);
    let engines = format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), ENGINE FROM information_schema.TABLES \
         WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' AND TABLE_SCHEMA NOT IN {OWN}"
    );
    let keyless = format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), 'InnoDB' FROM information_schema.TABLES \
         WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE = 'InnoDB' AND TABLE_SCHEMA NOT IN {OWN} \
         AND (TABLE_SCHEMA, TABLE_NAME) NOT IN (SELECT TABLE_SCHEMA, TABLE_NAME \
         FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY')"
    );
    let events = "SELECT CONCAT(EVENT_SCHEMA, '.', EVENT_NAME), STATUS FROM information_schema.EVENTS ORDER BY 1";
    let odd = |(name, engine)| Odd { name, engine };
    Ok(Content {
        not_replicated: pairs(&mut conn, &engines).await?.into_iter().map(odd).collect(),
        without_key: pairs(&mut conn, &keyless).await?.into_iter().map(|(name, _)| name).collect(),
        events: pairs(&mut conn, events)
            .await?
            .into_iter()
            .map(|(name, status)| Event { name, status: status.as_str().into() })
            .collect(),
    })
}

async fn pairs(conn: &mut Conn, query: &str) -> Result<Vec<(String, String)>, SqlError> {
    let rows = conn.query(&format!("{BOUNDED}{query}")).await?;
    let pair = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().map(Option::unwrap_or_default);
        Some((row.next()?, row.next()?))
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}
