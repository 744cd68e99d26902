use std::time::Duration;

use galeractl::desired::Hidden;
use galeractl::kube::tunnel::Tunnel;
use galeractl::sql::{Conn, Login, Probe, SqlError, connect, prepare_marker, read_marker, write_marker, wsrep_status};

use crate::cluster::{IMAGE, Place, in_namespace};
use crate::pods::{running, start};

const POD: &str = "shop-galera-node1-0";

/// A group of one, or with another address a node that waits for its group with its port open.
fn node(group: &str) -> String {
    format!(
        "set -e; mkdir -p /data/db
mariadb-install-db --datadir=/data/db --auth-root-authentication-method=normal --skip-test-db >/dev/null
printf \"FLUSH PRIVILEGES;\\nCREATE USER asker@'%%' IDENTIFIED BY 'secret';\\nGRANT ALL ON *.* TO asker@'%%';\\n\" \\
  | mariadbd --bootstrap --datadir=/data/db --wsrep-on=OFF
exec mariadbd --datadir=/data/db --socket=/data/s --pid-file=/data/pid --skip-name-resolve --bind-address=0.0.0.0 \\
  --binlog-format=ROW --innodb-autoinc-lock-mode=2 --wsrep-on=ON --wsrep-provider=/usr/lib/galera/libgalera_smm.so \\
  --wsrep-cluster-name=n.shop --wsrep-node-name=node1 --wsrep-node-address=127.0.0.1 {group}"
    )
}

fn login(password: &str) -> Login {
    Login { user: "asker".to_owned(), password: Hidden::new(password) }
}

async fn tunnel(place: &Place) -> Tunnel {
    Tunnel::open(&place.connection.streams, &place.namespace, POD, 3306).await.unwrap()
}

async fn open(tunnel: &Tunnel, password: &str) -> Result<Conn, SqlError> {
    loop {
        match connect(tunnel, &login(password)).await {
            Err(error) if error.may_pass() => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_node_answers_by_sql() {
    in_namespace(|place| async move {
        let live = start(&place).await;
        place.apply(&place.pod(POD, IMAGE, &node("--wsrep-new-cluster --wsrep-cluster-address=gcomm://"))).await;
        running(&live, POD).await;
        let tunnel = tunnel(&place).await;
        let closed = connect(&tunnel, &login("secret")).await.err().unwrap();
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

        assert_eq!(read_marker(&mut conn).await.unwrap(), None);
        for token in ["a", "b"] {
            prepare_marker(&mut conn).await.unwrap();
            write_marker(&mut conn, token).await.unwrap();
            assert_eq!(read_marker(&mut conn).await.unwrap().as_deref(), Some(token));
        }
        conn.close().await.unwrap();
        probed(&place, tunnel).await;
    })
    .await;
}

#[tokio::test]
async fn a_node_without_quorum_tells_its_state_and_nothing_else() {
    in_namespace(|place| async move {
        let live = start(&place).await;
        let group = "--wsrep-cluster-address='gcomm://127.0.0.1:1?pc.wait_prim=no'";
        place.apply(&place.pod(POD, IMAGE, &node(group))).await;
        running(&live, POD).await;
        let tunnel = tunnel(&place).await;
        let mut conn = open(&tunnel, "secret").await.unwrap();
        let raw = wsrep_status(&mut conn).await.unwrap();
        assert_eq!(
            (raw.values["wsrep_cluster_status"].as_str(), raw.values["wsrep_ready"].as_str()),
            ("non-Primary", "OFF")
        );
        assert!(matches!(raw.members, Err(SqlError::NotReady(_))), "{:?}", raw.members);
        assert!(matches!(read_marker(&mut conn).await, Err(SqlError::NotReady(_))));
        assert!(wsrep_status(&mut conn).await.is_ok());
    })
    .await;
}

async fn probed(place: &Place, tunnel: Tunnel) {
    let probe = Probe::start(tunnel, login("secret"), Duration::from_millis(100));
    let mut latest = probe.latest();
    probe.set_running(true);
    latest.wait_for(|sample| sample.as_ref().is_some_and(|sample| sample.result.is_ok())).await.unwrap();
    let at = galeractl::kube::exec::Place { namespace: &place.namespace, pod: POD, container: "main" };
    let kill = ["bash", "-c", "kill $(cat /data/pid)"];
    galeractl::kube::exec::exec(&place.connection.streams, at, &kill, None, Duration::from_secs(5)).await.unwrap();
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
