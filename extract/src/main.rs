//! Runs a frozen backbone over a data set and writes its features to a cache.

use std::process::ExitCode;

fn main() -> ExitCode {
    extract::run(std::env::args_os()).into()
}
