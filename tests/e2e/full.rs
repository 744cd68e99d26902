//! With all connections taken, nobody who has one is cut, and a client too many is told so.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::helper::Helper;
use crate::place::{Place, every_case, in_namespace};
use crate::wait::{holds, until};

/// As many as the server takes, and some more.
const HOLDERS: usize = 20;
const TOO_MANY: usize = 6;
/// A holder writes at most this often.
const PACE: &str = "0.1";
/// Who was refused comes again after this time, seconds.
const AGAIN: &str = "0.4";
const LIMIT: Duration = Duration::from_secs(180);

/// Rows that each holder writes while the server is full: at its pace, a minute of them in the long form.
fn rows() -> usize {
    if every_case() { 500 } else { 100 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_too_many_disturbs_nobody() {
    in_namespace("full", async |place| {
        let file = place.home.path().join("galera.conf");
        let settings = "galera_mysql_database=shop\ngalera_mysql_user=app\ngalera_cluster_volume_size=2Gi\n";
        let text = format!("[all:vars]\n{settings}[mysqld]\nmax_connections={HOLDERS}\n");
        std::fs::write(&file, text).unwrap();
        place.up(&["--nodes=3"]).await.ended(0);
        place.sql(&place.node(1), "CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY, who INT)").await;
        let clients = Clients { helper: Helper::start(place, "clients", None).await };
        clients.hold(place).await;
        clients.come_again_and_again().await;
        is_well_but_full(place).await;
        clients.write(rows()).await;
        is_well_but_full(place).await;
        let written = clients.end().await;
        place.healthy().await;
        let there = place.sql(&place.node(2), "SELECT COUNT(*) FROM shop.t").await;
        assert_eq!(there, [[Some(written.to_string())]], "acknowledged, and there");
        clients.helper.end().await;
    })
    .await;
}

/// Whoever judges the cluster comes in all the same, and says that nobody else does.
async fn is_well_but_full(place: &Place) {
    let report = place.run(&["verify", "-o", "json"]).await.ended(1).json();
    let failed: Vec<_> = report["checks"].as_array().unwrap().iter().filter(|check| check["mark"] == "fail").collect();
    assert!(failed.len() == 1 && failed[0]["id"] == "proxy-writes", "{failed:?}");
    let evidence = failed[0]["evidence"].as_str().unwrap();
    assert!(evidence.contains("no connection left"), "{evidence}");
}

/// Clients in a pod: some hold a connection each and write, some come and are refused.
struct Clients<'a> {
    helper: Helper<'a>,
}

/// Error 1040, with TLS as a part of another.
fn is_refusal(line: &str) -> bool {
    line.starts_with("ERROR ") && line.contains("1040") && line.contains("Too many connections")
}

impl Clients<'_> {
    async fn hold(&self, place: &Place) {
        let passwords = place.passwords().await;
        let (_, password) = passwords.iter().find(|(key, _)| key == "user-password").unwrap();
        let host = place.cluster.proxy();
        // Each ends at its first error once it is in, and connects once only.
        let script = format!(
            "cd /tmp && cat >client <<'SCRIPT'
export MYSQL_PWD='{password}'
exec mariadb -h {host} -u app --connect-timeout=20 --skip-reconnect -NB \"$@\" shop
SCRIPT
cat >holder <<'SCRIPT'
write() {{
    while [ ! -e stop ]; do echo \"INSERT INTO t (who) VALUES ($1); SELECT @@hostname;\"; sleep {PACE}; done |
        sh client --unbuffered >held.$1 2>&1
}}
# While others come in as well, such as the health question.
until write $1; code=$?; [ $code = 0 ] || ! grep -q 1040 held.$1; do :; done
echo \"end $code\" >>held.$1
SCRIPT
cat >comer <<'SCRIPT'
while [ ! -e stop ]; do sh client -e 'SELECT 1' >>came.$1 2>&1; sleep {AGAIN}; done; echo end >>came.$1
SCRIPT
for who in $(seq {HOLDERS}); do sh holder $who >/dev/null 2>&1 & done"
        );
        self.helper.run(&script).await;
        self.write(1).await;
    }

    async fn come_again_and_again(&self) {
        let script = format!("cd /tmp; for who in $(seq {TOO_MANY}); do sh comer $who >/dev/null 2>&1 & done");
        self.helper.run(&script).await;
    }

    /// Waits until each holder has written so many rows more, and as often a client was refused.
    async fn write(&self, more: usize) {
        let count = async || {
            let text =
                self.helper.run("cd /tmp; for who in held.*; do wc -l <$who; done; cat held.* | sed /node/d").await;
            let counts: Vec<usize> = text.lines().map_while(|line| line.parse().ok()).collect();
            let trouble: Vec<String> = text.lines().skip(counts.len()).map(str::to_owned).collect();
            (counts.iter().min().copied().unwrap_or(0), counts.len(), trouble)
        };
        let (before, _, _) = count().await;
        until(&format!("{more} rows more of each"), LIMIT, async || {
            let (least, holders, trouble) = count().await;
            assert!(trouble.is_empty(), "cut: {trouble:?}");
            holds(holders == HOLDERS && least >= before + more, || format!("{least} of {holders} holders"))
        })
        .await;
    }

    /// How many rows were acknowledged, all by one server.
    async fn end(&self) -> usize {
        self.helper.run("touch /tmp/stop").await;
        let all = HOLDERS + TOO_MANY;
        let ended = async || self.helper.run("cd /tmp; cat held.* came.* | sed -n /^end/p | wc -l").await;
        until("the end of all clients", LIMIT, async || {
            let count = ended().await;
            holds(count.trim() == all.to_string(), || format!("{count} of {all}"))
        })
        .await;
        let came = self.helper.run("cd /tmp; cat came.* | sed /^end/d").await;
        let odd: Vec<&str> = came.lines().filter(|line| !is_refusal(line) && *line != "1").collect();
        assert!(odd.is_empty(), "{odd:?}");
        let refused = came.lines().filter(|line| is_refusal(line)).count();
        assert!(refused > rows() / 2 && came.lines().count() - refused <= TOO_MANY, "{refused} of {came}");
        let held = self.helper.run("cd /tmp; cat held.*").await;
        let (ends, servers): (Vec<&str>, Vec<&str>) = held.lines().partition(|line| line.starts_with("end"));
        assert_eq!(ends, ["end 0"; HOLDERS]);
        assert_eq!(servers.iter().collect::<BTreeSet<_>>().len(), 1, "the writer has moved");
        servers.len()
    }
}
