//! A database server, as far as a health answer talks to one: in its protocol, on a socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

/// What becomes of a client.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// It hears these names and values.
    Says(Vec<(String, String)>),
    /// It hears this error before it has said anything, such as 1040: all connections are taken.
    Refuses(u16),
    /// It hears this error when it has said who it is.
    Denies(u16),
    /// It hears this error when it asks.
    Fails(u16),
    /// It hears nothing.
    Hangs,
    /// It is sent away without a word.
    Closes,
    /// Nobody listens: the file is what a dead server has left.
    Gone,
    /// What it hears is of another protocol.
    Babbles,
}

/// Columns of an answer, of which nobody reads what they are called.
const COLUMNS: u8 = 2;

impl Server {
    /// Serves for as long as the test's process lives.
    pub(crate) fn listen(self, socket: &Path) {
        let listener = UnixListener::bind(socket).unwrap();
        if matches!(self, Self::Gone) {
            return;
        }
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = self.clone();
                // A client that leaves early is no failure of the server.
                thread::spawn(move || server.talk(client).ok());
            }
        });
    }

    fn talk(&self, mut client: UnixStream) -> std::io::Result<()> {
        match self {
            Self::Closes | Self::Gone => return Ok(()),
            Self::Hangs => return client.read_to_end(&mut Vec::new()).map(drop),
            Self::Babbles => return client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n"),
            Self::Refuses(code) => return send(&mut client, 0, &error(*code)),
            Self::Says(_) | Self::Denies(_) | Self::Fails(_) => {}
        }
        send(&mut client, 0, b"\x0a11.8.9-MariaDB\0and what follows")?;
        let name = receive(&mut client)?;
        assert!(name.ends_with(b"\0\0\0mysql\0\0unix_socket\0"), "{name:?}");
        if let Self::Denies(code) = self {
            return send(&mut client, 2, &error(*code));
        }
        send(&mut client, 2, b"\0\0\0\x02\0\0\0")?;
        loop {
            let question = String::from_utf8(receive(&mut client)?).unwrap();
            if question == "\x01" {
                return Ok(());
            }
            match self {
                Self::Says(rows) => answer(&mut client, &question, rows)?,
                Self::Fails(code) => send(&mut client, 1, &error(*code))?,
                _ => unreachable!("{self:?} has ended"),
            }
        }
    }
}

/// The rows whose names stand in the question.
fn answer(client: &mut UnixStream, question: &str, rows: &[(String, String)]) -> std::io::Result<()> {
    const END: &[u8] = b"\xfe\0\0\x02\0";
    assert!(question.starts_with("\x03SHOW GLOBAL "), "{question}");
    let wanted = rows.iter().filter(|(name, _)| question.contains(&format!("'{name}'")));
    let fields = wanted.map(|(name, value)| {
        [name, value].iter().flat_map(|text| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()).collect()
    });
    let columns = (0..COLUMNS).map(|_| b"\x03defof a column".to_vec());
    let packets = [vec![COLUMNS]].into_iter().chain(columns).chain([END.to_vec()]).chain(fields).chain([END.to_vec()]);
    for (number, packet) in (1..).zip(packets) {
        send(client, number, &packet)?;
    }
    Ok(())
}

fn error(code: u16) -> Vec<u8> {
    [&[0xff], &code.to_le_bytes()[..], b"#HY000it says no"].concat()
}

fn send(client: &mut UnixStream, number: u8, packet: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
    client.write_all(&[&length[..3], &[number], packet].concat())
}

fn receive(client: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 4];
    client.read_exact(&mut head)?;
    let mut packet = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    client.read_exact(&mut packet)?;
    Ok(packet)
}
