//! Exit codes, a public contract: scripts rely on them.

/// Everything went as asked.
pub const OK: u8 = 0;
/// The answer is no: `verify` failed, or differences were found.
pub const NO: u8 = 1;
/// Wrong command line or settings; nothing was changed.
pub const USAGE: u8 = 2;
/// A precondition does not hold; nothing was changed.
pub const PREFLIGHT: u8 = 3;
/// A step failed or timed out; the same command continues from there.
pub const STEP: u8 = 4;
/// Another run holds the cluster's lock.
pub const LOCKED: u8 = 5;
/// The user declined, or there was no terminal to ask on.
pub const DECLINED: u8 = 6;
/// The API server or the database cannot be reached.
pub const UNREACHABLE: u8 = 7;
/// A defect in galeractl.
pub const BUG: u8 = 70;
/// Interrupted by the user.
pub const INTERRUPTED: u8 = 130;
