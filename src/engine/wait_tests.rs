use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::event::Event;
use super::super::events::tests::Recorder;
use super::super::{Cx, Deadline, Events, StepCx};
use super::*;

const EVERY: Duration = Duration::from_millis(200);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn patience(n: u64) -> Patience {
    Patience::new(seconds(n))
}

fn cx() -> (Cx, Recorder) {
    let recorder = Recorder::default();
    let events = Events::start(vec![Box::new(recorder.clone())]);
    (Cx { events, cancel: CancellationToken::new(), deadline: None }, recorder)
}

async fn reasons(cx: &Cx, recorder: &Recorder) -> Vec<String> {
    cx.events.flush().await;
    let reason = |event| match event {
        Event::StepWaiting { reason, elapsed_ms, .. } => Some(format!("{elapsed_ms} {reason}")),
        _ => None,
    };
    recorder.events().into_iter().filter_map(reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fulfilled_gate_costs_no_time_and_says_nothing() {
    let (cx, recorder) = cx();
    let begun = Instant::now();
    let step = StepCx::new("seed", &cx, &());
    let found = step.wait(Never, EVERY, patience(5), || async { Verdict::pass("Primary") }).await.unwrap();
    assert_eq!((found.as_str(), begun.elapsed()), ("Primary", Duration::ZERO));
    assert_eq!(reasons(&cx, &recorder).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn giving_up_tells_the_last_answer() {
    let (cx, _) = cx();
    let begun = Instant::now();
    let step = StepCx::new("seed", &cx, &());
    let ask = || async move { Verdict::wait(format!("seed: Joining, {}s", begun.elapsed().as_secs())) };
    let failure = step.wait(Never, EVERY, patience(600), ask).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Step);
    assert_eq!(failure.to_string(), "gave up after 10m; last answer: seed: Joining, 600s");
    assert_eq!(begun.elapsed(), seconds(600));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_ends_too() {
    let (cx, _) = cx();
    let step = StepCx::new("seed", &cx, &());
    let ask = || std::future::pending::<Verdict>();
    let failure = step.wait(Never, EVERY, patience(5), ask).await.unwrap_err();
    assert_eq!(failure.to_string(), "gave up after 5s; last answer: none yet");
}

#[tokio::test(start_paused = true)]
async fn progress_starts_patience_anew() {
    let (cx, _) = cx();
    let begun = Instant::now();
    let step = StepCx::new("nodes", &cx, &());
    // Bytes flow for a minute and then stand still.
    let ask = || async move {
        let bytes = begun.elapsed().as_secs().min(60);
        Verdict::moving(format!("state transfer to node2: {bytes} MiB"), bytes)
    };
    let failure = step.wait(Never, EVERY, patience(10), ask).await.unwrap_err();
    let said = "gave up after 10s without progress; last answer: state transfer to node2: 60 MiB";
    assert_eq!(failure.to_string(), said);
    assert!(begun.elapsed() >= seconds(70) && begun.elapsed() < seconds(71), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hopeless_gate_ends_at_once() {
    let (cx, _) = cx();
    let begun = Instant::now();
    let step = StepCx::new("nodes", &cx, &());
    let ask = || async move {
        if begun.elapsed() < seconds(1) { Verdict::wait("pulling") } else { Verdict::fail("ErrImagePull") }
    };
    let failure = step.wait(Never, EVERY, patience(600), ask).await.unwrap_err();
    assert_eq!((failure.to_string().as_str(), begun.elapsed()), ("ErrImagePull", seconds(1)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_question_is_asked_again() {
    let (cx, recorder) = cx();
    let begun = Instant::now();
    let step = StepCx::new("seed", &cx, &());
    let ask = || async move {
        if begun.elapsed() < seconds(1) { Err(anyhow::anyhow!("port closed")) } else { Ok(Verdict::pass("up")) }
    };
    assert_eq!(step.wait(Never, EVERY, patience(5), ask).await.unwrap(), "up");
    assert_eq!(reasons(&cx, &recorder).await, ["0 port closed", "1000 "]);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_noticed_long_before_the_interval() {
    let (cx, _) = cx();
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        sleep(Duration::from_millis(1500)).await;
        sender.send(true).unwrap();
        std::future::pending::<()>().await;
    });
    let begun = Instant::now();
    let step = StepCx::new("seed", &cx, &());
    let state = receiver.clone();
    let ask = || {
        let ready = *state.borrow();
        async move { if ready { Verdict::pass("ready") } else { Verdict::wait("pod") } }
    };
    step.wait(receiver, seconds(60), patience(300), ask).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_millis(1500));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_leaves_the_interval() {
    let (cx, _) = cx();
    let (sender, receiver) = watch::channel(());
    drop(sender);
    let asked = Arc::new(AtomicU64::new(0));
    let step = StepCx::new("seed", &cx, &());
    let ask = || {
        asked.fetch_add(1, Ordering::Relaxed);
        async { Verdict::wait("pod") }
    };
    step.wait(receiver, seconds(1), patience(10), ask).await.unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 11);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_even_a_hanging_question() {
    let (cx, _) = cx();
    let token = cx.cancel.clone();
    tokio::spawn(async move {
        sleep(seconds(3)).await;
        token.cancel();
    });
    let begun = Instant::now();
    let step = StepCx::new("seed", &cx, &());
    let ask = || async move {
        if begun.elapsed() > seconds(2) {
            std::future::pending::<()>().await;
        }
        Verdict::wait("seed: starting")
    };
    let failure = step.wait(Never, EVERY, patience(600), ask).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Interrupted);
    assert_eq!(failure.to_string(), "interrupted; last answer: seed: starting");
    assert_eq!(begun.elapsed(), seconds(3));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_run_ends_every_wait() {
    let (mut cx, _) = cx();
    cx.deadline = Some(Deadline::after(seconds(30)));
    let step = StepCx::new("seed", &cx, &());
    let failure = step.wait(Never, EVERY, patience(600), || async { Verdict::wait("pod") }).await.unwrap_err();
    assert_eq!(failure.to_string(), "the time limit of 30s for the whole run is over; last answer: pod");
    assert_eq!(step.check_cancelled().unwrap_err().kind, Kind::Step);
}

#[tokio::test(start_paused = true)]
async fn moving_answers_are_sent_at_a_beat_and_simultaneous_waits_together() {
    let (cx, recorder) = cx();
    let begun = Instant::now();
    let step = StepCx::new("nodes", &cx, &());
    let gate = |node: &'static str, until: u64| {
        move || async move {
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
            if ms < until { Verdict::moving(format!("{node}: {ms} B"), ms) } else { Verdict::pass(node) }
        }
    };
    let both = futures::future::try_join(
        step.wait(Never, EVERY, patience(5), gate("node1", 800)),
        step.wait(Never, EVERY, patience(5), gate("node2", 1200)),
    );
    both.await.unwrap();
    assert_eq!(
        reasons(&cx, &recorder).await,
        ["0 node1: 0 B", "0 node1: 0 B; node2: 0 B", "600 node1: 600 B; node2: 400 B", "800 node2: 600 B", "1200 "]
    );
}
