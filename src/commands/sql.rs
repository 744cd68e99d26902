//! `galeractl sql`.

use std::fs::File;
use std::io::{Cursor, IsTerminal, stdin, stdout};
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cluster::reach::{any, usable, writer};
use crate::cluster::{proxies, record};
use crate::commands::Globals;
use crate::desired::Desired;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::exec::Place;
use crate::kube::session::Session;
use crate::manifests::config::ROOT_PASSWORD;
use crate::manifests::member::CONTAINER;
use crate::manifests::scripts;
use crate::names::Member;
use crate::observe::Observer;
use crate::ui::Ui;
use crate::ui::terminal::{self, Raw};

use super::frame::patiently;
use super::rolling::among;
use super::target::{connect, find, running};
use super::{complete, gather};

/// The account for reading, which the seed makes.
const READER: &str = "galeractl_reader";
/// The account for everything.
const ROOT: &str = "root";

/// Run SQL on a node: a statement, a file, or the interactive client
///
/// The client is the one in the pod of the node, at the socket of the server, so nothing needs to be installed here. Without
/// --write it logs in as an account that has rights to read only: no statement lifts that. (Views and functions run with
/// the rights of whoever made them, as everywhere.) With --write it is root, and the node is the one that takes the writes.
///
/// Results go to stdout, separated by tabs where that is no terminal; the exit code is that of the client: 0, or 1 when a
/// statement fails. Interrupted, the client goes, but the server may bring a statement to its end that it has begun.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl sql
  galeractl sql -e 'SHOW PROCESSLIST'
  galeractl sql --node 2 -e 'SELECT COUNT(*) FROM shop.orders'
  galeractl sql --write -f schema.sql -- shop
  galeractl sql -e 'SELECT * FROM shop.orders' -- --xml >orders.xml")]
pub struct Args {
    /// This node, such as 2
    #[arg(long, value_name = "NODE", value_parser = clap::value_parser!(u32).range(1..=99), conflicts_with_all = ["writer", "any"], add = complete::numbers())]
    node: Option<u32>,
    /// The node that takes the writes; so it is with --write
    #[arg(long, conflicts_with = "any")]
    writer: bool,
    /// Any node that has everything; so it is without --write
    #[arg(long)]
    any: bool,
    /// Statements; they are sent, and stand on no command line in the pod
    #[arg(short, long, value_name = "STATEMENT", conflicts_with = "script")]
    execute: Option<String>,
    /// File with statements, `-` for stdin
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    script: Option<PathBuf>,
    /// Be root, who may change everything
    #[arg(long)]
    write: bool,
    /// Database, and options of the client
    #[arg(last = true, value_name = "CLIENT OPTION")]
    client: Vec<String>,
}

/// Where statements come from.
enum Input {
    Terminal,
    Pieces(mpsc::Receiver<Vec<u8>>),
}

/// Runs the client, and answers with its exit code.
pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<u8> {
    judge(&args.client)?;
    let input = input(args)?;
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::No).await?.desired;
    let named = args.node.map(|node| among("--node", node, &desired)).transpose()?;
    let kept = record::keys(&connection.client, &desired).await?;
    let password = match (args.write, kept.all.get(ROOT_PASSWORD)) {
        (false, _) => String::new(),
        (true, Some(password)) => password.clone(),
        (true, None) => {
            let name = desired.cluster.credentials();
            return Err(Failure::message(Kind::Preflight, format!("secret/{name} has no key `{ROOT_PASSWORD}`"))
                .hint("was the Secret changed by hand? without --write no password is needed"));
        }
    };
    let looking = gather::look(&connection, &desired, Some(kept.own));
    let observer = patiently(ui, "the servers to answer", looking).await?;
    let node = match named {
        Some(node) => usable(&observer.now(), node)?,
        None if args.writer || (args.write && !args.any) => the_writer(&connection, &desired, &observer).await?,
        None => any(&observer.now())?,
    };
    drop(observer);
    let at_terminal = matches!(input, Input::Terminal);
    let settings = settings(node, args.write, named.is_some(), at_terminal);
    let account = if args.write { ROOT } else { READER };
    let mut argv = [&scripts::bash(scripts::CLIENT)[..], &["client", account, &settings]].concat();
    if !at_terminal && stdout().is_terminal() {
        argv.push("--table");
    }
    argv.extend(args.client.iter().map(String::as_str));
    let pod = desired.cluster.pod(node);
    let place = Place { namespace: &desired.namespace, pod: &pod, container: CONTAINER };
    let mut session = Session::start(&connection.streams, place, &argv, at_terminal).await?;
    let session = match log_in(&mut session, &password).await? {
        None => session,
        Some(word) => return Err(refused(session, node, &word, args.write).await),
    };
    talk(session, input, ui).await
}

/// The file and the terminal, before anybody is asked for anything.
fn input(args: &Args) -> Result<Input> {
    if let Some(statement) = &args.execute {
        return Ok(Input::Pieces(terminal::pieces(Cursor::new(format!("{statement}\n")))));
    }
    match args.script.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let file = File::open(path).or_fail(Kind::Usage);
            let file = file.map_err(|failure| failure.context(format!("--file {}", path.display())))?;
            if file.metadata().is_ok_and(|known| known.is_dir()) {
                return Err(Failure::message(Kind::Usage, format!("--file {}: it is a folder", path.display())));
            }
            Ok(Input::Pieces(terminal::pieces(file)))
        }
        None if args.script.is_none() && stdin().is_terminal() && stdout().is_terminal() => Ok(Input::Terminal),
        None => Ok(Input::Pieces(terminal::pieces(stdin()))),
    }
}

/// Options that would undo what this verb takes care of, or put a secret where others see it.
///
/// # Errors
/// One of them, with what to type in its place.
fn judge(client: &[String]) -> Result<()> {
    // A letter, how the long form begins, why it is refused, and what does it instead.
    const INSTEAD: [(char, &str, &str, &str); 8] = [
        ('p', "--pas", "a password would stand in a list of processes", "none is asked for: with --write you are root"),
        ('e', "--exe", "a statement would stand in a list of processes", "put it in front: galeractl sql -e STATEMENT"),
        ('u', "--us", "the account is the one for reading, or root with --write", OWN_CLIENT),
        ('h', "--ho", "the client talks to the server in its pod", "choose a node: --node NODE"),
        ('P', "--po", "the client talks to the server in its pod", "choose a node: --node NODE"),
        ('S', "--so", "the client talks to the server in its pod", "choose a node: --node NODE"),
        ('\0', "--defaults", "the client has settings that it needs", OWN_CLIENT),
        ('\0', "--no-defaults", "the client has settings that it needs", OWN_CLIENT),
    ];
    for option in client {
        let found = INSTEAD.iter().find(|(letter, long, _, _)| has_letter(option, *letter) || option.starts_with(long));
        if let Some((letter, long, why, instead)) = found {
            let name = if option.starts_with("--") { (*long).to_owned() } else { format!("-{letter}") };
            return Err(Failure::message(Kind::Usage, format!("{name}… behind `--`: {why}")).hint(*instead));
        }
    }
    Ok(())
}

const OWN_CLIENT: &str = "for anything else: galeractl port-forward, and a client of your own";

/// Whether one of the short options that stand together is this one.
fn has_letter(option: &str, letter: char) -> bool {
    let Some(letters) = option.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else { return false };
    // What follows the name of a database's option is the name.
    letters.split('D').next().unwrap_or_default().contains(letter)
}

/// What the client finds in its file of options.
fn settings(node: Member, write: bool, named: bool, at_terminal: bool) -> String {
    let mut lines = vec!["default_character_set=utf8mb4".to_owned()];
    let mut session = Vec::new();
    if !write {
        // Beside the rights of the account, so that also functions with more rights than that do not write by mistake.
        session.push("tx_read_only=1");
        // What was acknowledged anywhere is seen; who names a node wants to see that node as it is.
        if !named {
            session.push("wsrep_sync_wait=1");
        }
    }
    if !session.is_empty() {
        lines.push(format!("init_command=\"SET SESSION {}\"", session.join(", ")));
    }
    lines.push(if at_terminal {
        format!("prompt=\"{node}{} [\\\\d]>\\\\_\"", if write { " (writes)" } else { "" })
    } else {
        // Statements from elsewhere reach the server, and neither a shell nor files in the pod.
        "loose_sandbox".to_owned()
    });
    lines.join("\n")
}

async fn the_writer(connection: &Connection, desired: &Desired, observer: &Observer) -> Result<Member> {
    let observed = observer.now();
    let views = proxies::backends(connection, desired, &observed).await;
    let unknown = |why: String| {
        Failure::message(Kind::Preflight, format!("it is not known which node takes the writes: {why}"))
            .hint("see what is wrong: galeractl verify")
            .hint("or choose a node, every one of them takes writes: --node NODE")
    };
    let node = writer(&views).map_err(unknown)?;
    usable(&observed, node.ok_or_else(|| unknown("the proxies send nobody to any node".to_owned()))?)
}

/// Hands over the password; answers with what was said in place of `ready`.
async fn log_in(session: &mut Session, password: &str) -> Result<Option<String>> {
    let asked = session.line().await?;
    if asked != "password?" {
        return Ok(Some(asked));
    }
    session.send(password).await?;
    let word = session.line().await?;
    Ok((word != "ready").then_some(word))
}

/// Why there is no client.
async fn refused(session: Session, node: Member, word: &str, write: bool) -> Failure {
    let why = match word.strip_prefix("refused: ") {
        Some(why) => why.to_owned(),
        None => match session.last_words().await {
            Ok(said) => [word, &said].join(" ").trim().to_owned(),
            Err(failure) => return failure,
        },
    };
    let failure =
        Failure::message(Kind::Unreachable, why.as_str()).context(format!("the client in {node} does not get in"));
    match (why.contains("(28000)"), write) {
        (true, false) => failure
            .hint(format!("a cluster of an earlier version has no account `{READER}`: make it as root, with these two statements"))
            .hint(format!("galeractl sql --write -e 'CREATE USER {READER}@localhost IDENTIFIED VIA unix_socket AS \"mysql\"; GRANT SELECT, SHOW VIEW, SHOW DATABASES, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO {READER}@localhost'")),
        (true, true) => failure.hint("the password in the Secret is not the one in the database; was it changed by hand?"),
        _ => failure.hint("see how the node is: galeractl status"),
    }
}

/// Brings user and client together until it ends.
async fn talk(session: Session, input: Input, ui: &Ui) -> Result<u8> {
    let at_terminal = matches!(input, Input::Terminal);
    let (mut out, mut err) = ui.lend(at_terminal);
    let (tell, sizes) = mpsc::channel(4);
    let raw = at_terminal.then(Raw::enter).transpose().or_fail(Kind::Step)?;
    if at_terminal {
        let mut changed = signal(SignalKind::window_change()).or_fail(Kind::Bug)?;
        tokio::spawn(async move {
            loop {
                if let Some(size) = terminal::size()
                    && tell.send(size).await.is_err()
                {
                    return;
                }
                if changed.recv().await.is_none() {
                    return;
                }
            }
        });
    }
    let typed = match input {
        Input::Terminal => terminal::pieces(stdin()),
        Input::Pieces(pieces) => pieces,
    };
    let ended = session.carry(typed, sizes, |bytes| out.write(bytes), |bytes| err.write(bytes)).await;
    drop(raw);
    let code = ended.map_err(|failure| {
        failure.hint("what was sent may have been done all the same; look before you send it again")
    })?;
    // Nobody reads any more: that is how `head` ends a pipe.
    Ok(code.map_or(0, |code| u8::try_from(code).unwrap_or(u8::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_seen_by_others_or_lead_elsewhere_is_refused() {
        let judged = |option: &str| judge(&[option.to_owned()]).map_err(|failure| failure.to_string());
        for option in ["-pGeheim", "--password=Geheim", "--pass=Geheim"] {
            let told = judged(option).unwrap_err();
            assert!(told.contains("list of processes") && !told.contains("Geheim"), "{told}");
        }
        for option in ["-Ne", "--execute=x", "-uroot", "--user=x", "-hx", "--socket=x", "-P3306", "--defaults-file=/x"]
        {
            assert!(judged(option).is_err(), "{option}");
        }
        for option in [
            "shop",
            "--vertical",
            "-Xt",
            "-Dshop_eu",
            "--skip-column-names",
            "--prompt=x",
            "--default-character-set=latin1",
        ] {
            assert!(judged(option).is_ok(), "{option}");
        }
    }

    #[test]
    fn who_reads_cannot_write_by_mistake_and_sees_what_was_acknowledged() {
        let node = Member::Node(2);
        let read = settings(node, false, false, false);
        assert!(read.contains("init_command=\"SET SESSION tx_read_only=1, wsrep_sync_wait=1\""), "{read}");
        assert!(read.contains("sandbox") && !read.contains("prompt"), "{read}");
        assert!(!settings(node, false, true, false).contains("wsrep_sync_wait"));
        let write = settings(node, true, false, true);
        assert!(!write.contains("init_command") && write.contains(r#"prompt="node2 (writes) [\\d]>\\_""#), "{write}");
        assert!(!write.contains("sandbox"));
    }
}
