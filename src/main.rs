//! Entry point of the `galeractl` binary.

fn main() {}
