//! `train-head`: trains, evaluates and applies heads on a feature cache.

use std::process::ExitCode;

fn main() -> ExitCode {
    train_head::run(std::env::args_os()).into()
}
