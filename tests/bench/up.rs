//! One run of `up`, measured from outside.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use galeractl::engine::event::{Change, Event, Stamped};

use crate::process::Place;

/// Clock ticks a second in /proc on every Linux.
const TICKS: f64 = 100.0;

/// One run of `up`.
pub(crate) struct Up {
    pub(crate) whole: Duration,
    pub(crate) steps: Vec<(String, f64)>,
    /// When the seed's pod was created, seconds since the epoch.
    pub(crate) seed_created: f64,
    pub(crate) cpu: Duration,
    pub(crate) peak_kib: u64,
}

impl Place {
    pub(crate) async fn up(&self, nodes: u32) -> Up {
        let mut command = self.command(&["up", "--nodes", &nodes.to_string()]);
        let measured = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            let pid = child.id();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<String>>());
            let (mut cpu, mut peak_kib) = (Duration::ZERO, 0);
            let status = loop {
                (cpu, peak_kib) = usage(pid).unwrap_or((cpu, peak_kib));
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                std::thread::sleep(super::LOOK);
            };
            let (whole, lines) = (begun.elapsed(), reader.join().unwrap());
            assert!(status.success(), "up failed:\n{}", lines.join("\n"));
            (whole, lines, cpu, peak_kib)
        });
        let (whole, lines, cpu, peak_kib) = measured.await.unwrap();
        let events: Vec<Stamped> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Up { whole, steps: steps(&events), seed_created: seed_created(&events), cpu, peak_kib }
    }
}

fn steps(events: &[Stamped]) -> Vec<(String, f64)> {
    let finished = events.iter().filter_map(|stamped| match &stamped.event {
        Event::StepFinished { step, elapsed_ms, .. } => {
            Some((step.clone(), Duration::from_millis(*elapsed_ms).as_secs_f64()))
        }
        _ => None,
    });
    finished.collect()
}

fn seed_created(events: &[Stamped]) -> f64 {
    let created = events.iter().find(|stamped| {
        matches!(&stamped.event, Event::Object { object, change: Change::Created, .. } if object == "pod/bench-galera-seed")
    });
    created.unwrap().at.as_duration().as_secs_f64()
}

/// Processor time and the highest resident size (KiB) of a process that runs.
fn usage(pid: u32) -> Option<(Duration, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some((Duration::from_secs_f64(ticks / TICKS), peak.trim().trim_end_matches(" kB").parse().ok()?))
}
