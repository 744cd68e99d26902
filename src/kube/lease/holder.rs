//! Who holds a lock, and whether that process still lives.

use std::fmt;
use std::fs;

/// A process on a machine, recognisable after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Boot of a machine and process namespace in it: within one such place a pid names one process at a time.
    pub place: String,
    /// Process id.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot: tells apart two processes that get the same pid.
    pub start: u64,
}

/// Whether a process lives, as far as can be told from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It ran here and does not any more.
    Dead,
    /// It runs elsewhere, or nobody knows.
    Unknown,
}

impl Process {
    /// This process; `None` where the system does not tell (only Linux does).
    #[must_use]
    pub fn current() -> Option<Self> {
        let pid = std::process::id();
        Some(Self { place: place()?, pid, start: start_of(pid)? })
    }

    /// Reads what [`Process`]'s `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '/');
        let start = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let place = parts.next().filter(|place| !place.is_empty())?;
        Some(Self { place: place.to_owned(), pid, start })
    }

    /// Whether this process, seen from the process `me`, still lives.
    #[must_use]
    pub fn liveness(&self, me: Option<&Self>) -> Liveness {
        if me.is_none_or(|me| me.place != self.place) {
            return Liveness::Unknown;
        }
        match start_of(self.pid) {
            Some(start) if start == self.start => Liveness::Alive,
            Some(_) => Liveness::Dead,
            None if fs::exists(format!("/proc/{}", self.pid)).is_ok_and(|exists| !exists) => Liveness::Dead,
            None => Liveness::Unknown,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.place, self.pid, self.start)
    }
}

/// The host name alone would not do: containers of one pipeline often share it, each with its own processes.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let number: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}-{number}", boot.trim()))
}

fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// `user@host`, for people.
#[must_use]
pub fn user_at_host() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME")).or_else(|| variable("USERNAME"));
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .or_else(|| variable("HOSTNAME"))
        .or_else(|| variable("COMPUTERNAME"));
    format!("{}@{}", user.as_deref().unwrap_or("someone"), host.as_deref().unwrap_or("somewhere"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_lives_and_an_ended_one_does_not() {
        let me = Process::current().unwrap();
        assert_eq!(me.liveness(Some(&me)), Liveness::Alive);
        assert_eq!(Process { start: me.start + 1, ..me.clone() }.liveness(Some(&me)), Liveness::Dead);
        assert_eq!(Process { pid: u32::MAX, ..me.clone() }.liveness(Some(&me)), Liveness::Dead);
        assert_eq!(Process { place: "elsewhere".into(), ..me.clone() }.liveness(Some(&me)), Liveness::Unknown);
        assert_eq!(me.liveness(None), Liveness::Unknown);
    }

    #[test]
    fn processes_are_written_and_read() {
        let process = Process { place: "boot/with-1".into(), pid: 7, start: 99 };
        assert_eq!(Process::parse(&process.to_string()), Some(process));
        for broken in ["", "a", "a/1", "/1/2", "a/x/2", "a/1/x"] {
            assert_eq!(Process::parse(broken), None, "{broken}");
        }
    }
}
