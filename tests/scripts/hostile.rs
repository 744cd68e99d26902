//! Everything that the scripts read, with contents that nobody should obey.

use std::fs;

use crate::world::{FULL, INCREMENT, LOG, World, backup_json, log_json};

/// All that the agent does, one after the other.
pub(crate) const EVERYTHING: &str = r#"
    printf 'abc backup auto\n' >"$OWN/request.good"
    has_root || echo 'has no root'
    answer_request
    take_place
    beat
    tell_state
    echo "due: $(due)"
    echo "base: $(base_of "$(incarnation)")"
    rm -f "$OWN/request"
    mv "$OWN/request.good" "$OWN/request"
    node_is_synced() { :; }
    answer_request
    ship_logs
    expired
    tidy
    leave_place
"#;

/// What is put into the files; CANARY is a file that must never come into being.
fn contents() -> Vec<Vec<u8>> {
    let texts = [
        "BASH_VERSINFO[$(touch CANARY; echo 0)]",
        "$(touch CANARY)",
        "`touch CANARY`",
        "\"; touch CANARY; echo \"",
        "'; touch CANARY; '",
        "a[$(touch CANARY)]=1",
        "x\n$(touch CANARY)\nagent {\"at\":BASH_VERSINFO[$(touch CANARY)]}\n",
        "08",
        "-1",
        "99999999999999999999999999",
        "0x10",
        "../../../outside",
        "%s%n%(x)T",
        "--help",
        "*",
        "{\"ok\":false,\"ok\":true,\"at\":",
        "",
    ];
    let mut contents: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    contents.push(b"\0\0$(touch CANARY)\0\xff\xfe\x1b[31m\0".to_vec());
    contents.push(vec![b'9'; 10 << 20]);
    contents
}

impl World {
    fn hostile(&self, bytes: &[u8]) -> Vec<u8> {
        let canary = self.canary().display().to_string();
        match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text.replace("CANARY", &canary).into_bytes(),
            Err(_) => [bytes, b"$(touch ", canary.as_bytes(), b")"].concat(),
        }
    }
}

#[test]
fn whatever_a_file_holds_is_not_obeyed() {
    for bytes in contents() {
        let world = World::new();
        let case = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let bytes = world.hostile(&bytes);
        // Newer than all others, so that everything looks at them first.
        for id in ["20261130T000000Z-full", "20261130T000001Z-inc"] {
            world.write(&format!("{id}/data.mb.zst"), &bytes);
            world.write(&format!("{id}/backup.json"), &bytes);
            world.write(&format!("{id}/verified.json"), &bytes);
            world.write(&format!("{id}/lsn/mariadb_backup_checkpoints"), &bytes);
        }
        world.write("agent.json", &bytes);
        world.write("owner/who", &bytes);
        world.write("owner/beat", &bytes);
        world.write("binlog/1795150000-3f2a91bc-bin.000009.zst", &bytes);
        world.write("binlog/1795150000-3f2a91bc-bin.000009.zst.json", &bytes);
        fs::write(world.at("own/request"), &bytes).unwrap();
        // One that beats for ever but never in the same way would keep the place; this one does not beat.
        let said = world.agent(&EVERYTHING.replace("take_place", "DEAD_AFTER=0; take_place"));
        assert!(said.contains(&format!("base: {INCREMENT}")), "{case}: {said}");
        assert!(said.contains("state=done"), "{case}: {said}");
        world.good_backups_are_fine(&case);
        // The data volume belongs to the server, whose users may write files.
        fs::write(world.at("volume/data/incarnation"), &bytes).unwrap();
        world.agent(EVERYTHING);
        assert!(!world.canary().exists(), "{case} was obeyed");
    }
}

#[test]
fn no_field_of_a_description_is_obeyed() {
    let world = World::new();
    let mut number = 0;
    let whole: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&backup_json(FULL, "", FULL, 0)).unwrap();
    for key in whole.keys() {
        for bytes in contents().iter().filter(|bytes| bytes.len() < 1000) {
            let Ok(value) = String::from_utf8(world.hostile(bytes)) else { continue };
            for quote in ["", "\""] {
                number += 1;
                let id = format!("20261201T{:02}{:02}{:02}Z-full", number / 3600, number / 60 % 60, number % 60);
                let json = backup_json(&id, "", &id, 0);
                let before = json.find(&format!("\"{key}\":")).unwrap() + key.len() + 3;
                let after = before + json[before..].find([',', '}']).unwrap();
                let json = format!("{}{quote}{value}{quote}{}", &json[..before], &json[after..]);
                world.write(&format!("{id}/backup.json"), json.as_bytes());
                world.write(&format!("{id}/data.mb.zst"), b"x");
                let log = format!("{}-3f2a91bc-bin.{number:06}.zst", 1_795_100_000 + number);
                let json = log_json(&log).replacen("\"0-1-10\"", &format!("{quote}{value}{quote}"), 1);
                world.write(&format!("binlog/{log}.json"), json.as_bytes());
                world.write(&format!("binlog/{log}"), b"x");
            }
        }
    }
    assert!(number > 400, "{number}");
    let said = world.agent(EVERYTHING);
    assert!(said.contains("state=done"), "{said}");
    world.good_backups_are_fine("a field");
}

#[test]
fn names_of_folders_and_files_are_not_obeyed() {
    let world = World::new();
    let names = [
        "$(touch CANARY)Z-full",
        "x[$(touch CANARY)]Z-inc",
        "99999999T999999Z-full",
        "20261130T000000Z-full\n20261130T000001Z-full",
        "-rfZ-full",
        "`touch CANARY`Z-full",
        ".partial-$(touch CANARY)",
    ];
    let canary = world.canary().display().to_string().replace('/', "$'\\x2f'");
    for name in names {
        let name = name.replace("CANARY", &canary);
        world.write(&format!("{name}/backup.json"), backup_json(FULL, "", FULL, 0).as_bytes());
        world.write(&format!("{name}/data.mb.zst"), b"x");
        world.write(&format!("{name}/verified.json"), b"{\"ok\":true}");
        world.write(&format!("binlog/{name}.zst"), b"x");
        world.write(&format!("binlog/{name}.zst.json"), log_json(&name).as_bytes());
        world.write(&format!("binlog/1-00000000-{name}.zst.json"), log_json(&name).as_bytes());
        world.write(&format!("binlog/1-00000000-{name}.zst"), b"x");
        fs::create_dir_all(world.at("backups").join(&name).join("x/20261130T000000Z-full")).unwrap();
    }
    let said = world.agent(EVERYTHING);
    assert!(said.contains(&format!("base: {INCREMENT}")) && said.contains("state=done"), "{said}");
    world.good_backups_are_fine("a name");
    let catalog = world.catalog();
    assert_eq!(catalog.clusters, ["data/shop"], "{catalog:?}");
    assert!(catalog.logs.iter().any(|log| log.name == LOG), "{catalog:?}");
}

#[test]
fn a_log_that_claims_the_future_does_not_stop_the_copies() {
    let world = World::new();
    let name = "1795150000-3f2a91bc-bin.000009.zst";
    world.write(&format!("binlog/{name}"), b"x");
    world.write(&format!("binlog/{name}.json"), log_json(name).replace("0-1-10", "0-1-999999999999999999").as_bytes());
    world.agent("ship_logs");
    let copied = world.catalog().logs.into_iter().any(|log| log.to == "0-1-20,103-1-5");
    assert!(copied, "the closed log was not copied");
}

#[test]
fn a_chain_that_bites_its_own_tail_ends() {
    let world = World::new();
    let (one, other) = ("20261130T000000Z-inc", "20261130T000001Z-inc");
    world.backup(one, other, FULL, 20);
    world.backup(other, one, FULL, 30);
    let said = world.agent(EVERYTHING);
    assert!(said.contains("due:"), "{said}");
    world.good_backups_are_fine("a circle");
}

#[test]
fn a_claim_of_size_does_not_keep_others_from_being_taken() {
    let world = World::new();
    let id = "20261130T000000Z-full";
    world.backup(id, "", id, 0);
    let json = backup_json(id, "", id, 0).replace("\"bytes\":7", "\"bytes\":999999999999999999");
    world.write(&format!("{id}/backup.json"), json.as_bytes());
    let said = world.agent("take full");
    assert!(said.contains("state=done"), "{said}");
}
