//! The two ways into a server.

use std::time::Duration;

use crate::desired::{Authority, Desired};
use crate::error::Result;
use crate::kube::client::Streams;
use crate::kube::tunnel::Tunnel;
use crate::manifests::services::{RESERVED_PORT, SQL_PORT};

use super::conn::{Conn, Identity, Login, connect};
use super::error::SqlError;

/// Ways to the server in a pod: the port of all clients, and the one that is kept for when these have taken all
/// connections. They are closed, with all connections, on drop.
pub struct Ways {
    clients: Tunnel,
    reserved: Tunnel,
    identity: Option<Identity>,
}

/// An open connection; it ends with its way.
pub struct Door {
    /// What is asked through it.
    pub conn: Conn,
    _ways: Ways,
}

impl Ways {
    /// Opens both. Nothing is sent to the API server until somebody [connects](Ways::connect). The server behind a pod of
    /// the proxy proves the proxy's name.
    ///
    /// # Errors
    /// As [`Tunnel::open`].
    pub async fn open(streams: &Streams, desired: &Desired, pod: &str, authority: Option<&Authority>) -> Result<Self> {
        let clients = Tunnel::open(streams, &desired.namespace, pod, SQL_PORT).await?;
        let reserved = Tunnel::open(streams, &desired.namespace, pod, RESERVED_PORT).await?;
        let name = || desired.cluster.server(pod);
        let identity = authority.map(|authority| Identity { authority: authority.clone(), name: name() });
        Ok(Self { clients, reserved, identity })
    }

    /// Connects as any client, and where the server has no connection left for one by the reserved port. Proxies have
    /// no such port.
    ///
    /// # Errors
    /// As [`connect`]; [`SqlError::Full`] if both ways are.
    pub async fn connect(&self, login: &Login) -> Result<Conn, SqlError> {
        match connect(&self.clients, login, self.identity.as_ref()).await {
            Err(SqlError::Full(message)) => {
                connect(&self.reserved, login, self.identity.as_ref()).await.map_err(|error| match error {
                    // A server that was started before there was such a port.
                    SqlError::Closed(_) => SqlError::Full(message),
                    error => error,
                })
            }
            answer => answer,
        }
    }

    /// As [`Ways::connect`], for one connection that has the ways to itself and gives each statement this long.
    ///
    /// # Errors
    /// As [`Ways::connect`].
    pub async fn enter(self, login: &Login, limit: Duration) -> Result<Door, SqlError> {
        let conn = self.connect(login).await?.with_timeout(limit);
        Ok(Door { conn, _ways: self })
    }
}
