//! The two ways into a server.

use crate::error::Result;
use crate::kube::client::Streams;
use crate::kube::tunnel::Tunnel;
use crate::manifests::services::{RESERVED_PORT, SQL_PORT};
use crate::names::Namespace;

use super::conn::{Conn, Login, connect};
use super::error::SqlError;

/// Ways to the server in a pod: the port of all clients, and the one that is kept for when these have taken all
/// connections. They are closed, with all connections, on drop.
pub struct Ways {
    clients: Tunnel,
    reserved: Tunnel,
}

impl Ways {
    /// Opens both. Nothing is sent to the API server until somebody [connects](Ways::connect).
    ///
    /// # Errors
    /// As [`Tunnel::open`].
    pub async fn open(streams: &Streams, namespace: &Namespace, pod: &str) -> Result<Self> {
        let clients = Tunnel::open(streams, namespace, pod, SQL_PORT).await?;
        let reserved = Tunnel::open(streams, namespace, pod, RESERVED_PORT).await?;
        Ok(Self { clients, reserved })
    }

    /// Connects as any client, and where the server has no connection left for one by the reserved port. Proxies have
    /// no such port.
    ///
    /// # Errors
    /// As [`connect`]; [`SqlError::Full`] if both ways are.
    pub async fn connect(&self, login: &Login) -> Result<Conn, SqlError> {
        match connect(&self.clients, login).await {
            Err(SqlError::Full(message)) => {
                connect(&self.reserved, login).await.map_err(|error| match error {
                    // A server that was started before there was such a port.
                    SqlError::Closed(_) => SqlError::Full(message),
                    error => error,
                })
            }
            answer => answer,
        }
    }
}
