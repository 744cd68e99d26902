//! What the health endpoint answers to load balancers, to kubelet and to peers.

use std::fs::{self, FileTimes};
use std::time::{Duration, SystemTime};

use super::server::Server;
use super::stage::{A, B, Stage, ZERO};
use super::states::own;

/// Rows that differ, and the status of `/ready` and of `/live`.
type Case = (&'static [(&'static str, &'static str)], u16, u16);

/// Rows of a member in good order, with what `change` has otherwise.
fn rows(change: &[(&str, &str)]) -> Server {
    let mut rows = [
        ("wsrep_cluster_status", "Primary"),
        ("wsrep_local_state", "4"),
        ("wsrep_ready", "ON"),
        ("wsrep_connected", "ON"),
        ("wsrep_cluster_state_uuid", A),
        ("wsrep_local_state_comment", "Synced"),
        ("wsrep_last_committed", "42"),
        ("wsrep_reject_queries", "NONE"),
    ];
    for (key, value) in change {
        rows.iter_mut().filter(|(name, _)| name == key).for_each(|row| row.1 = value);
    }
    Server::Says(rows.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

/// A stage with a server that has a socket.
fn server(server: Server) -> Stage {
    let stage = Stage::new();
    server.listen(&stage.path("run/mysqld.sock"));
    stage.write("run/phase", "up\n");
    super::states::tables(&stage.volume(), "data");
    stage
}

/// The code and the body of an answer.
fn get(stage: &Stage, path: &str) -> (u16, String) {
    ask(stage, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

fn ask(stage: &Stage, request: &str) -> (u16, String) {
    stage.write("request", request);
    let done = stage.run(&["-c", r#"perl "$SCRIPTS/health.pl" <request"#], &[]);
    assert_eq!(done.err, "");
    let (head, body) = done.out.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{done:?}"));
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert_eq!(length.parse(), Ok(body.len()), "{done:?}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Clients that take all connections must not make the proxy cut those that work.
#[test]
fn a_member_without_a_free_connection_is_what_it_has_told_of_last() {
    let told =
        |status: &str, primary: &str, uuid: &str| format!("status={status} primary={primary} uuid={uuid} members=x\n");
    let full = Server::Refuses(1040);
    for (refuses, told, ready) in [
        (full.clone(), told("synced", "yes", A), 200),
        (full.clone(), told("donor", "yes", A), 200),
        (Server::Refuses(1203), told("synced", "yes", A), 200),
        (Server::Denies(1226), told("synced", "yes", A), 200),
        (full.clone(), told("synced", "no", A), 503),
        (full.clone(), told("joiner", "yes", A), 503),
        (full.clone(), told("synced", "yes", B), 503),
        (full.clone(), told("synced", "yes", ZERO), 503),
        (full, String::new(), 503),
        (Server::Denies(1045), told("synced", "yes", A), 503),
    ] {
        let name = format!("{refuses:?} {told}");
        let stage = server(refuses);
        stage.write("state/uuid", A);
        stage.write("run/wsrep", &told);
        assert_eq!(get(&stage, "/ready").0, ready, "{name}");
        assert_eq!(get(&stage, "/live").0, 200, "{name}");
    }
}

#[test]
fn only_a_member_that_can_serve_is_ready() {
    let cases: [Case; 14] = [
        (&[], 200, 200),
        (&[("wsrep_local_state", "2"), ("wsrep_local_state_comment", "Donor/Desynced")], 200, 200),
        (&[("wsrep_local_state", "1")], 503, 200),
        (&[("wsrep_local_state", "3")], 503, 200),
        (&[("wsrep_local_state", "")], 503, 200),
        (&[("wsrep_cluster_status", "non-Primary")], 503, 200),
        (&[("wsrep_cluster_status", "Disconnected"), ("wsrep_connected", "OFF")], 503, 503),
        (&[("wsrep_ready", "OFF")], 503, 200),
        (&[("wsrep_cluster_state_uuid", ZERO)], 503, 200),
        (&[("wsrep_cluster_state_uuid", "")], 503, 200),
        (&[("wsrep_cluster_state_uuid", B)], 503, 200),
        (&[("wsrep_reject_queries", "ALL")], 503, 200),
        (&[("wsrep_local_state_comment", "$(touch $CANARY)")], 200, 200),
        (&[("wsrep_last_committed", "a[$(touch $CANARY)]")], 200, 200),
    ];
    for (change, ready, live) in cases {
        for on_record in [true, false] {
            let stage = server(rows(change));
            if on_record {
                stage.write("state/uuid", A);
            } else {
                own(&stage.volume(), A);
            }
            assert_eq!(get(&stage, "/ready").0, ready, "{change:?}");
            assert_eq!(get(&stage, "/live").0, live, "{change:?}");
            let known = ready == 200 && !change.iter().any(|(key, _)| *key == "wsrep_last_committed");
            assert_eq!(stage.has("volume/seen"), known, "{change:?}");
            stage.assert_unharmed();
            stage.write("run/draining", "");
            let leaving = if ready == 200 { 404 } else { 503 };
            assert_eq!(get(&stage, "/ready").0, leaving, "{change:?}");
        }
    }
}

/// Who is about to end waits for those who lead clients to it; kubelet and peers do not.
#[test]
fn who_leads_clients_is_remembered() {
    let stage = server(rows(&[]));
    get(&stage, "/state");
    get(&stage, "/live");
    ask(&stage, "GET /ready HTTP/1.1\r\nHost: x\r\nUser-Agent: kube-probe/1.34\r\nConnection: close\r\n\r\n");
    assert!(!stage.has("run/led"));
    ask(&stage, "GET /ready HTTP/1.0\r\n\r\n");
    assert!(stage.has("run/led"));
}

#[test]
fn a_request_without_an_end_is_answered() {
    let stage = server(rows(&[]));
    assert_eq!(ask(&stage, &format!("GET /ready HTTP/1.0\r\nX: {}", "x".repeat(100_000))).0, 200);
}

#[test]
fn without_a_server_nothing_is_ready_and_nothing_is_killed() {
    let stage = Stage::new();
    for phase in ["waiting", "refused", "joining", "held", "$(touch $CANARY)"] {
        stage.write("run/phase", format!("{phase}\n"));
        assert_eq!(get(&stage, "/ready").0, 503);
        let (code, body) = get(&stage, "/live");
        assert_eq!(code, 200);
        assert!(body.contains(&format!("phase={phase} primary=no ready=no state=closed")), "{body}");
        stage.assert_unharmed();
    }
}

#[test]
fn the_highest_position_is_never_lowered() {
    let other = format!("position={B}:99\nat=1\n");
    let cases = [
        (format!("position={A}:41\nat=1\n"), true),
        (format!("position={A}:42\nat=1\n"), false),
        (format!("position={A}:00043\nat=1\n"), false),
        (format!("position={A}:900000000000000000\nat=1\n"), false),
        (other, true),
        ("position=$(touch $CANARY)\nat=a[$(touch $CANARY)]\n".to_owned(), true),
        (String::new(), true),
        // A clock that was ahead must not silence it.
        (format!("position={A}:41\nat=999999999999\n"), true),
    ];
    for (before, written) in cases {
        let stage = server(rows(&[]));
        stage.write("volume/seen", &before);
        get(&stage, "/ready");
        let after = stage.read("volume/seen");
        assert_eq!(after != before, written, "{before} {after}");
        assert!(!written || after.starts_with(&format!("position={A}:42\nat=")), "{before} {after}");
        stage.assert_unharmed();
    }
}

fn since(stage: &Stage, seconds: u64) {
    stage.write("run/silent", "");
    let file = fs::File::options().write(true).open(stage.path("run/silent")).unwrap();
    let time = SystemTime::now() - Duration::from_secs(seconds);
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn a_server_hangs_when_it_has_been_silent_for_long() {
    for hangs in [Server::Hangs, Server::Closes, Server::Gone, Server::Babbles] {
        let text = format!("{hangs:?}");
        let stage = server(hangs);
        assert_eq!(get(&stage, "/live").0, 200, "{text}");
        assert!(stage.has("run/silent"), "{text}");
        since(&stage, 200);
        assert_eq!(get(&stage, "/live").0, 200, "{text}");
        since(&stage, 301);
        let (answer, body) = get(&stage, "/live");
        assert_eq!(answer, 503, "{text}");
        assert!(body.contains("silent=yes"), "{body}");
        // Who joins or takes a transfer has reasons to be silent.
        stage.write("run/phase", "joining\n");
        assert_eq!(get(&stage, "/live").0, 200, "{text}");
        assert!(!stage.has("run/silent"));
        stage.write("run/phase", "up\n");
        stage.write("volume/data/sst_in_progress", "");
        since(&stage, 301);
        assert_eq!(get(&stage, "/live").0, 200, "{text}");
    }
}

#[test]
fn a_server_that_says_no_does_not_hang() {
    for no in [Server::Refuses(1040), Server::Denies(1045), Server::Denies(1203), Server::Fails(1047)] {
        let text = format!("{no:?}");
        let stage = server(no);
        since(&stage, 301);
        assert_eq!(get(&stage, "/live").0, 200, "{text}");
        assert!(!stage.has("run/silent"), "{text}");
    }
}

#[test]
fn peers_hear_what_the_server_has_told_last() {
    let cases = [
        ("", "serves=no primary=no", "status=closed"),
        ("status=synced primary=yes uuid=U members=a", "serves=yes primary=yes", "status=synced"),
        ("status=donor primary=yes uuid=U members=a", "serves=yes primary=yes", "status=donor"),
        ("status=joiner primary=yes uuid=U members=a", "serves=no primary=yes", "status=joiner"),
        ("status=synced primary=no uuid=U members=a", "serves=no primary=no", "status=synced"),
        ("status=synced primary=yes uuid=Z members=a", "serves=no primary=no", "status=synced primary=no"),
    ];
    for (wsrep, says, last) in cases {
        let stage = Stage::new();
        stage.write("run/phase", "up\n");
        stage.write("run/crashes", "3\n");
        stage.write("run/held", format!("database:{A}:42\n"));
        if !wsrep.is_empty() {
            stage.write("run/wsrep", wsrep.replace('U', A).replace('Z', ZERO) + "\n");
        }
        let (code, body) = get(&stage, "/state");
        let head = format!("phase=up {says} held=database:{A}:42 left=emptied crashes=3 {last}");
        assert!(code == 200 && body.starts_with(&head), "{wsrep}: {body}");
        stage.write("run/draining", "");
        assert!(get(&stage, "/state").1.contains("serves=no"), "{wsrep}");
    }
    let stage = Stage::new();
    assert_eq!(
        get(&stage, "/state").1,
        "phase=none serves=no primary=no held=none left=none crashes=0 status=closed\n"
    );
}

#[test]
fn what_was_put_aside_is_told() {
    let stage = Stage::new();
    stage.write("volume/aside.7/data/ibdata1", "x");
    assert!(get(&stage, "/state").1.contains(" left=aside "));
}

/// People write this file as well.
#[test]
fn who_holds_a_server_is_told_as_far_as_it_is_a_name() {
    let stage = Stage::new();
    stage.write("run/phase", "held\n");
    for (text, told) in [
        ("by=me@host\nat=1795888424\n", "by=me@host since=1795888424 "),
        ("by=me you\nat=x\n", ""),
        ("by=$(touch $CANARY)\n", ""),
        ("", ""),
    ] {
        stage.write("volume/HOLD", text);
        let (_, body) = get(&stage, "/state");
        assert!(body.contains(&format!("crashes=0 {told}status=closed")), "{body}");
        assert_eq!((get(&stage, "/live").0, get(&stage, "/ready").0), (200, 503), "it is kept, and gets no clients");
    }
    stage.assert_unharmed();
}
