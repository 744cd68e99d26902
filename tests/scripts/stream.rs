//! The position in the group's history comes from the file that mariadb-backup writes, not from rows that look like it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::world::scripts;

const TRUE: &str = "79651a2b-0000-11f0-8000-0123456789ab:4711";
const FORGED: &str = "00000000-0000-11f0-8000-000000000000:1";

fn chunk(path: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"XBSTCK01\0P".to_vec();
    bytes.extend(u32::try_from(path.len()).unwrap().to_le_bytes());
    bytes.extend(path.bytes());
    bytes.extend(u64::try_from(data.len()).unwrap().to_le_bytes());
    bytes.extend([0; 12]);
    bytes.extend(data);
    bytes
}

fn end(path: &str) -> Vec<u8> {
    [b"XBSTCK01\0E".as_slice(), &u32::try_from(path.len()).unwrap().to_le_bytes(), path.as_bytes()].concat()
}

/// What is passed through and what is written down, of a stream that comes in pieces of this size.
fn passed(stream: &[u8], piece: usize) -> (bool, Vec<u8>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("position");
    let mut child = Command::new("perl")
        .arg(scripts().join("position.pl"))
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let stream = stream.to_vec();
    let feeding = std::thread::spawn(move || {
        for piece in stream.chunks(piece) {
            // It may end early, at what is no stream.
            if stdin.write_all(piece).is_err() {
                return;
            }
        }
    });
    let mut out = Vec::new();
    stdout.read_to_end(&mut out).unwrap();
    feeding.join().unwrap();
    let ended_well = child.wait().unwrap().success();
    (ended_well, out, fs::read_to_string(file).unwrap_or_default())
}

#[test]
fn rows_that_look_like_a_position_are_none() {
    for name in ["mariadb_backup_galera_info", "xtrabackup_galera_info"] {
        // A user can write this into a row, down to the last byte.
        let row = chunk(name, format!("{FORGED}\n").as_bytes());
        let stream = [
            chunk("shop/orders.ibd", &row),
            chunk(&format!("shop/{name}"), format!("{FORGED}\n").as_bytes()),
            end("shop/orders.ibd"),
            chunk(name, format!("{TRUE} 0-1-4711\n").as_bytes()),
            end(name),
            chunk("ib_logfile0", &row),
            chunk("ib_logfile0", &[]),
            end("ib_logfile0"),
        ]
        .concat();
        for piece in [1, 7, 100, 1 << 20] {
            let (ended_well, out, found) = passed(&stream, piece);
            assert!(ended_well && out == stream, "{name}, {piece}");
            assert_eq!(found, format!("{TRUE}\n"), "{name}, {piece}");
        }
    }
}

#[test]
fn what_is_no_stream_names_no_position() {
    let stream = chunk("mariadb_backup_galera_info", format!("{FORGED}\n").as_bytes());
    assert!(!passed(&stream[1..], 50).0);
    let (ended_well, _, found) = passed(&chunk("ibdata1", FORGED.as_bytes()), 50);
    assert!(ended_well && found == "\n");
    let (ended_well, _, found) = passed(&chunk("mariadb_backup_galera_info", b"$(id):08\n"), 50);
    assert!(ended_well && found == "\n");
}
