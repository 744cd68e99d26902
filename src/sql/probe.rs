//! A node that is asked again and again over one connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::conn::{Conn, Login};
use super::error::SqlError;
use super::status::{Raw, wsrep_status};
use super::ways::Ways;

/// Between two logins with a password that was refused: users may not exist before the first start is over.
const AFTER_DENIAL: Duration = Duration::from_secs(1);
/// Between two tries at a closed port. Each is a new connection to the API server, the kubelet and the container
/// runtime, and a port that opens is told of by a [nudge](Probe::nudge); this is for when the nudge does not come.
const AFTER_CLOSED: Duration = Duration::from_secs(2);
/// A node whose answer stays the same is asked less and less often, down to this many times the interval.
const CALM: u32 = 4;
/// So long after a nudge, a closed port is tried as often as an open one is asked.
const EAGER: Duration = Duration::from_secs(2);

/// The latest answer of a node.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When the answer came.
    pub at: Instant,
    /// The answer, or why there is none.
    pub result: Result<Arc<Raw>, SqlError>,
}

/// Asks one node for its state until dropped.
pub struct Probe {
    latest: watch::Receiver<Option<Sample>>,
    running: watch::Sender<bool>,
    nudge: Arc<Notify>,
}

impl Probe {
    /// Starts to ask every `interval`, as long as the container is said to be [running](Probe::set_running), which
    /// it is not at first. A closed port is tried less often.
    #[must_use]
    pub fn start(ways: Ways, login: Login, interval: Duration) -> Self {
        let (running, switch) = watch::channel(false);
        let (publish, latest) = watch::channel(None);
        let nudge = Arc::new(Notify::new());
        let asker = Asker { ways, login, interval, switch, publish, nudge: Arc::clone(&nudge), conn: None };
        // It ends by itself when the probe is dropped, but not in the middle of a question: the server would count a
        // client that broke off.
        tokio::spawn(asker.run());
        Self { latest, running, nudge }
    }

    /// Tells whether the node's container runs. While it does not, nothing is asked, and the latest sample says so.
    pub fn set_running(&self, running: bool) {
        self.running.send_if_modified(|known| std::mem::replace(known, running) != running);
    }

    /// Asks now instead of at the next beat, as when the log says that the server is ready for connections.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// The latest sample, `None` before the first; changes with every answer.
    #[must_use]
    pub fn latest(&self) -> watch::Receiver<Option<Sample>> {
        self.latest.clone()
    }
}

struct Asker {
    ways: Ways,
    login: Login,
    interval: Duration,
    switch: watch::Receiver<bool>,
    publish: watch::Sender<Option<Sample>>,
    nudge: Arc<Notify>,
    conn: Option<Conn>,
}

impl Asker {
    async fn run(mut self) {
        let mut eager_until = Instant::now();
        let mut calm = 1;
        loop {
            if !*self.switch.borrow_and_update() {
                self.conn = None;
                self.tell(Err(SqlError::Closed("the container does not run".to_owned())));
                // The other end is dropped together with the probe.
                if self.switch.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let begun = Instant::now();
            let answer = self.ask().await;
            let pause = match &answer {
                Err(SqlError::Denied(_)) => AFTER_DENIAL.max(self.interval),
                Err(SqlError::Closed(_)) if begun > eager_until => AFTER_CLOSED.max(self.interval),
                Ok(answer) => {
                    calm = if begun > eager_until && self.is_known(answer) { CALM.min(calm + 1) } else { 1 };
                    self.interval * calm
                }
                Err(_) => self.interval,
            };
            self.tell(answer.map(Arc::new));
            tokio::select! {
                () = sleep_until(begun + pause) => {}
                () = self.nudge.notified() => eager_until = Instant::now() + EAGER,
                changed = self.switch.changed() => if changed.is_err() { return },
            }
        }
    }

    fn is_known(&self, answer: &Raw) -> bool {
        self.publish
            .borrow()
            .as_ref()
            .is_some_and(|sample| matches!(&sample.result, Ok(known) if known.is_like(answer)))
    }

    fn tell(&self, result: Result<Arc<Raw>, SqlError>) {
        self.publish.send_replace(Some(Sample { at: Instant::now(), result }));
    }

    async fn ask(&mut self) -> Result<Raw, SqlError> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.ways.connect(&self.login).await?,
        };
        let answer = wsrep_status(&mut conn).await;
        if matches!(answer, Ok(_) | Err(SqlError::Server { .. } | SqlError::NotReady(_))) {
            self.conn = Some(conn);
        }
        answer
    }
}
