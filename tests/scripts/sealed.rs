//! Backups that are encrypted and signed: nobody reads them from the volume, and nothing on it passes for one of them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use galeractl::backups::{Catalog, From, Gaps, Signer, To, Trust, Wanted, choose};
use galeractl::cluster::backup_keys::fresh;
use galeractl::manifests::seal::{DECRYPT, Keys, VERIFY};

use crate::stage::Tree;
use crate::world::{FULL, INCREMENT, World};

/// In the stream that the stub writes, and in its binary log.
const POSITION: &str = "79651a2b-0000-11f0-8000-0123456789ab:15";

/// A volume with a chain that was taken in clear, and two newer ones, of one increment and of none, that are encrypted.
struct Sealed {
    world: World,
    keys: Keys,
    full: String,
    increment: String,
    other: String,
    log: String,
}

impl Sealed {
    fn new() -> Self {
        Self::by(fresh().unwrap())
    }

    fn by(keys: Keys) -> Self {
        let world = World::new();
        for (name, text) in &keys {
            put(&world, if name == DECRYPT { "opening" } else { "keys" }, name, text);
        }
        put(&world, "opening", VERIFY, &keys[VERIFY]);
        let said = world.agent(
            "ENCRYPTION=own\necho \"base: $(base_of \"$(incarnation)\") due: $(due)\"\ntake full\n((EPOCHSECONDS += 60)); take inc\n\
             ((EPOCHSECONDS += 60)); take full\nship_logs",
        );
        assert!(said.contains("base:  due: full"), "nothing is built on what nobody has signed: {said}");
        let ids: Vec<String> = said
            .lines()
            .filter(|line| line.contains("state=done"))
            .map(|line| line.split(" id=").nth(1).unwrap().split(' ').next().unwrap().to_owned())
            .collect();
        let [full, increment, other] = ids.try_into().unwrap_or_else(|_| panic!("{said}"));
        let logs = fs::read_dir(world.root("binlog")).unwrap().map(|entry| entry.unwrap().file_name());
        let log = logs
            .map(|name| name.into_string().unwrap())
            .find(|name| name.ends_with("bin.000001.zst") && !name.starts_with("1795140000"));
        Self { world, keys, full, increment, other, log: log.unwrap() }
    }

    fn trust(&self) -> Trust {
        Trust { signer: Some(Signer::from_pem(&self.keys[VERIFY]).unwrap()), unsigned: false }
    }

    /// What galeractl would restore.
    fn plan(&self, trust: &Trust) -> Result<String, String> {
        let wanted = Wanted {
            from: From::Id(self.increment.clone()),
            increment: None,
            to: Some(To::Gtid(18)),
            gaps: Gaps::Refused,
        };
        choose(&self.world.catalog_by(trust), &wanted).map(|source| source.plan())
    }

    /// Changes something on the volume, with the names of its parts in variables.
    fn change(&self, script: &str) {
        let root = self.world.root("");
        let output = Command::new("bash")
            .args(["-euc", script])
            .current_dir(&root)
            .envs([("F", &self.full), ("I", &self.increment), ("O", &self.other)])
            .env("L", format!("binlog/{}", self.log))
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// Whether the Job takes it, and what it would give to a server.
    fn fill(&self, plan: &str, signed: bool) -> (bool, String, Tree) {
        let (said, given) = self.world.fill(plan, signed);
        let copied = said.contains("phase=copied");
        assert_ne!(copied, said.contains("phase=failed"), "{said}");
        (copied, said, given)
    }
}

fn put(world: &World, folder: &str, name: &str, text: &str) {
    fs::create_dir_all(world.at(folder)).unwrap();
    fs::write(world.at(folder).join(name), text).unwrap();
}

#[test]
fn what_was_encrypted_comes_back_and_tells_nothing_before() {
    let sealed = Sealed::new();
    let plan = sealed.plan(&sealed.trust()).unwrap();
    assert_eq!(plan.lines().count(), 3, "{plan}");
    let (copied, said, given) = sealed.fill(&plan, true);
    assert!(copied, "{said}");
    assert_eq!(given.len(), 3, "{given:?}");
    for (name, text) in &given {
        let sign: &[u8] = if name.starts_with("logs") { b"\xfebin" } else { POSITION.as_bytes() };
        assert!(text.windows(sign.len()).any(|part| part == sign), "{name}");
    }
    let [full, increment] = ["data/stream", "inc.1/stream"].map(|name| &given[name]);
    assert_eq!(full, increment, "the stub writes the same each time");
    let stored = |id: &str| fs::read(sealed.world.root(id).join("data.mb.zst")).unwrap();
    assert_ne!(stored(&sealed.full), stored(&sealed.increment), "each has a key of its own");
    let log = fs::read(sealed.world.root("binlog").join(&sealed.log)).unwrap();
    for bytes in [stored(&sealed.full), stored(&sealed.increment), log] {
        for sign in [POSITION.as_bytes(), b"XBSTCK01", b"\xfebin"] {
            assert!(!bytes.windows(sign.len()).any(|part| part == sign));
        }
    }
    // Neither with what the agent has.
    fs::remove_file(sealed.world.at("opening").join(DECRYPT)).unwrap();
    let (copied, said, _) = sealed.fill(&plan, true);
    assert!(!copied && said.contains("is encrypted for another key than the one that was given"), "{said}");
    put(&sealed.world, "opening", DECRYPT, &fresh().unwrap()[DECRYPT]);
    // Only the programs that unpack can tell what comes of another key.
    let (_, said, given) = sealed.fill(&plan, true);
    assert!(!given.values().any(|text| text == full), "{said}");
}

#[test]
fn files_are_for_their_owner_only() {
    let sealed = Sealed::new();
    let mut seen = 0;
    for name in [
        format!("{}/backup.json.sig", sealed.full),
        format!("{}/data.mb.zst", sealed.full),
        format!("binlog/{}.json.sig", sealed.log),
    ] {
        let mode = sealed.world.root(&name).symlink_metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 3);
    assert!(!tell_tale(&sealed), "a key lies on the volume");
}

/// Whether anything of a private key, or of a secret, lies where the agent has written.
fn tell_tale(sealed: &Sealed) -> bool {
    let parts: Vec<&str> = sealed.keys[DECRYPT]
        .lines()
        .chain(sealed.keys["sign.key"].lines())
        .filter(|line| !line.starts_with('-'))
        .collect();
    let all = ["backups", "own", "volume"].map(|folder| crate::stage::tree(&sealed.world.at(folder)));
    all.iter().flat_map(|tree| tree.values()).any(|text| {
        let text = String::from_utf8_lossy(text);
        text.contains("PRIVATE KEY") || parts.iter().any(|part| text.contains(part))
    })
}

/// What somebody may do who can write to the volume: name, and commands. $F is a full backup, $I builds on it, $O is a
/// later full one, $L a binary log.
const TAMPERING: &[(&str, &str)] = &[
    ("a byte of the full stream", "printf X | dd of=$F/data.mb.zst bs=1 seek=40 conv=notrunc"),
    ("a byte of the incremental stream", "printf X | dd of=$I/data.mb.zst bs=1 seek=40 conv=notrunc"),
    ("a byte of a binary log", "printf X | dd of=$L bs=1 seek=40 conv=notrunc"),
    ("a stream that was cut", "truncate -s -5 $F/data.mb.zst"),
    ("a binary log that was cut", "truncate -s -5 $L"),
    ("an empty stream", ": >$I/data.mb.zst"),
    ("a field", "sed -i 's/\"seqno\":15/\"seqno\":16/' $F/backup.json"),
    ("a space", "sed -i 's/^{/{ /' $F/backup.json"),
    ("a field of a binary log", "sed -i 's/\"to\":\"0-1-20/\"to\":\"0-1-30/' $L.json"),
    (
        "a byte of the stream, with its new sum",
        "printf X | dd of=$F/data.mb.zst bs=1 seek=40 conv=notrunc; s=$(sha256sum <$F/data.mb.zst); \
         sed -i -E \"s/\\\"sha256\\\":\\\"[0-9a-f]+/\\\"sha256\\\":\\\"${s%% *}/\" $F/backup.json",
    ),
    (
        "a byte of a binary log, with its new sum",
        "printf X | dd of=$L bs=1 seek=40 conv=notrunc; s=$(sha256sum <$L); \
         sed -i -E \"s/\\\"sha256\\\":\\\"[0-9a-f]+/\\\"sha256\\\":\\\"${s%% *}/\" $L.json",
    ),
    ("the key beside the stream", "sed -i -E 's/(\"key\":\".{60})(.)(.)/\\1\\3\\2/' $F/backup.json"),
    (
        "the key of another stream",
        "k=$(grep -o '\"key\":\"[^\"]*\"' $O/backup.json); sed -i -E \"s#\\\"key\\\":\\\"[^\\\"]*\\\"#$k#\" $F/backup.json",
    ),
    ("no key", "sed -i -E 's/,\"key\":\"[^\"]*\"//' $F/backup.json"),
    ("a byte of a signature", "sed -i -E 's/^(.{40})A/\\1B/; t; s/^(.{40})./\\1A/' $F/backup.json.sig"),
    ("no signature", "rm $F/backup.json.sig"),
    ("no signature of the increment", "rm $I/backup.json.sig"),
    ("no signature of a binary log", "rm $L.json.sig"),
    ("an empty signature", ": >$F/backup.json.sig"),
    ("the signature of another backup", "cp $O/backup.json.sig $F/"),
    ("the signature of a binary log", "cp $L.json.sig $F/backup.json.sig"),
    ("streams that have changed places", "mv $F/data.mb.zst x; mv $I/data.mb.zst $F/; mv x $I/data.mb.zst"),
    ("folders that have changed places", "mv $F x; mv $I $F; mv x $I"),
    ("another full backup as the base", "rm -r $F; cp -r $O $F"),
    ("another full backup as the base, renamed inside", "rm -r $F; cp -r $O $F; sed -i \"s/$O/$F/g\" $F/backup.json"),
    ("an older backup under the newer name", "rm -r $I; cp -r $F $I"),
    ("a description without its end", "truncate -s -20 $F/backup.json"),
    ("two lines", "{ cat 20261120T020000Z-full/backup.json; cat $F/backup.json; } >x; mv x $F/backup.json"),
    (
        "a backup in clear",
        "cp 20261120T020000Z-full/data.mb.zst 20261120T020000Z-full/backup.json $F/; rm $F/backup.json.sig",
    ),
    (
        "a binary log in clear",
        "rm $L.json.sig; printf '\\xfebin' >$L; s=$(sha256sum <$L); sed -i -E \"s/\\\"sha256\\\":\\\"[0-9a-f]+/\\\"sha256\\\":\\\"${s%% *}/; s/,\\\"key\\\".*/}/\" $L.json",
    ),
    ("a link in place of the stream", "mv $F/data.mb.zst x; printf other >y; ln -s ../y $F/data.mb.zst"),
];

#[test]
fn whatever_is_changed_on_the_volume_is_refused_before_it_is_used() {
    let clean = Sealed::new();
    let before = clean.plan(&clean.trust()).unwrap();
    let saved = clean.world.at("saved");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        drop(fs::remove_dir_all(to));
        let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
        assert!(done.success());
    };
    copy(&clean.world.at("backups"), &saved);
    let mut judged = BTreeSet::new();
    for (what, script) in TAMPERING {
        copy(&saved, &clean.world.at("backups"));
        clean.change(script);
        // The volume was changed after the look at it.
        let (copied, said, given) = clean.fill(&before, true);
        assert!(!copied, "{what}: the Job has taken it: {said}");
        assert!(!given.contains_key("logs/000001") || what.contains("binary log"), "{what}: {given:?}");
        // Before the look. A byte of a stream is seen only when it is read.
        let seen = clean.plan(&clean.trust());
        if seen.is_err() {
            judged.insert(*what);
        }
        // And whoever believes what is there makes another plan of it: the Job still asks for signatures.
        let believed = clean.plan(&Trust { signer: None, unsigned: true });
        for plan in [seen, believed].into_iter().flatten().filter(|plan| *plan != before) {
            let (copied, said, _) = clean.fill(&plan, true);
            assert!(!copied, "{what}: the Job has taken it: {said}");
        }
    }
    let unseen: Vec<&str> = TAMPERING.iter().map(|(what, _)| *what).filter(|what| !judged.contains(what)).collect();
    assert_eq!(
        unseen,
        [
            "a byte of the full stream",
            "a byte of the incremental stream",
            "a byte of a binary log",
            "a binary log that was cut",
            "streams that have changed places"
        ],
        "only what takes reading the streams is left to the Job"
    );
}

#[test]
fn another_clusters_key_opens_nothing_here() {
    let (own, other) = (Sealed::new(), Sealed::new());
    let catalog = own.world.catalog_by(&other.trust());
    assert!(catalog.backups.is_empty(), "{catalog:?}");
    let why = catalog.unusable(&own.full).unwrap().why.clone();
    assert!(why.contains(&format!("another key ({})", own.keys["id"])), "{why}");
    // All that the other cluster's agent has written, in the place of what this one has.
    let before = own.plan(&own.trust()).unwrap();
    fs::remove_dir_all(own.world.at("backups")).unwrap();
    let done =
        Command::new("cp").arg("-a").args([other.world.at("backups"), own.world.at("backups")]).status().unwrap();
    assert!(done.success());
    assert!(own.plan(&own.trust()).is_err());
    for plan in [before, other.plan(&other.trust()).unwrap()] {
        let (copied, said, _) = own.fill(&plan, true);
        assert!(!copied && said.contains("not signed by the key of these backups"), "{said}");
    }
}

#[test]
fn what_was_taken_in_clear_comes_back_by_an_explicit_word_only() {
    let sealed = Sealed::new();
    let wanted = Wanted { from: From::Id(FULL.to_owned()), increment: None, to: None, gaps: Gaps::Refused };
    let plan = |catalog: &Catalog| {
        choose(catalog, &Wanted { increment: Some(0), ..wanted.clone() }).map(|source| source.plan())
    };
    let why = plan(&sealed.world.catalog_by(&sealed.trust())).unwrap_err();
    assert!(why.contains("nobody has signed it") && why.contains("--unsigned"), "{why}");
    // The sum in the description is made up.
    let sum = Command::new("sh").args(["-c", "printf 1234567 | sha256sum"]).output().unwrap().stdout;
    let sum = String::from_utf8(sum).unwrap().split(' ').next().unwrap().to_owned();
    let json = sealed.world.root(FULL).join("backup.json");
    fs::write(&json, fs::read_to_string(&json).unwrap().replace(&"a".repeat(64), &sum)).unwrap();
    let word = Trust { unsigned: true, ..sealed.trust() };
    let plan = plan(&sealed.world.catalog_by(&word)).unwrap();
    let (copied, said, _) = sealed.fill(&plan, true);
    assert!(!copied && said.contains("nobody has signed its description"), "{said}");
    let (copied, said, given) = sealed.fill(&plan, false);
    assert!(copied && given["data/stream"] == b"1234567", "{said}");
    // A signature that is wrong is no missing one, whatever the word.
    fs::write(sealed.world.root(FULL).join("backup.json.sig"), "AAAA\n").unwrap();
    assert!(!sealed.fill(&plan, false).0);
    // What is signed is taken with the word as well, and a missing signature keeps nobody from decrypting.
    let both = sealed.plan(&word).unwrap();
    sealed.change("rm $I/backup.json.sig");
    let (copied, said, given) = sealed.fill(&both, false);
    assert!(copied && given["inc.1/stream"] == given["data/stream"], "{said}");
    let folder = "directory plain\n";
    assert!(!sealed.fill(folder, true).0);
}

#[test]
fn the_agent_builds_only_on_what_it_has_signed_and_takes_nothing_without_keys() {
    let ask = "ENCRYPTION=own\necho \"base: $(base_of \"$(incarnation)\").\"";
    let sealed = Sealed::new();
    assert!(sealed.world.agent(ask).contains(&format!("base: {}.", sealed.other)));
    for script in
        ["rm $O/backup.json.sig", "sed -i 's/\"to_lsn\":10/\"to_lsn\":20/' $O/backup.json", "cp $F/backup.json.sig $O/"]
    {
        let sealed = Sealed::new();
        sealed.change(script);
        let said = sealed.world.agent(ask);
        assert!(said.contains("base: ."), "{script}: {said}");
    }
    // The base of the newest was replaced.
    let sealed = Sealed::new();
    sealed.change("rm -r $O; sed -i -E 's/\"sha256\":\"[0-9a-f]{8}/\"sha256\":\"00000000/' $F/backup.json");
    assert!(sealed.world.agent(ask).contains("base: ."));
    // A forged log claims that all has been copied.
    let sealed = Sealed::new();
    sealed.change("rm $L $L.json $L.json.sig; n=binlog/1795150000-3f2a91bc-bin.000009.zst; cp binlog/1795140000-*.zst $n; \
        sed 's/1795140000-3f2a91bc-bin.000001/1795150000-3f2a91bc-bin.000009/; s/0-1-10/0-1-20/' binlog/1795140000-*.json >$n.json");
    sealed.world.agent("ENCRYPTION=own\nship_logs");
    assert!(sealed.world.root("binlog").join(&sealed.log).exists(), "the log was not copied");

    let world = World::new();
    let said = world.agent("ENCRYPTION=own\ntake full; ship_logs; cat $OWN/logs");
    assert!(said.contains("state=failed") && said.contains("no key can be made"), "{said}");
    assert!(said.contains("cannot be copied to the backup volume"), "{said}");
    let names: BTreeSet<String> =
        fs::read_dir(world.root("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, [FULL, INCREMENT, "binlog"].map(str::to_owned).into());
}
