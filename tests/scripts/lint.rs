//! `shellcheck` over every script as it is run: parts that are sourced or joined are judged together.

use std::io::Write as _;
use std::process::{Command, Stdio};

use galeractl::manifests::{backup, scripts};

/// `A && B || C` is meant as it works here; parts are joined in front of those that read them; and what stands behind
/// the last `exit` of joined parts, or is used by some of them only, is taken for unreachable.
const WITHOUT: &str = "--exclude=SC2015,SC1091,SC2317";

fn judge(name: &str, shell: &str, text: &str) -> Result<(), String> {
    let child = Command::new("shellcheck")
        .args(["--norc", "--format=gcc", WITHOUT, &format!("--shell={shell}"), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => panic!("shellcheck cannot be run ({error}). Install it: apt-get install shellcheck"),
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name}:\n{}", String::from_utf8_lossy(&output.stdout)))
}

/// Scripts that members run, joined in the order in which they are read.
fn joined(parts: &[&str]) -> String {
    let part = |name: &&str| scripts::MEMBER.iter().find(|(key, _)| key == name).map(|(_, text)| *text).unwrap();
    parts.iter().map(part).collect()
}

#[test]
fn the_first_process_of_a_container_hears_that_it_is_to_end_from_its_first_command_on() {
    let agent = backup::SCRIPTS.iter().find(|(key, _)| *key == "agent.sh").unwrap().1;
    let proxy = include_str!("../../src/manifests/scripts/haproxy.sh");
    for text in [joined(&["start.sh"]).as_str(), agent, proxy] {
        let first = text.lines().find(|line| !line.starts_with('#')).unwrap();
        assert_eq!(first, "trap 'exit 143' TERM INT", "{text}");
    }
}

#[test]
fn shellcheck_finds_nothing() {
    let member = |parts: &[&str]| ("bash", joined(parts));
    let backup = |parts: &[&str]| {
        let text = |name: &&str| backup::SCRIPTS.iter().find(|(key, _)| key == name).map(|(_, text)| *text).unwrap();
        ("bash", parts.iter().map(text).collect::<String>())
    };
    let all = [
        (
            "start",
            member(&["report.sh", "options.sh", "volume.sh", "sql.sh", "peers.sh", "node.sh", "seed.sh", "start.sh"]),
        ),
        (
            "hold",
            member(&[
                "report.sh",
                "options.sh",
                "volume.sh",
                "sql.sh",
                "peers.sh",
                "node.sh",
                "seed.sh",
                "start.sh",
                "hold.sh",
            ]),
        ),
        ("overwrite", member(&["report.sh", "volume.sh", "peers.sh", "node.sh", "overwrite.sh"])),
        ("notify", member(&["report.sh", "volume.sh", "notify.sh"])),
        ("forget", member(&["volume.sh", "forget.sh"])),
        ("standby", member(&["standby.sh"])),
        ("order", member(&["order.sh"])),
        ("try", ("bash", scripts::TRY.to_owned())),
        ("values", ("bash", scripts::VALUES.to_owned())),
        ("knock", ("bash", scripts::KNOCK.to_owned())),
        ("client", ("bash", scripts::CLIENT.to_owned())),
        ("inspect", ("bash", scripts::INSPECT.to_owned())),
        ("image", ("bash", scripts::IMAGE.to_owned())),
        ("image of the proxy", ("sh", scripts::IMAGE_PROXY.to_owned())),
        ("tables", ("bash", scripts::TABLES.to_owned())),
        ("purge", ("bash", scripts::PURGE.to_owned())),
        ("turn", ("bash", scripts::TURN.to_owned())),
        ("restore", ("bash", scripts::RESTORE.to_owned())),
        ("agent", backup(&["common.sh", "seal.sh", "keep.sh", "agent.sh"])),
        ("haproxy", ("sh", include_str!("../../src/manifests/scripts/haproxy.sh").to_owned())),
        ("catalog", ("bash", scripts::CATALOG.to_owned())),
        ("serve", ("bash", scripts::SERVE.to_owned())),
        ("reader", ("bash", scripts::READER.to_owned())),
        ("put", ("bash", scripts::PUT.to_owned())),
        ("directory", ("bash", scripts::DIRECTORY.to_owned())),
        ("ask", ("bash", scripts::ASK.to_owned())),
        ("expired", ("bash", scripts::EXPIRED.to_owned())),
    ];
    let found: Vec<String> = all.iter().filter_map(|(name, (shell, text))| judge(name, shell, text).err()).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
