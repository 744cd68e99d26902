//! The stream itself: senders everywhere, one task that hands each event to every sink.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::event::{Event, Level, Stamped};

/// How often sinks learn that time has passed; also the frame rate of the terminal.
const TICK: Duration = Duration::from_millis(100);

/// Receives every event of a run, in order.
pub trait Sink: Send {
    /// What it is called when it fails, such as `the run journal`.
    fn name(&self) -> String;

    /// Takes one event.
    ///
    /// # Errors
    /// It cannot go on; it is dropped, the other sinks are told, and the run continues.
    fn event(&mut self, event: &Stamped) -> io::Result<()>;

    /// Time has passed: repeats a line or moves a clock, if the sink does such things.
    ///
    /// # Errors
    /// As for [`Sink::event`].
    fn tick(&mut self, _now: Timestamp) -> io::Result<()> {
        Ok(())
    }

    /// The last event has been taken.
    ///
    /// # Errors
    /// As for [`Sink::event`].
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Message {
    Event(Stamped),
    /// All events before it have been taken by all sinks.
    Flush(oneshot::Sender<()>),
    Finish(oneshot::Sender<()>),
}

/// Sends events; cheap to clone. Sending never blocks and never fails.
#[derive(Debug, Clone)]
pub struct Events(mpsc::UnboundedSender<Message>);

impl Events {
    /// Starts the task that feeds the sinks. Needs a tokio runtime.
    #[must_use]
    pub fn start(sinks: Vec<Box<dyn Sink>>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(feed(receiver, sinks));
        Self(sender)
    }

    /// Stamps and sends an event. After [`Events::finish`] it is lost.
    pub fn send(&self, event: Event) {
        // The receiver is gone only after `finish`, when nobody listens any more.
        let _ = self.0.send(Message::Event(event.now()));
    }

    /// Tells the user something outside of any wait.
    pub fn notice(&self, level: Level, message: impl Into<String>) {
        self.send(Event::Notice { level, message: message.into() });
    }

    /// Returns once every sink has taken everything sent so far.
    pub async fn flush(&self) {
        self.ask(Message::Flush).await;
    }

    /// Returns once every sink has taken everything and is closed. Later events are lost; a second call does nothing.
    pub async fn finish(&self) {
        self.ask(Message::Finish).await;
    }

    async fn ask(&self, message: impl FnOnce(oneshot::Sender<()>) -> Message) {
        let (done, wait) = oneshot::channel();
        if self.0.send(message(done)).is_ok() {
            // An error means that the task has ended, so there is nothing left to wait for.
            let _ = wait.await;
        }
    }
}

async fn feed(mut receiver: mpsc::UnboundedReceiver<Message>, sinks: Vec<Box<dyn Sink>>) {
    let mut sinks = Sinks(sinks);
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            message = receiver.recv() => match message {
                Some(Message::Event(event)) => sinks.event(&event),
                Some(Message::Flush(done)) => {
                    let _ = done.send(());
                }
                Some(Message::Finish(done)) => {
                    sinks.each(|sink| sink.finish());
                    let _ = done.send(());
                    return;
                }
                None => return sinks.each(|sink| sink.finish()),
            },
            _ = clock.tick() => {
                let now = Timestamp::now();
                sinks.each(|sink| sink.tick(now));
            }
        }
    }
}

struct Sinks(Vec<Box<dyn Sink>>);

impl Sinks {
    fn event(&mut self, event: &Stamped) {
        self.each(|sink| sink.event(event));
    }

    /// Asks each sink; drops those that fail and tells the others, which may fail at that in turn.
    fn each(&mut self, mut ask: impl FnMut(&mut Box<dyn Sink>) -> io::Result<()>) {
        let mut lost = Vec::new();
        self.0.retain_mut(|sink| match ask(sink) {
            Ok(()) => true,
            Err(error) => {
                lost.push(format!("{} stopped: {error}; the run goes on without it", sink.name()));
                false
            }
        });
        for message in lost {
            self.event(&Event::Notice { level: Level::Warning, message }.now());
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what it gets; fails from event number `fail_at` on.
    #[derive(Clone, Default)]
    pub(crate) struct Recorder {
        pub(crate) seen: Arc<Mutex<Vec<Event>>>,
        fail_at: Option<usize>,
        finished: Arc<Mutex<usize>>,
    }

    impl Recorder {
        pub(crate) fn events(&self) -> Vec<Event> {
            self.seen.lock().unwrap().clone()
        }
    }

    impl Sink for Recorder {
        fn name(&self) -> String {
            "the recorder".into()
        }

        fn event(&mut self, event: &Stamped) -> io::Result<()> {
            let mut seen = self.seen.lock().unwrap();
            if self.fail_at.is_some_and(|at| seen.len() >= at) {
                return Err(io::Error::other("disk full"));
            }
            seen.push(event.event.clone());
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            *self.finished.lock().unwrap() += 1;
            Ok(())
        }
    }

    fn info(message: &str) -> Event {
        Event::Notice { level: Level::Info, message: message.into() }
    }

    #[tokio::test]
    async fn nothing_is_lost_before_finish() {
        let recorder = Recorder::default();
        let events = Events::start(vec![Box::new(recorder.clone())]);
        let clone = events.clone();
        for i in 0..1000 {
            clone.send(info(&i.to_string()));
        }
        events.finish().await;
        assert_eq!(recorder.events().len(), 1000);
        assert_eq!(*recorder.finished.lock().unwrap(), 1);
        clone.send(info("too late"));
        clone.finish().await;
        assert_eq!(recorder.events().len(), 1000);
    }

    #[tokio::test]
    async fn a_broken_sink_is_named_once_and_breaks_nothing() {
        let broken = Recorder { fail_at: Some(1), ..Recorder::default() };
        let good = Recorder::default();
        let events = Events::start(vec![Box::new(broken.clone()), Box::new(good.clone())]);
        for text in ["a", "b", "c"] {
            events.send(info(text));
        }
        events.flush().await;
        let warning = "the recorder stopped: disk full; the run goes on without it".to_owned();
        assert_eq!(
            good.events(),
            [info("a"), info("b"), Event::Notice { level: Level::Warning, message: warning }, info("c")]
        );
        assert_eq!(broken.events(), [info("a")]);
    }
}
