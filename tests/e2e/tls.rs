//! Who has no certificate of the cluster's authority does not get in, and nothing else is different for those who have.

use std::time::Duration;

use galeractl::cluster::authority::Signer;
use galeractl::desired::Authority;
use galeractl::kube::tunnel::Tunnel;
use galeractl::names::Member;
use galeractl::sql::{Identity, Login, SqlError, connect};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};

use crate::helper::Helper;
use crate::place::Place;
use crate::pods::{KILL, gets_a_copy};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(120);
const UP: [&str; 2] = ["--nodes", "2"];
/// Without the other wall, so that this one is seen.
const OWN: [&str; 4] = ["--nodes", "2", "--backup", "--set=galera_cluster_network_policies=no"];
const OFF: &str = "--set=galera_cluster_tls=off";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_who_does_not_belong() {
    in_namespace_with_tls(async |place| {
        let authority = authority(place).await;
        servers_prove_who_they_are(place, &authority).await;
        a_client_verifies(place, &authority).await;
        strangers_stay_outside(place).await;
        all_servers_die(place).await;
        a_node_is_rebuilt(place).await;
        a_backup_can_be_restored(place).await;
        what_is_there_stays(place, &authority).await;
    })
    .await;
}

async fn in_namespace_with_tls(test: impl AsyncFnOnce(&Place)) {
    crate::place::in_namespace("tls", async |place| {
        let planned = place.up(&[&OWN[..], &["--dry-run"]].concat()).await.ended(0);
        let formed = place.up(&OWN).await.ended(0);
        assert_eq!(planned.rehearsed(), formed.acts());
        place.healthy().await;
        assert_eq!(secrets(place).await, ["ca", "credentials", "node1-tls", "node2-tls"]);
        let report = place.run(&["verify", "-o", "json"]).await.ended(0).json();
        let check = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "certificates").unwrap();
        assert_eq!(check["mark"], "pass", "{check}");
        place.make_table().await;
        place.insert(1).await;
        test(place).await;
    })
    .await;
}

/// What the names of the cluster's Secrets end with.
async fn secrets(place: &Place) -> Vec<String> {
    let all = place.api::<Secret>().list(&ListParams::default()).await.unwrap();
    let begin = format!("{}-galera-", place.cluster);
    let names = all.iter().filter_map(|secret| secret.name_any().strip_prefix(&begin).map(str::to_owned));
    // Those of the backups are another matter.
    names.filter(|name| !name.starts_with("backup")).collect()
}

async fn authority(place: &Place) -> Authority {
    let secret = place.api::<Secret>().get(&place.cluster.authority()).await.unwrap();
    Authority(String::from_utf8(secret.data.unwrap()["ca.crt"].0.clone()).unwrap())
}

async fn root_password(place: &Place) -> String {
    let passwords = place.passwords().await;
    passwords.into_iter().find(|(key, _)| key == "root-password").unwrap().1
}

/// A password is told to nobody else, be it another member of the same cluster.
async fn servers_prove_who_they_are(place: &Place, authority: &Authority) {
    let login =
        Login { user: "root".to_owned(), password: galeractl::desired::Hidden::new(root_password(place).await) };
    let tunnel = Tunnel::open(&place.connection.streams, &place.namespace, &place.node(1), 3306).await.unwrap();
    let ask = async |authority: &Authority, member: Member| {
        let identity = Identity { authority: authority.clone(), name: place.cluster.member(member) };
        connect(&tunnel, &login, Some(&identity)).await.map(drop)
    };
    assert_eq!(ask(authority, Member::Node(1)).await, Ok(()));
    let other = Authority(Signer::new("other", Timestamp::now()).unwrap().pair().certificate.clone());
    for answer in [ask(authority, Member::Node(2)).await, ask(&other, Member::Node(1)).await] {
        assert!(matches!(&answer, Err(SqlError::Untrusted(_))), "{answer:?}");
    }
}

async fn a_client_verifies(place: &Place, Authority(certificate): &Authority) {
    let shown = place.run(&["credentials"]).await.ended(0).stdout;
    assert!(shown.contains("--ssl-ca=ca.crt --ssl-verify-server-cert"), "{shown}");
    let client = Helper::start(place, "client", None).await;
    client.run(&format!("cat >/tmp/ca.crt <<'END'\n{certificate}\nEND\n")).await;
    client.run(OTHER_AUTHORITY).await;
    let (password, proxy) = (root_password(place).await, place.cluster.proxy());
    let ask = |host: &str, ca: &str| {
        format!(
            "MYSQL_PWD={password} mariadb -h {host} -u root --ssl-ca=/tmp/{ca} --ssl-verify-server-cert -NBe \"SHOW STATUS LIKE 'Ssl_cipher'\""
        )
    };
    for host in [proxy.clone(), format!("{proxy}.{}.svc", place.namespace), place.cluster.member(Member::Node(2))] {
        let cipher = client.run(&ask(&host, "ca.crt")).await;
        assert!(cipher.split_whitespace().nth(1).is_some(), "{host}: {cipher}");
    }
    client.run(&format!("! {}", ask(&proxy, "other.crt"))).await;
    client.end().await;
}

/// A key and a certificate that are right in themselves, of somebody else.
const OTHER_AUTHORITY: &str = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=shop-galera-node2 -keyout /tmp/other.key -out /tmp/other.crt 2>/tmp/openssl || { cat /tmp/openssl >&2; exit 1; }";

/// Servers that know the group's name and ask nobody for a password, the second one with certificates of its own.
async fn strangers_stay_outside(place: &Place) {
    let helper = Helper::start(place, "stranger", None).await;
    helper.run(OTHER_AUTHORITY).await;
    helper.run("mariadb-install-db --datadir=/tmp/data --skip-test-db >/tmp/install 2>&1 || { cat /tmp/install >&2; exit 1; }").await;
    let with_own =
        ";socket.ssl=yes;socket.ssl_ca=/tmp/other.crt;socket.ssl_cert=/tmp/other.crt;socket.ssl_key=/tmp/other.key";
    // By its address: a name that is not found in time would end it before anybody has refused it.
    let pod = place.api::<Pod>().get(&place.node(1)).await.unwrap();
    let peer = pod.status.and_then(|status| status.pod_ip).unwrap();
    for certificates in ["", with_own] {
        let server = format!(
            "rm -f /tmp/stranger.err /tmp/ended; (mariadbd --no-defaults --datadir=/tmp/data --socket=/tmp/socket --pid-file=/tmp/pid --port=3399 \
             --skip-grant-tables --wsrep-on=ON --wsrep-provider=/usr/lib/galera/libgalera_smm.so --binlog-format=ROW \
             --innodb-autoinc-lock-mode=2 --wsrep-cluster-name={group} --wsrep-cluster-address=gcomm://{peer} \
             --wsrep-node-name=stranger --wsrep-node-address=$(hostname -i) --wsrep-sst-method=rsync \
             --wsrep-provider-options='pc.wait_prim_timeout=PT10S{certificates}' --log-error=/tmp/stranger.err; echo $? >/tmp/ended) >/dev/null 2>&1 &",
            group = place.cluster.group(&place.namespace),
        );
        helper.run(&server).await;
        until("the stranger gives up", LIMIT, async || {
            for node in [1, 2] {
                let size = "SHOW STATUS LIKE 'wsrep_cluster_size'";
                assert_eq!(place.sql(&place.node(node), size).await[0][1].as_deref(), Some("2"));
            }
            let said = helper.run("cat /tmp/ended 2>/dev/null || echo RUNS").await;
            holds(said.trim() != "RUNS", || said)
        })
        .await;
        let log = helper.run("cat /tmp/stranger.err").await;
        // It has tried for as long as it was told to, and not failed at something else before.
        assert!(log.contains("failed to open gcomm backend connection: 110"), "{log}");
        assert!(!log.contains("Shifting OPEN -> PRIMARY"), "{log}");
    }
    helper.end().await;
    place.healthy().await;
}

/// One dies when its last transaction is in its binary log, and InnoDB has still to hear of it again.
async fn all_servers_die(place: &Place) {
    let (one, two) = (place.node(1), place.node(2));
    let before = place.sequence(1).await;
    let password = root_password(place).await;
    let write = "mariadb -S /run/galeractl/mysqld.sock -u root -e 'INSERT INTO d.t VALUES (2)'";
    let written = format!("MYSQL_PWD='{password}' {write} && {KILL}");
    for (pod, deed) in [(&one, written.as_str()), (&two, KILL)] {
        let died = place.shell(pod, "mariadb", deed).await;
        assert_eq!(died.exit_code, 0, "{died:?}");
    }
    place.up(&OWN).await.ended(0);
    place.healthy().await;
    place.insert(3).await;
    assert_eq!(place.rows(2).await, "1,2,3");
    // Each transaction has the same number on all nodes, and numbers go on: binary logs lead from one to the next.
    let after = [place.sequence(1).await, place.sequence(2).await];
    assert!(after[0] == after[1] && after[0] > before + 1, "{before} {after:?}");
}

async fn a_node_is_rebuilt(place: &Place) {
    gets_a_copy(place, 2).await;
    // The donor has looked whether the joiner bears the name that it said.
    place.says(&place.node(1), &["Encrypting with cert", "/galeractl/tls/tls.crt"]).await;
    assert_eq!(place.rows(2).await, "1,2,3");
}

async fn a_backup_can_be_restored(place: &Place) {
    place.backup("--full").await;
    place.run(&["backup", "verify"]).await.ended(0);
}

/// Nobody has to name the setting again; changed it is only while nothing runs.
async fn what_is_there_stays(place: &Place, before: &Authority) {
    let kept = place.up(&[&UP[..], &["--backup"]].concat()).await.ended(0);
    assert_eq!(kept.changes(), Vec::<String>::new());
    let refused = place.up(&[&OWN[..3], &[OFF]].concat()).await.ended(3);
    let (why, hints) = refused.last_word();
    assert!(why.contains("galera_cluster_tls=own") && hints[0].contains("teardown"), "{why} {hints:?}");

    // One that is missing comes from the same authority.
    let lost = place.cluster.certificate(Member::Node(2));
    place.api::<Secret>().delete(&lost, &DeleteParams::default()).await.unwrap();
    let made = place.up(&OWN[..3]).await.ended(0);
    assert_eq!(made.changes(), [format!("Created secret/{lost}")]);
    assert_eq!(secrets(place).await, ["ca", "credentials", "node1-tls", "node2-tls"]);

    place.stop().await;
    place.up(&[&OWN[..3], &[OFF]].concat()).await.ended(0);
    place.healthy().await;
    assert_eq!(place.rows(2).await, "1,2,3");
    place.stop().await;
    place.up(&[&OWN[..], &["--set=galera_cluster_tls=own"]].concat()).await.ended(0);
    place.healthy().await;
    assert_eq!(&authority(place).await, before);
    assert_eq!(place.rows(2).await, "1,2,3");

    place.run(&["teardown", "--delete-volumes", "--confirm", place.cluster.as_str()]).await.ended(0);
    assert_eq!(secrets(place).await, Vec::<String>::new());
}
