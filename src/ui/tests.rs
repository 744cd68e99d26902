use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use indicatif::TermLike;
use jiff::Timestamp;

use super::*;
use crate::engine::event::{Outcome, Stamped};
use crate::engine::journal::tests::sample_run;

/// A screen or a file that remembers. Understands what is drawn without colours.
#[derive(Clone)]
struct Screen {
    width: usize,
    height: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}

impl Screen {
    fn new(width: usize) -> Self {
        Self { width, height: 24, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn text(&self) -> String {
        let state = self.state();
        let rows: Vec<String> =
            state.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(self.width).unwrap()
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.state().row -= n;
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.state().row += n;
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.state().column += n;
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.state().column -= n;
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut state = self.state();
        for c in text.chars() {
            if c == '\r' {
                state.column = 0;
                continue;
            }
            if c == '\n' || state.column >= self.width {
                state.row += 1;
                state.column = 0;
            }
            let rows = state.rows.len().max(state.row + 1);
            state.rows.resize(rows, Vec::new());
            if c != '\n' {
                let (row, column) = (state.row, state.column);
                let row = &mut state.rows[row];
                row.resize(row.len().max(column + 1), ' ');
                row[column] = c;
                state.column += 1;
            }
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut state = self.state();
        let row = state.row;
        if let Some(row) = state.rows.get_mut(row) {
            row.clear();
        }
        state.column = 0;
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_str(std::str::from_utf8(bytes).unwrap())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tty(width: usize, height: u16, utf8: bool, verbose: bool) -> (tty::Tty, Screen) {
    let screen = Screen { height, ..Screen::new(width) };
    let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
    (tty::Tty::new(target, Box::new(screen.clone()), Glyphs::new(utf8), Paint::new(false), verbose), screen)
}

fn plain(verbose: bool) -> (plain::Plain, Screen) {
    let screen = Screen::new(500);
    (plain::Plain::new(Box::new(screen.clone()), Paint::new(false), TimeZone::UTC, verbose), screen)
}

pub(super) fn play(sink: &mut impl Sink, events: &[Stamped]) {
    for event in events {
        sink.event(event).unwrap();
    }
}

pub(super) fn after(ms: u64) -> Timestamp {
    sample_run()[0].at + Duration::from_millis(ms)
}

/// The run of the sample, failing in its second step.
fn failing_run() -> Vec<Stamped> {
    let mut run = sample_run();
    run.truncate(12);
    let failure =
        Failure::message(Kind::Step, "nodes: gave up after 10m; last answer: node2: Joiner").hint("galeractl logs");
    let finished = Event::StepFinished {
        step: "nodes".into(),
        outcome: Outcome::Failed,
        detail: "gave up after 10m; last answer: node2: Joiner".into(),
        elapsed_ms: 609_000,
    };
    run.push(Stamped { at: after(614_100), event: finished });
    let end = Event::run_finished(Err::<&str, _>(&failure), Duration::from_millis(614_200));
    run.push(Stamped { at: after(614_200), event: end });
    run
}

#[test]
fn a_terminal_shows_a_run_as_it_goes() {
    let (mut sink, screen) = tty(80, 24, true, false);
    play(&mut sink, &sample_run()[..11]);
    sink.tick(after(12_700)).unwrap();
    // What the terminal echoes while the user presses Ctrl-C leaves no trace.
    screen.write_str("^C").unwrap();
    sink.tick(after(12_800)).unwrap();
    insta::assert_snapshot!(screen.text(), @"
    shop in namespace data, context prod-eu
    ✔ 1 seed     Primary, uuid 79651f2c, cluster size 1                        4.1s
    ◓ 2 nodes    node1: Joined; state transfer to node2: 120 MiB of 120 MiB    7.7s
      3 haproxy  Start the proxy
    ");
    play(&mut sink, &sample_run()[11..]);
    sink.finish().unwrap();
    insta::assert_snapshot!(screen.text(), @"
    shop in namespace data, context prod-eu
    ✔ 1 seed     Primary, uuid 79651f2c, cluster size 1                        4.1s
    warning: both nodes run on one host
    ✔ 2 nodes    2 nodes Synced                                               12.9s
    ✔ 3 haproxy  2 of 2 ready                                                  3.0s
    shop is up: 2 nodes (22.1s)
    ");
}

#[test]
fn a_small_terminal_without_unicode_is_never_overrun() {
    let (mut sink, screen) = tty(44, 5, false, true);
    let mut run = sample_run();
    if let Event::RunStarted { steps, .. } = &mut run[0].event {
        steps.extend((0..8).map(|i| (format!("extra-{i}"), "Do more than fits on one line of this".into())));
    }
    play(&mut sink, &run[..10]);
    insta::assert_snapshot!(screen.text(), @"
    shop in namespace data, context prod-eu
        created pod/shop-galera-seed
    ok    1 seed     Primary, uuid 7...    4.1s
    |     2 nodes    state transfer ...    4.0s
          3 haproxy  Start the proxy
            8 more to come
    ");
}

#[test]
fn a_terminal_shows_where_a_run_failed() {
    let (mut sink, screen) = tty(80, 24, true, false);
    play(&mut sink, &failing_run());
    sink.finish().unwrap();
    insta::assert_snapshot!(screen.text(), @"
    shop in namespace data, context prod-eu
    ✔ 1 seed     Primary, uuid 79651f2c, cluster size 1                        4.1s
    ✘ 2 nodes    gave up after 10m; last answer: node2: Joiner              10m 09s
    stopped after 10m 14s; not run: haproxy
    ");
}

#[test]
fn a_log_has_one_line_per_transition() {
    let (mut sink, screen) = plain(true);
    play(&mut sink, &sample_run());
    insta::assert_snapshot!(screen.text(), @"
    10:02:07 up shop in namespace data, context prod-eu, run 20261122-100207-k3f9
    10:02:08 seed     start      Start the seed
    10:02:08 seed     created    pod/shop-galera-seed
    10:02:08 seed     waiting    seed pod: pulling the image (0.1s)
    10:02:11 seed     waiting    seed pod: starting (3.0s)
    10:02:12 seed     ok         Primary, uuid 79651f2c, cluster size 1 (4.1s)
    10:02:12 nodes    start      Join the nodes
    10:02:12 nodes    waiting    pods of node1, node2: starting (0.0s)
    10:02:16 nodes    waiting    state transfer to node2: 40 MiB of 120 MiB (4.0s)
    10:02:19 nodes    waiting    node1: Joined; state transfer to node2: 120 MiB of 120 MiB (7.1s)
    10:02:22 warning: both nodes run on one host
    10:02:25 nodes    ok         2 nodes Synced (12.9s)
    10:02:25 haproxy  start      Start the proxy
    10:02:28 haproxy  unchanged  2 of 2 ready (3.0s)
    10:02:29 done: shop is up: 2 nodes (22.1s)
    ");
    let (mut sink, screen) = plain(false);
    play(&mut sink, &failing_run());
    let text = screen.text();
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    insta::assert_snapshot!(last.join("\n"), @"
    10:12:21 stopped after 10m 14s, exit code 4; not run: haproxy
    10:12:21 nodes    FAILED     gave up after 10m; last answer: node2: Joiner (10m 09s)
    ");
}

#[test]
fn a_log_is_not_flooded_by_a_moving_answer() {
    let (mut sink, screen) = plain(false);
    play(&mut sink, &sample_run()[..2]);
    for tenth in 0..1500_u64 {
        let at = after(2_000 + tenth * 100);
        // Bytes flow for a minute and then stand still.
        let reason = format!("state transfer to node2: {} MiB", tenth.min(600));
        let event = Event::StepWaiting { step: "seed".into(), reason, elapsed_ms: tenth * 100 };
        if tenth <= 600 {
            sink.event(&Stamped { at, event }).unwrap();
        }
        sink.tick(at).unwrap();
    }
    insta::assert_snapshot!(screen.text(), @"
    10:02:07 up shop in namespace data, context prod-eu, run 20261122-100207-k3f9
    10:02:08 seed     start      Start the seed
    10:02:09 seed     waiting    state transfer to node2: 0 MiB (1.0s)
    10:02:11 seed     waiting    state transfer to node2: 20 MiB (3.0s)
    10:02:15 seed     waiting    state transfer to node2: 60 MiB (7.0s)
    10:02:23 seed     waiting    state transfer to node2: 140 MiB (15.0s)
    10:02:39 seed     waiting    state transfer to node2: 300 MiB (31.0s)
    10:03:09 seed     waiting    state transfer to node2: 600 MiB (1m 01s)
    10:03:39 seed     waiting    state transfer to node2: 600 MiB (still waiting, 1m 31s)
    10:04:09 seed     waiting    state transfer to node2: 600 MiB (still waiting, 2m 01s)
    ");
}

#[test]
fn machines_get_every_event() {
    let screen = Screen::new(1000);
    let ended = Arc::new(AtomicBool::new(false));
    let mut sink = json::Json::new(Box::new(screen.clone()), Arc::clone(&ended));
    let run = failing_run();
    play(&mut sink, &run);
    let back: Vec<Stamped> = screen.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(back, run);
    assert!(ended.load(Ordering::Relaxed));
    let lines: Vec<String> = screen.text().lines().map(str::to_owned).collect();
    insta::assert_snapshot!([&lines[..3], &lines[lines.len() - 2..]].concat().join("\n"), @r#"
    {"at":"2026-11-22T10:02:07Z","event":"run-started","run":"20261122-100207-k3f9","verb":"up","cluster":"shop","namespace":"data","context":"prod-eu","steps":[["seed","Start the seed"],["nodes","Join the nodes"],["haproxy","Start the proxy"]]}
    {"at":"2026-11-22T10:02:08Z","event":"step-started","step":"seed","title":"Start the seed"}
    {"at":"2026-11-22T10:02:08.05Z","event":"object","step":"seed","object":"pod/shop-galera-seed","change":"created"}
    {"at":"2026-11-22T10:12:21.1Z","event":"step-finished","step":"nodes","outcome":"failed","detail":"gave up after 10m; last answer: node2: Joiner","elapsed_ms":609000}
    {"at":"2026-11-22T10:12:21.2Z","event":"run-finished","ok":false,"exit_code":4,"message":"nodes: gave up after 10m; last answer: node2: Joiner","hints":["galeractl logs"],"elapsed_ms":614200}
    "#);
}

#[test]
fn silence_lets_warnings_through() {
    let screen = Screen::new(500);
    let mut sink = plain::Off { out: Box::new(screen.clone()), paint: Paint::new(false) };
    play(&mut sink, &sample_run());
    insta::assert_snapshot!(screen.text(), @"warning: both nodes run on one host");
}

#[test]
fn failures_are_told_in_full() {
    let error = anyhow::anyhow!("exit 1\n[ERROR] wsrep: \u{1b}[31mno donor").context("node2 did not join");
    let failure = Failure::new(Kind::Step, error).hint("galeractl logs shop node2").hint("galeractl up shop");
    insta::assert_snapshot!(shown::shown(&words::failure(&failure, Paint::new(false))), @r"
    error: node2 did not join
      cause: exit 1
             [ERROR] wsrep: \u{1b}[31mno donor

    hint: galeractl logs shop node2
    hint: galeractl up shop
    ");
    let painted = words::failure(&failure, Paint::new(true));
    assert_eq!(
        console::strip_ansi_codes(&shown::shown(&painted)),
        shown::shown(&words::failure(&failure, Paint::new(false)))
    );
}

#[test]
fn views_follow_the_options_and_the_streams() {
    let terminal = Surroundings { stderr_terminal: true, stdin_terminal: true, ..Surroundings::default() };
    let dumb = Surroundings { dumb: true, ..terminal };
    let view = |progress, quiet, around| Ui::within(Options { progress, quiet, ..Options::default() }, around).view;
    assert_eq!(view(Progress::Auto, false, terminal), View::Tty);
    assert_eq!(view(Progress::Auto, false, dumb), View::Plain);
    assert_eq!(view(Progress::Tty, false, Surroundings::default()), View::Plain);
    assert_eq!(view(Progress::Plain, false, terminal), View::Plain);
    assert_eq!(view(Progress::Tty, true, terminal), View::Off);
    assert_eq!(view(Progress::Json, true, terminal), View::Json);
    assert!(Ui::within(Options::default(), terminal).can_ask());
    for name in Progress::NAMES {
        assert!(name.parse::<Progress>().is_ok());
    }
    for name in Color::NAMES {
        assert!(name.parse::<Color>().is_ok());
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    struct Pipe(io::ErrorKind);
    impl Write for Pipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(write_out(&mut Pipe(io::ErrorKind::BrokenPipe), "x").is_ok());
    let failure = write_out(&mut Pipe(io::ErrorKind::StorageFull), "x").unwrap_err();
    assert_eq!(failure.lines()[0], "cannot write to stdout");
    let mut written = Vec::new();
    write_out(&mut written, "a\nb").unwrap();
    write_out(&mut written, "c\n").unwrap();
    assert_eq!(written, b"a\nb\nc\n");
}
