//! A real server judges every option that the settings let through.

use std::time::Duration;

use galeractl::kube::exec;
use galeractl::manifests::scripts::MEMBER;

use crate::cluster::{IMAGE, in_namespace};
use crate::pods::{running, start};

const OPTIONS: &str = include_str!("../corpus/server_options.txt");
const LIMIT: Duration = Duration::from_secs(180);

const GROUPS: usize = 14;
/// Starts a server with each group of options, which ends when it has nothing to do; and says what did not start.
const STARTS: &str = r#"
mariadb-install-db --no-defaults --datadir=/data/db --skip-test-db --force >/dev/null 2>&1 || exit 1
count=0 options=
while IFS= read -r line; do
    if [ -n "$line" ]; then options+=$line$'\n'; continue; fi
    printf '[mysqld]\n%s' "$options" >/tmp/some.cnf
    mariadbd --defaults-file=/tmp/some.cnf --datadir=/data/db --bootstrap </dev/null >/tmp/log 2>&1 || { cat /tmp/some.cnf; grep ERROR /tmp/log; }
    count=$((count + 1)) options=
done
echo "$count groups"
"#;

/// Options that the settings let through, with what else is said of them.
fn let_through() -> impl Iterator<Item = (&'static str, &'static str)> {
    OPTIONS.lines().filter_map(|line| line.split_once(" | ok"))
}

#[tokio::test]
async fn a_server_takes_the_options_that_are_let_through() {
    in_namespace(|place| async move {
        let live = start(&place).await;
        let name = "shop-galera-node1-0";
        place.apply(&place.pod(name, IMAGE, "sleep infinity")).await;
        running(&live, name).await;
        let (_, judge) = MEMBER.iter().find(|(name, _)| *name == "options.sh").unwrap();
        let script = format!(
            "{judge}\nRUN=/tmp\nwhile IFS= read -r option; do printf '[mysqld]\\n%s\\n' \"$option\" >/tmp/one.cnf\n\
             printf '%s -> %s\\n' \"$option\" \"$(options_objection /tmp/one.cnf false </dev/null)\"; done"
        );
        let (options, unknown): (Vec<&str>, Vec<bool>) =
            let_through().map(|(option, rest)| (option, rest.contains("unknown"))).unzip();
        assert!(options.len() > 100);
        let at = exec::Place { namespace: &place.namespace, pod: name, container: "main" };
        let lines = options.join("\n") + "\n";
        let argv = ["bash", "-c", script.as_str()];
        let output = exec::exec(&place.connection.streams, at, &argv, Some(&lines), LIMIT).await.unwrap();
        let judged: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(judged.len(), options.len(), "{output:?}");
        for ((said, option), unknown) in judged.iter().zip(options).zip(unknown) {
            let objects = said.split_once(" -> ").unwrap_or_else(|| panic!("{said}")).1;
            assert_eq!(objects.contains("unknown variable"), unknown, "{said}");
            assert!(unknown || objects.is_empty(), "{option}: {said}");
        }
        // Several at a time, those of one kind apart from each other.
        let known: Vec<&str> =
            let_through().filter(|(_, rest)| !rest.contains("unknown")).map(|(option, _)| option).collect();
        let groups =
            (0..GROUPS).map(|group| known.iter().skip(group).step_by(GROUPS).copied().collect::<Vec<_>>().join("\n"));
        let groups = groups.map(|group| group + "\n\n").collect::<String>();
        let output =
            exec::exec(&place.connection.streams, at, &["bash", "-c", STARTS], Some(&groups), LIMIT).await.unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.exit_code),
            (format!("{GROUPS} groups\n").as_str(), 0),
            "{output:?}"
        );
    })
    .await;
}
