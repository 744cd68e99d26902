//! Passwords are replaced while clients log in with the one in the Secret: at every moment it is the right one.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use galeractl::engine::event::Event;
use galeractl::sql::SqlError;

use crate::place::{Place, in_namespace};
use crate::wait::{holds, until};

const UP: [&str; 3] = ["--nodes=2", "--set=galera_mysql_database=shop", "--set=galera_mysql_user=app"];
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_replaced_while_clients_log_in() {
    in_namespace("passwords", async |place| {
        place.has_one_proxy();
        place.up(&UP).await.ended(0);
        place.sql(&place.node(1), "CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY)").await;

        let (stop, count) = (AtomicBool::new(false), AtomicU32::new(0));
        let deeds = async {
            logged_in(&count).await;
            own_ones(place).await;
            place.healthy().await;
            the_one_of_applications(place, &count).await;
            nothing_else_is_taken(place).await;
            stop.store(true, Ordering::Relaxed);
        };
        tokio::join!(clients(place, &stop, &count), deeds);
        place.healthy().await;
        let rows = place.sql(&place.node(2), "SELECT COUNT(*) FROM shop.t").await;
        assert_eq!(rows[0][0], Some(count.load(Ordering::Relaxed).to_string()));
        // An account that is changed is changed on all nodes alike.
        assert_eq!(place.sums(1, "mysql.global_priv").await, place.sums(2, "mysql.global_priv").await);
    })
    .await;
}

/// One after the other, each with the password that is in the Secret now.
async fn clients(place: &Place, stop: &AtomicBool, count: &AtomicU32) {
    while !stop.load(Ordering::Relaxed) {
        let door = place.door("app", "user-password").await;
        let mut client = match door.open(&place.proxy_pods().await[0]).await {
            Ok(client) => client,
            Err(SqlError::Denied(why)) => panic!("{why}"),
            // A way through the API server that is long in coming is no matter of passwords.
            Err(_) => continue,
        };
        client.query("INSERT INTO shop.t VALUES ()").await.unwrap();
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn logged_in(count: &AtomicU32) {
    let before = count.load(Ordering::Relaxed);
    until("clients log in", LIMIT, async || {
        let now = count.load(Ordering::Relaxed);
        holds(now > before + 1, || now.to_string())
    })
    .await;
}

fn of<'a>(passwords: &'a [(String, String)], key: &str) -> &'a str {
    &passwords.iter().find(|(known, _)| known == key).unwrap().1
}

fn keys(passwords: &[(String, String)]) -> Vec<&str> {
    passwords.iter().map(|(key, _)| key.as_str()).collect()
}

async fn is_taken(place: &Place, user: &str, password: &str) -> [bool; 2] {
    let mut taken = [false; 2];
    for (taken, node) in taken.iter_mut().zip(1..) {
        *taken = match place.door_with(user, password).open(&place.node(node)).await {
            Ok(_) => true,
            Err(SqlError::Denied(_)) => false,
            Err(error) => panic!("{error}"),
        };
    }
    taken
}

async fn own_ones(place: &Place) {
    let before = place.passwords().await;
    let planned = place.run(&["credentials", "rotate", "--dry-run"]).await.ended(0);
    assert_eq!(place.passwords().await, before);
    let done = place.run(&["credentials", "rotate", "--progress", "json"]).await.ended(0);
    assert_eq!(planned.rehearsed(), done.acts());
    let after = place.passwords().await;
    assert_eq!(keys(&after), keys(&before));
    assert_eq!(of(&after, "user-password"), of(&before, "user-password"), "nobody has asked for it");
    for (user, key) in [("root", "root-password"), ("galeractl", "galeractl-password")] {
        assert_ne!(of(&after, key), of(&before, key));
        assert_eq!(is_taken(place, user, of(&before, key)).await, [false; 2], "{user}");
        assert_eq!(is_taken(place, user, of(&after, key)).await, [true; 2], "{user}");
    }
}

async fn the_one_of_applications(place: &Place, count: &AtomicU32) {
    let before = place.passwords().await;
    let old = of(&before, "user-password");
    // Killed where servers know the next one already, and clients do not.
    let mut killed = place.start(&["credentials", "rotate", "app", "--progress", "json"]);
    assert!(killed.reaches(|event| matches!(event, Event::StepStarted { step, .. } if step == "hand")).await);
    killed.kill().await;
    logged_in(count).await;
    place.run(&["credentials", "rotate", "app", "--lock-wait", "60s"]).await.ended(0);
    logged_in(count).await;
    assert_eq!(is_taken(place, "app", old).await, [true; 2]);
    let now = place.passwords().await;
    assert_ne!(of(&now, "user-password"), old);
    assert_eq!(of(&now, "user-password-previous"), old);
    let again = place.run(&["credentials", "rotate", "app"]).await.ended(3);
    assert!(again.stderr.contains("--finish"), "{again:?}");
    // Whatever is made anew meanwhile keeps both.
    place.up(&UP).await.ended(0);

    let planned = place.run(&["credentials", "rotate", "app", "--finish", "--dry-run"]).await.ended(0);
    let finish = ["credentials", "rotate", "app", "--finish", "--progress", "json", "--lock-wait", "60s"];
    let done = place.run(&finish).await.ended(0);
    assert_eq!(planned.rehearsed(), done.acts());
    logged_in(count).await;
    assert_eq!(is_taken(place, "app", old).await, [false; 2]);
    let after = place.passwords().await;
    assert_eq!(keys(&after), keys(&before));
    place.run(&["credentials", "rotate", "app", "--finish"]).await.ended(3);
}

/// What somebody has set by hand is not overwritten.
async fn nothing_else_is_taken(place: &Place) {
    place.run(&["credentials", "rotate", "nobody"]).await.ended(2);
    place.run(&["credentials", "rotate", "--finish"]).await.ended(2);
    place.sql(&place.node(1), "CREATE USER app@'10.0.0.1' IDENTIFIED BY 'theirs'").await;
    let done = place.run(&["credentials", "rotate", "app"]).await.ended(0);
    assert!(done.stderr.contains("app@10.0.0.1 logs in with something else"), "{done:?}");
    place.run(&["credentials", "rotate", "app", "--finish"]).await.ended(0);
    place.sql(&place.node(1), "DROP USER app@'10.0.0.1'").await;
}
