//! Entry point of the `galeractl` binary.

use std::process::ExitCode;

use galeractl::cli;
use galeractl::exit;

fn main() -> ExitCode {
    // A panic is a defect, and has an exit code of its own; the default hook has told of it by then.
    let run = std::thread::Builder::new().stack_size(8 << 20).spawn(cli::start);
    let code = run.map(std::thread::JoinHandle::join);
    ExitCode::from(code.map_or(exit::BUG, |code| code.unwrap_or(exit::BUG)))
}
