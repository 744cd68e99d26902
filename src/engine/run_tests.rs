use super::super::events::tests::Recorder;
use super::*;

type Act = fn(&StepCx<'_, AtomicUsize>) -> Result<Finished>;

fn good(cx: &StepCx<'_, AtomicUsize>) -> Result<Finished> {
    cx.check_cancelled()?;
    cx.world.fetch_add(1, Ordering::Relaxed);
    cx.object("pod/a", Change::Created);
    Ok(Finished::changed("one pod"))
}

fn bad(_: &StepCx<'_, AtomicUsize>) -> Result<Finished> {
    Err(Failure::new(Kind::Preflight, anyhow::anyhow!("quota exceeded")).context("no pod").hint("raise the quota"))
}

fn stopping(cx: &StepCx<'_, AtomicUsize>) -> Result<Finished> {
    cx.check_cancelled()?;
    cx.cancel.cancel();
    Ok(Finished::unchanged("nothing to do"))
}

async fn in_order(steps: &[(&'static str, Act)], cx: &Cx, world: &AtomicUsize) -> Result<()> {
    for (id, act) in steps {
        let [step] = Due::in_order([Named::titled(id, format!("Do {id}"))]);
        cx.run(step, world, async |cx| act(cx)).await?;
    }
    Ok(())
}

async fn run_all(steps: &[(&'static str, Act)]) -> (Result<()>, usize, Vec<String>) {
    let recorder = Recorder::default();
    let events = Events::start(vec![Box::new(recorder.clone())]);
    let cx = Cx { events, cancel: CancellationToken::new(), deadline: None };
    let world = AtomicUsize::new(0);
    let result = in_order(steps, &cx, &world).await;
    cx.events.finish().await;
    let told = recorder.events().iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    (result, world.load(Ordering::Relaxed), told)
}

#[tokio::test(start_paused = true)]
async fn steps_run_in_order_and_stop_at_the_first_failure() {
    let (result, done, told) = run_all(&[("seed", good), ("nodes", bad), ("haproxy", good)]).await;
    let failure = result.unwrap_err();
    assert_eq!((done, failure.kind), (1, Kind::Preflight));
    assert_eq!(failure.lines(), ["step nodes: no pod", "quota exceeded"]);
    assert_eq!(failure.hints, ["raise the quota"]);
    insta::assert_snapshot!(told.join("\n"), @r#"
    {"event":"step-started","step":"seed","title":"Do seed"}
    {"event":"object","step":"seed","object":"pod/a","change":"created"}
    {"event":"step-finished","step":"seed","outcome":"changed","detail":"one pod","elapsed_ms":0}
    {"event":"step-started","step":"nodes","title":"Do nodes"}
    {"event":"step-finished","step":"nodes","outcome":"failed","detail":"no pod: quota exceeded","elapsed_ms":0}
    "#);
}

#[tokio::test]
async fn a_step_hands_over_what_it_found() {
    let cx = Cx { events: Events::start(Vec::new()), cancel: CancellationToken::new(), deadline: None };
    let [look, act] = Due::in_order([Named::new("look", "Look"), Named::new("act", "Act")]);
    let found = cx.run(look, &4, async |cx| Ok(Finished::unchanged("four").with(*cx.world))).await.unwrap();
    let done = cx.run(act, &4, async |cx| Ok(Finished::which(true, "more").with(found + cx.world))).await;
    assert_eq!(done.unwrap(), 8);
}

#[tokio::test]
#[should_panic(expected = "step act is run out of its turn")]
async fn a_step_that_is_run_out_of_its_turn_is_caught() {
    let cx = Cx { events: Events::start(Vec::new()), cancel: CancellationToken::new(), deadline: None };
    let [_look, act] = Due::in_order([Named::new("look", "Look"), Named::new("act", "Act")]);
    drop(cx.run(act, &(), async |_| Ok(Finished::unchanged(""))).await);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_stops_before_the_next_step() {
    let (result, done, told) = run_all(&[("seed", stopping), ("nodes", good)]).await;
    let failure = result.unwrap_err();
    assert_eq!((done, failure.kind), (0, Kind::Interrupted));
    assert_eq!(failure.to_string(), "interrupted before step nodes");
    assert_eq!(told.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_its_own_is_shown_until_it_is_dropped() {
    fn waits(cx: &StepCx<'_, AtomicUsize>) -> Result<Finished> {
        let wait = cx.waiting("the lock: held by somebody");
        wait.say("the lock: held by somebody else; alas");
        drop(wait);
        cx.check_cancelled()?;
        Ok(Finished::skipped("not today"))
    }
    let (_, _, told) = run_all(&[("lock", waits)]).await;
    insta::assert_snapshot!(told[1..3].join("\n"), @r#"
    {"event":"step-waiting","step":"lock","reason":"the lock: held by somebody","elapsed_ms":0}
    {"event":"step-waiting","step":"lock","reason":"","elapsed_ms":0}
    "#);
}

#[tokio::test]
async fn tidying_up_is_not_stopped_by_what_stopped_the_step() {
    let (recorder, world) = (Recorder::default(), AtomicUsize::new(0));
    let events = Events::start(vec![Box::new(recorder.clone())]);
    let cx = Cx {
        events: events.clone(),
        cancel: CancellationToken::new(),
        deadline: Some(Deadline::after(Duration::ZERO)),
    };
    let step = StepCx::new("look", &cx, &world);
    cx.cancel.cancel();
    assert_eq!(good(&step).unwrap_err().kind, Kind::Interrupted);
    let never = CancellationToken::new();
    let tidying = step.tidying(&never);
    good(&tidying).unwrap();
    drop(tidying.waiting("the reader to end"));
    events.finish().await;
    let told: Vec<Event> = recorder.events();
    assert!(matches!(&told[0], Event::Object { step, .. } if step == "look"), "{told:?}");
    assert!(matches!(&told[1], Event::StepWaiting { step, .. } if step == "look"), "{told:?}");
}
