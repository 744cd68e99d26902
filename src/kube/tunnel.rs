//! From a local port to a port of a pod, through the API server.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Portforwarder};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::error::{Failure, Kind, Result};
use crate::names::Namespace;

use super::client::Streams;
use super::errors::explain;

/// So long connections may outlive their tunnel: a server counts and logs every client that goes without a goodbye.
const GRACE: Duration = Duration::from_secs(1);

/// The connections of all tunnels.
static CONNECTIONS: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// Waits until all connections are over, for a second at most; for the end of the program, when nobody uses them.
pub async fn settle() {
    CONNECTIONS.close();
    // One that has not ended by then is cut.
    let _ = timeout(GRACE, CONNECTIONS.wait()).await;
}

/// A loopback port whose connections end at a port of a pod. It is closed on drop, and a moment later its connections.
///
/// The pod's port need not be open yet: each connection is forwarded on its own, and one that finds the port closed
/// is closed, with the reason in [`Tunnel::last_error`].
pub struct Tunnel {
    address: SocketAddr,
    last_error: Arc<Mutex<Option<String>>>,
    _open: DropGuard,
    _task: AbortOnDropHandle<()>,
}

impl Tunnel {
    /// Opens a local port. Nothing is sent to the API server until somebody connects to it.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if no local port can be opened.
    pub async fn open(streams: &Streams, namespace: &Namespace, pod: &str, port: u16) -> Result<Self> {
        let pod = pod.to_owned();
        let choose: Choose = Arc::new(move || vec![pod.clone()]);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let opened = Self::open_at(streams, namespace, any, port, choose, None).await;
        opened.map_err(|error| Failure::new(Kind::Unreachable, error).context("cannot open a port on 127.0.0.1"))
    }

    /// As [`Tunnel::open`], at an address of the caller's choice. Each connection goes to the first pod that is `chosen` at
    /// that moment and can be reached; where none can, `told` hears why.
    ///
    /// # Errors
    /// The local port cannot be opened.
    pub async fn open_at(
        streams: &Streams,
        namespace: &Namespace,
        at: SocketAddr,
        port: u16,
        chosen: Choose,
        told: Option<UnboundedSender<String>>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let last_error = Arc::default();
        let open = CancellationToken::new();
        let bridge = Bridge {
            pods: Api::namespaced(streams.0.clone(), namespace.as_str()),
            chosen,
            port,
            last_error: Arc::clone(&last_error),
            open: open.clone(),
            told,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(bridge.listen(listener)));
        Ok(Self { address, last_error, _open: open.drop_guard(), _task: task })
    }

    /// The local end.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why the latest connection could not be forwarded; `None` if it was.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Pods to forward to, the best first.
pub type Choose = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

#[derive(Clone)]
struct Bridge {
    pods: Api<Pod>,
    chosen: Choose,
    port: u16,
    last_error: Arc<Mutex<Option<String>>>,
    open: CancellationToken,
    told: Option<UnboundedSender<String>>,
}

impl Bridge {
    async fn listen(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(CONNECTIONS.spawn(self.clone().forward(stream))),
                Err(error) => return self.note(Some(format!("the local port failed: {error}"))),
            }
        }
    }

    fn note(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    async fn forward(self, mut local: TcpStream) {
        // Requests and answers are small and each waits for the other.
        let forwarded = match local.set_nodelay(true) {
            Ok(()) => self.carry(&mut local).await,
            Err(error) => Err(format!("the local connection failed: {error}")),
        };
        self.note(forwarded.err());
    }

    async fn carry(&self, local: &mut TcpStream) -> Result<(), String> {
        let mut forwarder = self.reach().await.inspect_err(|why| self.tell(why))?;
        self.note(None);
        let Some(mut remote) = forwarder.take_stream(self.port) else { return Err("no stream was offered".to_owned()) };
        let error = pod_error(&mut forwarder, self.port);
        tokio::select! {
            // The pod's side says why before it closes the stream.
            biased;
            Some(message) = error => Err(plain(&message, self.port)).inspect_err(|why| self.tell(why)),
            copied = copy_bidirectional(local, &mut remote) => copied.map(drop).map_err(|error| error.to_string()),
            () = self.ends() => Ok(()),
        }
    }

    /// A moment after the tunnel was dropped.
    async fn ends(&self) {
        self.open.cancelled().await;
        sleep(GRACE).await;
    }

    /// The first pod that can be reached.
    async fn reach(&self) -> Result<Portforwarder, String> {
        let mut why = "there is no pod to forward to".to_owned();
        for pod in (self.chosen)() {
            match self.pods.portforward(&pod, &[self.port]).await {
                Ok(forwarder) => return Ok(forwarder),
                Err(error) => {
                    why = explain(Kind::Unreachable, format!("forward a port to pod/{pod}"), error).to_string();
                }
            }
        }
        Err(why)
    }

    fn tell(&self, why: &str) {
        if let Some(told) = &self.told {
            // Nobody listens any more when the port is about to be closed.
            let _ = told.send(why.to_owned());
        }
    }
}

/// Resolves to what the pod's side says when it cannot serve the port; to `None` if the connection just ends.
fn pod_error(forwarder: &mut Portforwarder, port: u16) -> impl Future<Output = Option<String>> + use<> {
    let error = forwarder.take_error(port);
    async move {
        match error {
            Some(error) => error.await,
            None => None,
        }
    }
}

/// The node wraps the reason into the names of its own parts; the common one is put simply.
fn plain(message: &str, port: u16) -> String {
    if message.contains("connection refused") {
        return format!("nothing listens on port {port} (connection refused)");
    }
    message.trim().to_owned()
}

/// One connection to a port of a pod, without a local port in between.
///
/// # Errors
/// [`Kind::Unreachable`] if the API server does not forward. A closed port shows only as an early end of the stream.
pub async fn stream(
    streams: &Streams,
    namespace: &Namespace,
    pod: &str,
    port: u16,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    let pods: Api<Pod> = Api::namespaced(streams.0.clone(), namespace.as_str());
    let mut forwarder = pods
        .portforward(pod, &[port])
        .await
        .map_err(|error| explain(Kind::Unreachable, format!("forward port {port} of pod/{pod}"), error))?;
    forwarder
        .take_stream(port)
        .ok_or_else(|| Failure::message(Kind::Unreachable, format!("pod/{pod} offers no stream for port {port}")))
}
