//! Proof that what is written on one node is read on another.

use super::conn::Conn;
use super::error::SqlError;

/// Database or table that does not exist.
const MISSING: [u16; 2] = [1049, 1146];
/// Two transactions changed the same row, and the other one was first.
const CONFLICT: u16 = 1213;

/// Makes the table of markers unless it exists: on a running cluster, needless DDL would stall every node for a moment.
///
/// # Errors
/// As the server answers; [`SqlError::Timeout`]; [`SqlError::Closed`].
pub async fn prepare_marker(conn: &mut Conn) -> Result<(), SqlError> {
    match conn.query("SELECT 1 FROM galeractl.heartbeat LIMIT 0").await {
        Err(SqlError::Server { code, .. }) if MISSING.contains(&code) => {}
        other => return other.map(drop),
    }
    conn.query("CREATE DATABASE IF NOT EXISTS galeractl").await?;
    let table = "CREATE TABLE IF NOT EXISTS galeractl.heartbeat (id INT PRIMARY KEY, \
                 token VARCHAR(64) CHARACTER SET ascii NOT NULL, written_at TIMESTAMP(6) NOT NULL) ENGINE=InnoDB";
    conn.query(table).await.map(drop)
}

/// Writes a marker to a row of its own, in a transaction that the group has certified when this returns. The token is
/// at most 64 letters, digits, `-`, `_` or `.`.
///
/// # Errors
/// As the server answers; [`SqlError::Timeout`]; [`SqlError::Closed`]; [`SqlError::Protocol`] for a token that is not
/// of this form.
pub async fn write_marker(conn: &mut Conn, id: u32, token: &str) -> Result<(), SqlError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if token.is_empty() || token.len() > 64 || !token.chars().all(plain) {
        return Err(SqlError::Protocol(format!("`{token}` cannot be a marker")));
    }
    let sql = format!("REPLACE INTO galeractl.heartbeat (id, token, written_at) VALUES ({id}, '{token}', NOW(6))");
    conn.query(&sql).await.map(drop)
}

/// The marker in this row as this node has it, after it has applied everything that the group had committed when it
/// was asked; `None` if there is none.
///
/// # Errors
/// As the server answers; [`SqlError::Timeout`]; [`SqlError::Closed`].
pub async fn read_marker(conn: &mut Conn, id: u32) -> Result<Option<String>, SqlError> {
    let sql = format!("SET STATEMENT wsrep_sync_wait=15 FOR SELECT token FROM galeractl.heartbeat WHERE id = {id}");
    match conn.query(&sql).await {
        Ok(rows) => Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten())),
        Err(SqlError::Server { code, .. }) if MISSING.contains(&code) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes the marker, and those that runs of more than an hour ago left behind when they were killed. Row 0 is not
/// one of them: it was written when the cluster was formed.
///
/// # Errors
/// As the server answers; [`SqlError::Timeout`]; [`SqlError::Closed`].
pub async fn remove_marker(conn: &mut Conn, id: u32) -> Result<(), SqlError> {
    conn.query(&format!("DELETE FROM galeractl.heartbeat WHERE id = {id}")).await?;
    // By their numbers: a search that deletes would lock the rows of runs that are at work, and be refused.
    let old = "SELECT id FROM galeractl.heartbeat WHERE id > 0 AND written_at < NOW(6) - INTERVAL 1 HOUR";
    let ids: Vec<String> = conn.query(old).await?.into_iter().flatten().flatten().collect();
    if ids.is_empty() {
        return Ok(());
    }
    match conn.query(&format!("DELETE FROM galeractl.heartbeat WHERE id IN ({})", ids.join(", "))).await {
        // Another run removes them at this moment.
        Err(SqlError::Server { code: CONFLICT, .. }) => Ok(()),
        other => other.map(drop),
    }
}
