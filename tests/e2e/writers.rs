//! Writers that remember what was acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use galeractl::sql::SqlError;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::place::Place;
use crate::sql::{Door, Sql};

/// At most one row per writer in this time: their way through the API server is paid for by everybody.
const PACE: Duration = Duration::from_millis(40);
/// Between attempts to connect.
const RETRY: Duration = Duration::from_millis(150);

/// A writer's number and the number of its row. Neither is used twice.
pub(crate) type Written = (u32, u64);

/// What became of every row.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// The server said yes.
    pub(crate) acknowledged: BTreeSet<Written>,
    /// The server said no.
    pub(crate) refused: BTreeSet<Written>,
    /// The answer was lost.
    pub(crate) unknown: BTreeSet<Written>,
    /// The longest that a writer has waited for a yes.
    pub(crate) longest: Duration,
}

/// Tasks that write, each with a connection of its own.
pub(crate) struct Writers {
    journal: Arc<Mutex<Journal>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Writers {
    /// Makes the table at the first of these pods and starts a writer for each list of pods. A writer keeps to one pod
    /// as long as that answers, and turns to the next one of its list when it does not.
    pub(crate) async fn start(place: &Place, lists: Vec<Vec<String>>) -> Self {
        Self::through(place, place.root().await, lists).await
    }

    /// As [`Writers::start`], by a way of their own.
    pub(crate) async fn through(place: &Place, door: Door, lists: Vec<Vec<String>>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let first = &lists[0][0];
        place.sql(first, "CREATE DATABASE IF NOT EXISTS e2e").await;
        place
            .sql(
                first,
                "CREATE TABLE IF NOT EXISTS e2e.acks (id BIGINT AUTO_INCREMENT PRIMARY KEY, \
                 who INT NOT NULL, seq BIGINT NOT NULL, UNIQUE (who, seq))",
            )
            .await;
        let (journal, stop, mut tasks) = (Arc::default(), CancellationToken::new(), JoinSet::new());
        for pods in lists {
            let who = COUNT.fetch_add(1, Ordering::Relaxed);
            let writer = Writer { who, door: door.clone(), pods, journal: Arc::clone(&journal) };
            tasks.spawn(writer.write_until(stop.clone()));
        }
        Self { journal, stop, tasks }
    }

    /// How many rows have been acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.journal.lock().unwrap().acknowledged.len()
    }

    /// The longest that a writer has waited for a yes since the last time that this was asked.
    pub(crate) fn longest(&self) -> Duration {
        std::mem::take(&mut self.journal.lock().unwrap().longest)
    }

    /// Ends the writers; what they have not heard of is unknown.
    pub(crate) async fn stop(self) -> Journal {
        self.stop.cancel();
        for result in self.tasks.join_all().await {
            let () = result;
        }
        Arc::into_inner(self.journal).unwrap().into_inner().unwrap()
    }
}

struct Writer {
    who: u32,
    door: Door,
    pods: Vec<String>,
    journal: Arc<Mutex<Journal>>,
}

impl Writer {
    async fn write_until(self, stop: CancellationToken) {
        let mut seq = 0;
        for pod in self.pods.iter().cycle() {
            let opened = tokio::select! {
                opened = self.door.open(pod) => opened,
                () = stop.cancelled() => return,
            };
            match opened {
                Ok(sql) => self.write_at(sql, &mut seq, &stop).await,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Writes at one server until it fails to answer.
    async fn write_at(&self, mut sql: Sql, seq: &mut u64, stop: &CancellationToken) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            pace.tick().await;
            *seq += 1;
            let row = (self.who, *seq);
            let begun = Instant::now();
            let result = sql.query(&format!("INSERT INTO e2e.acks (who, seq) VALUES ({}, {})", row.0, row.1)).await;
            let mut journal = self.journal();
            match result {
                Ok(_) => {
                    journal.acknowledged.insert(row);
                    journal.longest = journal.longest.max(begun.elapsed());
                }
                // Deadlock, lock wait timeout: rolled back. No such table yet: a node that lags. Not ready: not begun.
                Err(SqlError::Server { code: 1213 | 1205 | 1146, .. }) => drop(journal.refused.insert(row)),
                Err(SqlError::NotReady(message)) if message.contains("1047") => {
                    journal.refused.insert(row);
                    return;
                }
                Err(error) => {
                    eprintln!("writer {}: {error}", self.who);
                    journal.unknown.insert(row);
                    return;
                }
            }
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap()
    }
}
