//! `extract`: the expensive half of transfer learning, paid once.
//!
//! [`cli`] holds the raw command line, [`plan`] turns it into a value that is
//! valid by construction, `commands` act on it, and the pipeline of `run`
//! takes images from the source to committed parts of a cache.

pub mod cli;
mod commands;
mod pipeline;
pub mod plan;
mod progress;
mod shard;

use std::{ffi::OsString, io::Write};

use clap::Parser;
use common::exit::{Exit, report};

/// Runs the program on `arguments` (the first is the program's name) and
/// returns how it is to exit. Errors are printed on standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // clap chooses the stream; a closed one leaves nothing to be said.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
        }
    };
    match commands::dispatch(cli) {
        Ok(exit) => exit,
        Err(error) => {
            let (message, exit) = report(error.as_ref(), commands::classify);
            // Nothing is left to be said where standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {message}");
            exit
        }
    }
}
