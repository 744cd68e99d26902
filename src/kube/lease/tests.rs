use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::kube::fake;

/// What the API server keeps: the Lease and how often it was written.
#[derive(Default)]
struct Server {
    lease: Option<Value>,
    writes: u64,
}

impl Server {
    fn answer(&mut self, request: fake::Request) -> (u16, Value) {
        let stored = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match request.method.as_str() {
            "GET" => match &self.lease {
                Some(lease) => (200, lease.clone()),
                None => fake::status(404, "NotFound", "no such lease"),
            },
            "POST" if stored.is_some() => fake::status(409, "AlreadyExists", "it exists"),
            "PUT" if stored.is_none() => fake::status(404, "NotFound", "no such lease"),
            "PUT" if stored != Some(request.body["metadata"]["resourceVersion"].clone()) => {
                fake::status(409, "Conflict", "the object has been modified")
            }
            "DELETE" => {
                self.lease = None;
                (200, json!({"kind": "Status", "status": "Success", "code": 200}))
            }
            _ => {
                self.writes += 1;
                let mut lease = request.body;
                lease["metadata"]["resourceVersion"] = json!(self.writes.to_string());
                self.lease = Some(lease.clone());
                (200, lease)
            }
        }
    }

    fn holder(&self) -> Value {
        self.lease.as_ref().map_or(Value::Null, |lease| lease["spec"]["holderIdentity"].clone())
    }
}

type Shared = Arc<Mutex<Server>>;

async fn server() -> (Client, Shared) {
    let server = Shared::default();
    let shared = Arc::clone(&server);
    let client = fake::client(move |request| shared.lock().unwrap().answer(request)).await;
    (client, server)
}

fn claim(client: &Client, holder: &str) -> Claim {
    Claim::new(client.clone(), "n".parse().unwrap(), "shop".parse().unwrap(), holder.to_owned())
}

/// Renews often, and is in no hurry to give up: a busy machine may stop a test for a second.
fn quick() -> Pace {
    let ms = Duration::from_millis;
    Pace { duration: ms(60_000), renew: ms(20), retry: ms(20), give_up: ms(30_000) }
}

fn foreign(holder: &str, version: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "shop-galera-lock", "namespace": "n", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 1, "renewTime": "2001-01-01T00:00:00.000000Z"}})
}

#[tokio::test]
async fn a_lock_is_taken_renewed_and_given_back() {
    let (client, server) = server().await;
    let lock = claim(&client, "a").acquire_at(quick(), Duration::ZERO, &mut |_| panic!("no wait")).await.unwrap();
    assert_eq!(server.lock().unwrap().holder(), "a");
    lock.confirm().await.unwrap();
    while server.lock().unwrap().writes < 5 {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(!lock.lost().is_cancelled());
    lock.release().await.unwrap();
    assert_eq!(server.lock().unwrap().holder(), Value::Null);
    let lock = claim(&client, "b").acquire_at(quick(), Duration::ZERO, &mut |_| panic!("no wait")).await.unwrap();
    lock.release_and_delete().await.unwrap();
    assert!(server.lock().unwrap().lease.is_none());
}

#[tokio::test]
async fn a_living_holder_on_this_machine_is_refused_at_once() {
    let (client, _server) = server().await;
    let _lock = claim(&client, "alice@host up 1").acquire(Duration::ZERO, &mut |_| ()).await.unwrap();
    let failure = claim(&client, "bob@host up 2").acquire(Duration::ZERO, &mut |_| ()).await.err().unwrap();
    assert_eq!(failure.kind, Kind::Locked);
    assert!(failure.to_string().starts_with("cluster `shop` is locked by alice@host up 1 since 20"), "{failure}");
}

#[tokio::test]
async fn a_silent_stranger_is_replaced_after_its_duration() {
    let (client, server) = server().await;
    server.lock().unwrap().lease = Some(foreign("stranger", "x"));
    let (begun, mut reasons) = (Instant::now(), Vec::new());
    let lock =
        claim(&client, "a").acquire(Duration::ZERO, &mut |reason| reasons.push(reason.to_owned())).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(reasons, ["the lock is held by stranger; if it does not renew it within 1 s, it is dead"]);
    assert_eq!(server.lock().unwrap().holder(), "a");
    drop(lock);
}

#[tokio::test]
async fn a_stranger_that_renews_is_refused() {
    let (client, server) = server().await;
    server.lock().unwrap().lease = Some(foreign("stranger", "x"));
    let shared = Arc::clone(&server);
    let mut renew = move |_: &str| shared.lock().unwrap().lease = Some(foreign("stranger", "y"));
    let failure = claim(&client, "a").acquire(Duration::ZERO, &mut renew).await.err().unwrap();
    assert_eq!(failure.kind, Kind::Locked);
    assert_eq!(server.lock().unwrap().holder(), "stranger");
}

#[tokio::test]
async fn a_lock_that_is_taken_over_or_deleted_is_lost() {
    for (after, why) in [
        (Some(foreign("thief", "z")), "it was taken over by thief, last renewed 2001-01-01T00:00:00Z"),
        (None, "its Lease was deleted"),
    ] {
        let (client, server) = server().await;
        let lock = claim(&client, "a").acquire_at(quick(), Duration::ZERO, &mut |_| ()).await.unwrap();
        server.lock().unwrap().lease = after;
        lock.lost().cancelled().await;
        let lost = lock.why_lost().unwrap();
        assert_eq!((lost.kind, lost.to_string()), (Kind::Locked, format!("the lock of `shop` was lost: {why}")));
        assert_eq!(lock.confirm().await.unwrap_err().kind, Kind::Locked);
    }
}

#[tokio::test]
async fn a_lock_that_cannot_be_renewed_is_lost_before_others_may_take_it() {
    let (client, server) = server().await;
    let down = Arc::new(Mutex::new(false));
    let (shared, switch) = (Arc::clone(&server), Arc::clone(&down));
    let failing = fake::client(move |request| {
        if *switch.lock().unwrap() {
            fake::status(500, "InternalError", "etcd is down")
        } else {
            shared.lock().unwrap().answer(request)
        }
    })
    .await;
    drop(client);
    let pace = Pace { duration: Duration::from_secs(20), give_up: Duration::from_millis(1500), ..quick() };
    let lock = claim(&failing, "a").acquire_at(pace, Duration::ZERO, &mut |_| ()).await.unwrap();
    *down.lock().unwrap() = true;
    let begun = Instant::now();
    lock.lost().cancelled().await;
    assert!(begun.elapsed() < pace.duration);
    let lost = lock.why_lost().unwrap();
    assert_eq!(lost.kind, Kind::Unreachable);
    assert!(lost.to_string().starts_with("the connection to the API server was lost"), "{lost}");
    assert!(lost.to_string().contains("etcd is down"), "{lost}");
    assert!(lost.hints[0].contains("not affected") && lost.hints[1].contains("the same command"), "{lost:?}");
}
