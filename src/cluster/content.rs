//! What the databases hold that Galera treats in another way than a single server would.

use std::time::Duration;

use futures::future::join_all;

use crate::checks::content::{Content, Event, Odd, Tables};
use crate::desired::{Desired, Hidden};
use crate::kube::client::Connection;
use crate::manifests::config::ROOT_PASSWORD;
use crate::names::Member;
use crate::sql::{Conn, Login, SqlError, Ways};

use super::record::Kept;

/// The server gives up after 5 s: a catalog of very many tables is not worth more load.
const LIMIT: Duration = Duration::from_secs(8);
const BOUNDED: &str = "SET STATEMENT max_statement_time = 5 FOR ";
/// Schemas that the server brings itself.
const OWN: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// Asks these nodes as root: all of them for their events, and one for its tables, which are the same everywhere.
pub async fn look(connection: &Connection, desired: &Desired, kept: &Kept, nodes: Vec<Member>) -> Content {
    let Some(password) = kept.all.get(ROOT_PASSWORD) else { return Content::default() };
    let login = Login { user: "root".to_owned(), password: Hidden::new(password) };
    let opened = join_all(nodes.into_iter().map(async |node| {
        let pod = desired.cluster.pod(node);
        let ways = Ways::open(&connection.streams, desired, &pod, kept.own.authority.as_ref()).await;
        (node, ways.map_err(|failure| failure.to_string()))
    }))
    .await;
    let events = join_all(opened.iter().map(async |(node, ways)| (*node, ask(ways, &login, events).await)));
    let (events, tables) = tokio::join!(events, async {
        let mut latest = None;
        // Writers are at the first node, as a rule.
        for (_, ways) in opened.iter().rev() {
            let answer = ask(ways, &login, tables).await;
            let answered = answer.is_ok();
            latest = Some(answer);
            if answered {
                break;
            }
        }
        latest
    });
    Content { tables, events: events.into_iter().collect() }
}

/// One question over a connection of its own.
async fn ask<T>(
    ways: &Result<Ways, String>,
    login: &Login,
    question: impl AsyncFn(&mut Conn) -> Result<T, SqlError>,
) -> Result<T, String> {
    let conn = ways.as_ref().map_err(Clone::clone)?.connect(login).await;
    let mut conn = conn.map_err(|error| error.to_string())?.with_timeout(LIMIT);
    question(&mut conn).await.map_err(|error| error.to_string())
}

async fn tables(conn: &mut Conn) -> Result<Tables, SqlError> {
    let odd = format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), ENGINE FROM information_schema.TABLES \
         WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN {OWN} \
         AND (ENGINE <> 'InnoDB' OR (TABLE_SCHEMA, TABLE_NAME) NOT IN (SELECT TABLE_SCHEMA, TABLE_NAME \
         FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY'))"
    );
    let (without_key, others): (Vec<_>, Vec<_>) =
        pairs(conn, &odd).await?.into_iter().partition(|(_, engine)| engine == "InnoDB");
    Ok(Tables {
        not_replicated: others.into_iter().map(|(name, engine)| Odd { name, engine }).collect(),
        without_key: without_key.into_iter().map(|(name, _)| name).collect(),
    })
}

async fn events(conn: &mut Conn) -> Result<Vec<Event>, SqlError> {
    let all = "SELECT CONCAT(EVENT_SCHEMA, '.', EVENT_NAME), STATUS FROM information_schema.EVENTS ORDER BY 1";
    let event = |(name, status): (String, String)| Event { name, status: status.as_str().into() };
    Ok(pairs(conn, all).await?.into_iter().map(event).collect())
}

async fn pairs(conn: &mut Conn, query: &str) -> Result<Vec<(String, String)>, SqlError> {
    let rows = conn.query(&format!("{BOUNDED}{query}")).await?;
    let pair = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().map(Option::unwrap_or_default);
        Some((row.next()?, row.next()?))
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}
