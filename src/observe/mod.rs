//! The live look at a cluster: watches, logs and SQL answers brought together in one [`Observed`].

pub mod exposures;
pub mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::storage::v1::StorageClass;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::desired::{Access, Desired};
use crate::error::Result;
use crate::kube::client::Connection;
use crate::kube::live::Live;
use crate::kube::logs::{Entry, Follow};
use crate::manifests::member::CONTAINER;
use crate::names::Member;
use crate::observed::{Observed, SqlSilence};
use crate::sql::{Login, Probe, Raw, SqlError, Ways};
use crate::wsrep::WsrepStatus;

use objects::Reader;

/// News that arrive together are shown together.
const GATHER: Duration = Duration::from_millis(15);
/// Trouble that may pass by itself is looked at again at this pace, for nothing else may change meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often each server is asked.
const ASK_EVERY: Duration = Duration::from_millis(150);
/// galeractl's own user, who may read status and write one table.
pub const OWN_USER: &str = "galeractl";
/// What the log says when the port has been opened, and when the member's state has become worth a question.
const TELLING: [&str; 3] = ["ready for connections", "status=synced", "status=donor"];

/// What is looked at beside the objects.
#[derive(Debug, Clone)]
pub struct Wants {
    /// Follow the members' logs: tells of phases and errors while SQL is closed.
    pub logs: bool,
    /// Storage classes, by which a pending claim is judged.
    pub classes: Vec<StorageClass>,
}

/// A live look at one cluster, until dropped.
pub struct Observer {
    observed: watch::Receiver<Arc<Observed>>,
    access: watch::Sender<Option<Access>>,
    live: Arc<Live>,
    _task: AbortOnDropHandle<()>,
}

impl Observer {
    /// Starts to look; returns when the first look at the objects is complete.
    ///
    /// # Errors
    /// The API server refuses to list or watch.
    pub async fn start(connection: &Connection, desired: &Desired, wants: Wants) -> Result<Self> {
        let live = Arc::new(Live::start(&connection.streams, &desired.namespace, &desired.cluster));
        live.ready().await?;
        let (access, access_seen) = watch::channel(None);
        let mut eye = Eye::new(connection, desired, wants, Arc::clone(&live), access_seen);
        eye.look();
        let (publish, observed) = watch::channel(Arc::new(eye.observed.clone()));
        let task = AbortOnDropHandle::new(tokio::spawn(async move { eye.run(publish).await }));
        Ok(Self { observed, access, live, _task: task })
    }

    /// How galeractl gets into the servers; they are asked from then on.
    pub fn set_access(&self, access: Access) {
        self.access.send_if_modified(|known| {
            let new = known.as_ref() != Some(&access);
            *known = Some(access);
            new
        });
    }

    /// The newest look.
    #[must_use]
    pub fn now(&self) -> Arc<Observed> {
        Arc::clone(&self.observed.borrow())
    }

    /// Tells of every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Observed>> {
        self.observed.clone()
    }

    /// The objects behind the look.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }
}

enum News {
    Line(Member, String),
    LogEnd(Member),
    Sql(Member, Result<WsrepStatus, SqlSilence>),
}

/// What is attached to one incarnation of a member's pod.
struct Attached {
    uid: String,
    running: watch::Sender<bool>,
    /// Its container runs, or has run.
    has_begun: watch::Sender<bool>,
    nudge: Arc<Notify>,
    _log: Option<AbortOnDropHandle<()>>,
    _sql: AbortOnDropHandle<()>,
}

struct Eye {
    connection: Connection,
    desired: Desired,
    wants: Wants,
    live: Arc<Live>,
    access: watch::Receiver<Option<Access>>,
    reader: Reader,
    begun: Instant,
    observed: Observed,
    attached: BTreeMap<Member, Attached>,
    news: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
}

impl Eye {
    fn new(
        connection: &Connection,
        desired: &Desired,
        wants: Wants,
        live: Arc<Live>,
        access: watch::Receiver<Option<Access>>,
    ) -> Self {
        Self {
            connection: connection.clone(),
            desired: desired.clone(),
            wants,
            live,
            access,
            reader: Reader::default(),
            begun: Instant::now(),
            observed: Observed::default(),
            attached: BTreeMap::new(),
            news: mpsc::unbounded_channel(),
        }
    }

    async fn run(mut self, publish: watch::Sender<Arc<Observed>>) {
        let mut objects = self.live.changed();
        loop {
            let mut objects_changed = false;
            tokio::select! {
                news = self.news.1.recv() => news.into_iter().for_each(|news| self.take(news)),
                changed = objects.changed() => objects_changed = changed.is_ok(),
                () = tokio::time::sleep(LOOK_AGAIN) => objects_changed = true,
            }
            tokio::time::sleep(GATHER).await;
            while let Ok(news) = self.news.1.try_recv() {
                self.take(news);
            }
            if objects_changed || objects.has_changed().unwrap_or(false) {
                objects.mark_unchanged();
                self.look();
            }
            if publish.send(Arc::new(self.observed.clone())).is_err() {
                return;
            }
        }
    }

    /// Reads the objects, and attaches to pods that are new.
    fn look(&mut self) {
        let snapshot = self.live.snapshot();
        self.reader.read(&snapshot, &self.wants.classes, &self.desired, self.begun.elapsed(), &mut self.observed);
        let members: Vec<Member> = self.observed.members.keys().copied().collect();
        for member in members {
            let Some(view) = self.observed.members.get_mut(&member) else { continue };
            let attached = self.attached.get(&member);
            if attached.map(|attached| Some(&attached.uid)) != Some(view.pod.uid.as_ref()) {
                // Another pod, another life: what the earlier one said no longer counts.
                view.sql = None;
                view.log = crate::observed::LogView::default();
                view.restarts_before = view.pod.restarts;
                self.attached.remove(&member);
                if let Some(uid) = view.pod.uid.clone() {
                    let attached = self.attach(member, uid);
                    self.attached.insert(member, attached);
                }
            }
            let Some(view) = self.observed.members.get_mut(&member) else { continue };
            let running = view.pod.running && !view.pod.ended;
            if !running {
                view.sql = None;
            }
            let has_begun = view.pod.running || view.pod.ended;
            if let Some(attached) = self.attached.get(&member) {
                attached.has_begun.send_if_modified(|known| has_begun && !std::mem::replace(known, true));
                attached.running.send_if_modified(|known| std::mem::replace(known, running) != running);
            }
            if !view.pod.exists {
                self.observed.members.remove(&member);
            }
        }
    }

    fn attach(&self, member: Member, uid: String) -> Attached {
        let pod = self.desired.cluster.pod(member);
        let (running, is_running) = watch::channel(false);
        let (has_begun, begun) = watch::channel(false);
        let nudge = Arc::new(Notify::new());
        Attached {
            uid,
            running,
            has_begun,
            nudge: Arc::clone(&nudge),
            _log: self.wants.logs.then(|| self.follow(member, &pod, begun)),
            _sql: self.ask(member, pod, is_running, nudge),
        }
    }

    /// A container that ends at once may never be seen running, and its log says why.
    fn follow(&self, member: Member, pod: &str, mut begun: watch::Receiver<bool>) -> AbortOnDropHandle<()> {
        let (streams, namespace, pod) =
            (self.connection.streams.clone(), self.desired.namespace.clone(), pod.to_owned());
        let news = self.news.0.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            if begun.wait_for(|begun| *begun).await.is_err() {
                return;
            }
            let mut follow = Follow::start(&streams, &namespace, &pod, CONTAINER);
            while let Some(entry) = follow.entry().await {
                let told = match entry {
                    Entry::Line(line) => News::Line(member, line.text),
                    Entry::End => News::LogEnd(member),
                };
                if news.send(told).is_err() {
                    return;
                }
            }
        }))
    }

    fn ask(
        &self,
        member: Member,
        pod: String,
        mut running: watch::Receiver<bool>,
        nudge: Arc<Notify>,
    ) -> AbortOnDropHandle<()> {
        let (streams, desired) = (self.connection.streams.clone(), self.desired.clone());
        let (mut access, news) = (self.access.clone(), self.news.0.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            // Whom to believe changes where an authority is replaced.
            loop {
                let Ok(known) = access.wait_for(Option::is_some).await.map(|known| known.clone()) else { return };
                let Some(Access { password, authority }) = known else { return };
                let ways = match Ways::open(&streams, &desired, &pod, authority.as_ref()).await {
                    Ok(ways) => ways,
                    Err(failure) => {
                        return drop(news.send(News::Sql(member, Err(SqlSilence::Broken(failure.to_string())))));
                    }
                };
                let probe = Probe::start(ways, Login { user: OWN_USER.to_owned(), password }, ASK_EVERY);
                let mut latest = probe.latest();
                loop {
                    probe.set_running(*running.borrow_and_update());
                    tokio::select! {
                        changed = access.changed() => if changed.is_err() { return } else { break },
                        changed = running.changed() => if changed.is_err() { return },
                        changed = latest.changed() => if changed.is_err() { return },
                        () = nudge.notified() => probe.nudge(),
                    }
                    let answer = latest.borrow_and_update().as_ref().map(|sample| interpret(&sample.result));
                    if answer.is_some_and(|answer| news.send(News::Sql(member, answer)).is_err()) {
                        return;
                    }
                }
            }
        }))
    }

    fn take(&mut self, news: News) {
        match news {
            News::Line(member, line) => {
                // The next question would come later by itself.
                let telling = TELLING.iter().any(|telling| line.contains(telling));
                if let Some(attached) = self.attached.get(&member).filter(|_| telling) {
                    attached.nudge.notify_one();
                }
                if let Some(view) = self.observed.members.get_mut(&member) {
                    view.log.read(&line);
                }
            }
            News::LogEnd(member) => {
                if let Some(view) = self.observed.members.get_mut(&member) {
                    view.log.at_end = true;
                }
            }
            News::Sql(member, answer) => {
                if let Some(view) = self.observed.members.get_mut(&member).filter(|view| view.pod.running) {
                    view.sql = Some(answer);
                }
            }
        }
    }
}

/// A server's raw answer in our terms.
///
/// # Errors
/// Why there is no status.
pub fn interpret(answer: &Result<Arc<Raw>, SqlError>) -> Result<WsrepStatus, SqlSilence> {
    let raw = answer.as_ref().map_err(|error| match error {
        SqlError::Denied(_) => SqlSilence::Denied(error.to_string()),
        SqlError::Untrusted(_) => SqlSilence::Untrusted(error.to_string()),
        error if error.may_pass() => SqlSilence::Closed(error.to_string()),
        error => SqlSilence::Broken(error.to_string()),
    })?;
    // A server that is not part of a Primary component does not let its tables be read.
    let members: BTreeSet<String> = raw.members.iter().flatten().map(|member| member.name.clone()).collect();
    WsrepStatus::from_rows(&raw.values, members).map_err(SqlSilence::Broken)
}
