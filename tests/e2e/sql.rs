//! SQL at the nodes and through the proxy.

use std::time::Duration;

use galeractl::desired::Hidden;
use galeractl::kube::client::Streams;
use galeractl::kube::tunnel::Tunnel;
use galeractl::names::{ClusterName, Namespace};
use galeractl::sql::{Conn, Identity, Login, Row, SqlError, connect};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::ListParams;

use crate::place::Place;
use crate::wait::until;

const SQL_PORT: u16 = 3306;
const STATEMENT_LIMIT: Duration = Duration::from_secs(20);

/// A connection with the tunnel that it goes through.
pub(crate) struct Sql {
    conn: Conn,
    _tunnel: Tunnel,
}

/// What a connection needs, whatever it is opened to.
#[derive(Clone)]
pub(crate) struct Door {
    streams: Streams,
    namespace: Namespace,
    login: Login,
    /// Whom the server has to prove to be; without it there is no TLS.
    identity: Option<Identity>,
}

impl Door {
    /// The same way in, to a server that proves who it is.
    pub(crate) fn proved(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    pub(crate) async fn open(&self, pod: &str) -> Result<Sql, SqlError> {
        let tunnel = Tunnel::open(&self.streams, &self.namespace, pod, SQL_PORT).await;
        let tunnel = tunnel.map_err(|failure| SqlError::Closed(failure.to_string()))?;
        let conn = connect(&tunnel, &self.login, self.identity.as_ref()).await?.with_timeout(STATEMENT_LIMIT);
        Ok(Sql { conn, _tunnel: tunnel })
    }
}

impl Sql {
    pub(crate) async fn query(&mut self, statement: &str) -> Result<Vec<Row>, SqlError> {
        self.conn.query(statement).await
    }

    /// The first value of the answer.
    pub(crate) async fn value(&mut self, statement: &str) -> String {
        let rows = self.query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        rows.first().and_then(|row| row.last().cloned().flatten()).unwrap_or_default()
    }
}

impl Place {
    /// Passwords by their keys.
    pub(crate) async fn passwords(&self) -> Vec<(String, String)> {
        self.passwords_of(&self.cluster).await
    }

    async fn passwords_of(&self, cluster: &ClusterName) -> Vec<(String, String)> {
        let secret = self.api::<Secret>().get(&cluster.credentials()).await.unwrap();
        let data = secret.data.unwrap_or_default().into_iter();
        data.map(|(key, value)| (key, String::from_utf8(value.0).unwrap())).collect()
    }

    /// A user's way in; `key` names its password in the Secret.
    pub(crate) async fn door(&self, user: &str, key: &str) -> Door {
        self.door_of(&self.cluster, user, key).await
    }

    /// As [`Place::door`], into another cluster of the namespace.
    pub(crate) async fn door_of(&self, cluster: &ClusterName, user: &str, key: &str) -> Door {
        let passwords = self.passwords_of(cluster).await;
        let (_, password) = passwords.iter().find(|(name, _)| name == key).expect("the Secret has the password");
        self.door_with(user, password)
    }

    /// A user's way in, with this password.
    pub(crate) fn door_with(&self, user: &str, password: &str) -> Door {
        Door {
            streams: self.connection.streams.clone(),
            namespace: self.namespace.clone(),
            login: Login { user: user.to_owned(), password: Hidden::new(password) },
            identity: None,
        }
    }

    /// The administrator's way in.
    pub(crate) async fn root(&self) -> Door {
        self.door("root", "root-password").await
    }

    /// A statement as administrator, at a server that may take a moment to answer.
    pub(crate) async fn sql(&self, pod: &str, statement: &str) -> Vec<Row> {
        let door = self.root().await;
        until(&format!("`{statement}` at {pod}"), Duration::from_secs(60), async || {
            let mut sql = door.open(pod).await.map_err(|error| error.to_string())?;
            sql.query(statement).await.map_err(|error| error.to_string())
        })
        .await
    }

    /// One of the proxy's pods.
    pub(crate) async fn proxy_pods(&self) -> Vec<String> {
        let name = self.cluster.proxy();
        let pods = self.api::<Pod>().list(&ListParams::default()).await.unwrap();
        let live = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        live.map(ResourceExt::name_any).filter(|pod| pod.starts_with(&name)).collect()
    }
}
