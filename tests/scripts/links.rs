//! Links, pipes and folders that somebody has planted where the agent reads and writes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::hostile::EVERYTHING;
use crate::world::{FULL, INCREMENT, World, backup_json};

/// Everything under a folder, with its bytes.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn nothing_is_read_or_written_through_a_link() {
    let places = [
        "agent.json",
        "agent.json.new",
        "owner",
        "owner/who",
        "owner/who.new",
        "owner/beat",
        "owner/beat.new",
        "binlog",
        "binlog/.partial-bin.000001",
        "binlog/1795150000-3f2a91bc-bin.000001.zst",
        "binlog/1795150000-3f2a91bc-bin.000001.zst.json",
        ".partial-20261124T000640Z-inc",
        ".trash-20261120T020000Z-full",
        "20261130T000000Z-full",
        "20261130T000000Z-full/backup.json",
        "20261130T000000Z-full/verified.json",
        "20261130T000000Z-full/data.mb.zst",
        "20261130T000000Z-full/lsn",
        "20261130T000000Z-full/lsn/mariadb_backup_checkpoints",
    ];
    for place in places {
        for target in ["outside/folder", if place.contains("owner") { "outside/nothing" } else { "outside/file" }] {
            let world = World::new();
            fs::create_dir_all(world.at("outside/folder/binlog")).unwrap();
            fs::write(world.at("outside/folder/kept"), "kept").unwrap();
            let secret = backup_json("20261130T000000Z-full", "", "20261130T000000Z-full", 0).replace("data", "secret");
            fs::write(world.at("outside/folder/backup.json"), &secret).unwrap();
            fs::write(world.at("outside/file"), &secret).unwrap();
            let before = content(&world.at("outside"));
            if place == "binlog" {
                fs::remove_dir_all(world.root("binlog")).unwrap();
            }
            if place.starts_with("20261130T000000Z-full/") {
                world.backup("20261130T000000Z-full", "", "20261130T000000Z-full", 0);
            }
            let at = world.root(place);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&at);
            let _ = fs::remove_dir_all(&at);
            symlink(world.at(target), &at).unwrap();
            let case = format!("{place} to {target}");
            let said = world.agent(&EVERYTHING.replace("take_place", "DEAD_AFTER=0; take_place"));
            assert!(said.contains("state=done"), "{case}: {said}");
            assert_eq!(content(&world.at("outside")), before, "{case}: {said}");
            world.good_backups_are_fine(&case);
            assert!(!format!("{:?}", world.catalog()).contains("secret"), "{case}");
        }
    }
}

#[test]
fn the_folder_of_a_cluster_is_no_link() {
    for level in ["backups/data", "backups/data/shop"] {
        let world = World::new();
        fs::rename(world.at(level), world.at("outside/moved")).unwrap();
        symlink(world.at("outside/moved"), world.at(level)).unwrap();
        let before = content(&world.at("outside"));
        assert!(world.agent("has_root || echo refused; fail 'a link'; state waits").contains("refused"), "{level}");
        assert_eq!(content(&world.at("outside")), before, "{level}");
        assert!(fs::read_to_string(world.at("own/agent.json")).unwrap().contains("a link"), "{level}");
        assert!(world.catalog().backups.is_empty(), "{level}");
    }
}

#[test]
fn pipes_are_not_waited_for() {
    let world = World::new();
    let pipes = ["agent.json", "owner", "20261130T000000Z-full/backup.json", "binlog/1-3f2a91bc-bin.000001.zst.json"];
    for pipe in pipes {
        fs::create_dir_all(world.root(pipe).parent().unwrap()).unwrap();
        world.agent(&format!("mkfifo \"$ROOT/{pipe}\""));
    }
    let said = world.agent(EVERYTHING);
    assert!(said.contains("state=done"), "{said}");
    world.good_backups_are_fine("a pipe");
}

#[test]
fn what_the_agent_makes_is_for_itself_only() {
    let world = World::new();
    world.agent("take full; ship_logs; tell_state; take_place; beat");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let new = world.catalog().backups.last().unwrap().id.clone();
    assert!(new.as_str() > INCREMENT && new.ends_with("-full"), "{new}");
    for (path, wanted) in [
        (new.clone(), 0o700),
        (format!("{new}/lsn"), 0o700),
        (format!("{new}/backup.json"), 0o600),
        (format!("{new}/data.mb.zst"), 0o600),
        ("agent.json".to_owned(), 0o600),
        ("owner".to_owned(), 0o700),
        ("owner/who".to_owned(), 0o600),
        ("binlog/1795150000-3f2a91bc-bin.000001.zst".to_owned(), 0o600),
    ] {
        assert_eq!(mode(&world.root(&path)), wanted, "{path}");
    }
}

#[test]
fn a_reader_gives_only_what_lies_on_the_volume() {
    let world = World::new();
    fs::write(world.at("outside/file"), "secret thing").unwrap();
    symlink(world.at("outside"), world.at("backups/data/away")).unwrap();
    symlink(world.at("outside/file"), world.root("link")).unwrap();
    let good = format!("secret file data/shop/{FULL}/data.mb.zst\n");
    assert_eq!(world.serve(good.as_bytes()), b"1234567");
    assert_eq!(world.serve(b"secret plan -\n"), b"the plan\n");
    for request in [
        "wrong plan -\n",
        " plan -\n",
        "",
        "secret file /etc/passwd\n",
        "secret file ../outside/file\n",
        "secret file data/../../outside/file\n",
        "secret file data/away/file\n",
        "secret file data/shop/link\n",
        "secret file data//shop/link\n",
        "secret file \n",
        "secret file $(touch canary)\n",
        "secret tar data/away\n",
        "secret tar ..\n",
        "secret tar\n",
        "secret other data\n",
    ] {
        let given = world.serve(request.as_bytes());
        assert_eq!(given, b"", "{request}");
    }
    let archive = world.serve(b"secret tar data/shop\n");
    let text = String::from_utf8_lossy(&archive);
    assert!(text.contains("data.mb.zst") && !text.contains("./link") && !text.contains("secret thing"));
    assert!(!world.canary().exists());
}
