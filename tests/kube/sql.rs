use std::time::Duration;

use galeractl::desired::{Desired, Hidden};
use galeractl::kube::tunnel::Tunnel;
use galeractl::manifests::services::SQL_PORT;
use galeractl::settings::{Flag, Input, load_from};
use galeractl::sql::{
    Conn, Login, Probe, SqlError, Ways, connect, prepare_marker, read_marker, remove_marker, write_marker, wsrep_status,
};

use crate::cluster::{IMAGE, Place, in_namespace};
use crate::pods::{running, start};

const POD: &str = "shop-galera-node1-0";

/// A group of one.
const NODE: &str = r#"set -e
mkdir -p /data/db
mariadb-install-db --datadir=/data/db --auth-root-authentication-method=normal --skip-test-db >/dev/null
printf "FLUSH PRIVILEGES;\nCREATE USER asker@'%%' IDENTIFIED BY 'secret';\nGRANT ALL ON *.* TO asker@'%%';\n" \
  | mariadbd --bootstrap --datadir=/data/db --wsrep-on=OFF
exec mariadbd --datadir=/data/db --socket=/data/s --pid-file=/data/pid --skip-name-resolve --bind-address=0.0.0.0 \
  --binlog-format=ROW --innodb-autoinc-lock-mode=2 --wsrep-on=ON --wsrep-provider=/usr/lib/galera/libgalera_smm.so \
  --wsrep-cluster-name=n.shop --wsrep-node-name=node1 --wsrep-node-address=127.0.0.1 \
  --max-connections=10 --extra-port=3308 --extra-max-connections=2 \
  --wsrep-new-cluster --wsrep-cluster-address=gcomm://
"#;

fn desired(place: &Place) -> Desired {
    let flags = vec![Flag::name("--name", "shop"), Flag::namespace("-n", place.namespace.as_str())];
    load_from(&Input { flags, ..Input::default() }, None).unwrap().desired
}

fn login(password: &str) -> Login {
    Login { user: "asker".to_owned(), password: Hidden::new(password) }
}

async fn tunnel(place: &Place) -> Tunnel {
    Tunnel::open(&place.connection.streams, &place.namespace, POD, SQL_PORT).await.unwrap()
}

async fn open(tunnel: &Tunnel, password: &str) -> Result<Conn, SqlError> {
    loop {
        match connect(tunnel, &login(password), None).await {
            Err(error) if error.may_pass() => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_node_answers_by_sql() {
    in_namespace(|place| async move {
        let live = start(&place).await;
        place.apply(&place.pod(POD, IMAGE, NODE)).await;
        running(&live, POD).await;
        let tunnel = tunnel(&place).await;
        let closed = connect(&tunnel, &login("secret"), None).await.err().unwrap();
        assert!(matches!(&closed, SqlError::Closed(why) if why.contains("refused")), "{closed:?}");
        let denied = open(&tunnel, "wrong").await.err().unwrap();
        assert!(matches!(denied, SqlError::Denied(_)), "{denied:?}");

        let mut conn = open(&tunnel, "secret").await.unwrap();
        let raw = wsrep_status(&mut conn).await.unwrap();
        for (name, value) in [
            ("wsrep_cluster_status", "Primary"),
            ("wsrep_local_state_comment", "Synced"),
            ("wsrep_cluster_size", "1"),
            ("wsrep_on", "ON"),
            ("wsrep_reject_queries", "NONE"),
            ("wsrep_cluster_name", "n.shop"),
            ("read_only", "OFF"),
        ] {
            assert_eq!(raw.values[name], value, "{name}");
        }
        assert!(raw.values["version"].contains("MariaDB"));
        let members = raw.members.unwrap();
        assert_eq!(members.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["node1"]);

        assert_eq!(read_marker(&mut conn, 7).await.unwrap(), None);
        for (id, token) in [(7, "a"), (8, "b")] {
            prepare_marker(&mut conn).await.unwrap();
            write_marker(&mut conn, id, token).await.unwrap();
            assert_eq!(read_marker(&mut conn, id).await.unwrap().as_deref(), Some(token));
        }
        // Another run's row stays, unless it is old.
        remove_marker(&mut conn, 7).await.unwrap();
        assert_eq!(read_marker(&mut conn, 7).await.unwrap(), None);
        assert_eq!(read_marker(&mut conn, 8).await.unwrap().as_deref(), Some("b"));
        conn.query("UPDATE galeractl.heartbeat SET written_at = NOW(6) - INTERVAL 2 HOUR").await.unwrap();
        remove_marker(&mut conn, 7).await.unwrap();
        assert_eq!(read_marker(&mut conn, 8).await.unwrap(), None);
        when_all_connections_are_taken(&place, &tunnel).await;
        without_quorum(&place, &tunnel, conn).await;
        probed(&place).await;
    })
    .await;
}

/// A second member that comes from nowhere and is gone before it has anything.
const VISITOR: &str = "mkdir -p /data/db2; setsid mariadbd --no-defaults --datadir=/data/db2 --socket=/data/s2 --port=3307 \
  --binlog-format=ROW --innodb-autoinc-lock-mode=2 --wsrep-on=ON --wsrep-provider=/usr/lib/galera/libgalera_smm.so \
  --wsrep-cluster-name=n.shop --wsrep-node-name=node2 --wsrep-node-address=127.0.0.1:5567 \
  --wsrep-provider-options='gmcast.listen_addr=tcp://127.0.0.1:5567;ist.recv_addr=127.0.0.1:5568' \
  --wsrep-sst-receive-address=127.0.0.1:5444 --wsrep-cluster-address=gcomm://127.0.0.1:4567 >/data/log2 2>&1 </dev/null &
echo $! >/data/pid2";

/// What clients have taken is not what galeractl needs.
async fn when_all_connections_are_taken(place: &Place, tunnel: &Tunnel) {
    let ways = Ways::open(&place.connection.streams, &desired(place), POD, None).await.unwrap();
    let mut clients = Vec::new();
    let full = loop {
        match connect(tunnel, &login("secret"), None).await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    assert!(matches!(&full, SqlError::Full(why) if why.contains("1040")), "{full:?}");
    let mut conn = ways.connect(&login("secret")).await.unwrap();
    assert_eq!(wsrep_status(&mut conn).await.unwrap().values["wsrep_ready"], "ON");
}

/// Without quorum a node tells its state, and nothing else; even to a new connection.
async fn without_quorum(place: &Place, tunnel: &Tunnel, mut conn: Conn) {
    bash(place, VISITOR).await;
    while wsrep_status(&mut conn).await.unwrap().values["wsrep_cluster_size"] != "2" {}
    bash(place, "kill -9 $(cat /data/pid2)").await;
    let raw = loop {
        let raw = wsrep_status(&mut conn).await.unwrap();
        if raw.values["wsrep_cluster_status"] != "Primary" {
            break raw;
        }
    };
    assert_eq!(
        (raw.values["wsrep_cluster_status"].as_str(), raw.values["wsrep_ready"].as_str()),
        ("non-Primary", "OFF")
    );
    // The list of the last view with quorum: no proof of anything.
    assert_eq!(raw.members.unwrap().len(), 2);
    assert!(matches!(read_marker(&mut conn, 7).await, Err(SqlError::NotReady(_))));
    drop(conn);
    let mut second = open(tunnel, "secret").await.unwrap();
    assert_eq!(wsrep_status(&mut second).await.unwrap().values["wsrep_ready"], "OFF");
}

async fn bash(place: &Place, script: &str) {
    let at = galeractl::kube::exec::Place { namespace: &place.namespace, pod: POD, container: "main" };
    let argv = ["bash", "-c", script];
    let output = galeractl::kube::exec::exec(&place.connection.streams, at, &argv, None, Duration::from_secs(10)).await;
    assert_eq!(output.unwrap().exit_code, 0, "{script}");
}

async fn probed(place: &Place) {
    let ways = Ways::open(&place.connection.streams, &desired(place), POD, None).await.unwrap();
    let probe = Probe::start(ways, login("secret"), Duration::from_millis(100));
    let mut latest = probe.latest();
    probe.set_running(true);
    latest.wait_for(|sample| sample.as_ref().is_some_and(|sample| sample.result.is_ok())).await.unwrap();
    bash(place, "kill $(cat /data/pid)").await;
    let closed = |sample: &Option<galeractl::sql::Sample>| {
        sample.as_ref().is_some_and(|sample| matches!(sample.result, Err(SqlError::Closed(_))))
    };
    latest.wait_for(closed).await.unwrap();
    probe.set_running(false);
    let stopped = |sample: &Option<galeractl::sql::Sample>| {
        sample.as_ref().is_some_and(
            |sample| matches!(&sample.result, Err(SqlError::Closed(why)) if why == "the container does not run"),
        )
    };
    latest.wait_for(stopped).await.unwrap();
}
