//! `extract`: the expensive half of transfer learning, paid once.
//!
//! [`cli`] holds the raw command line, [`plan`] turns it into a value that is
//! valid by construction, `commands` act on it, and the pipeline of `run`
//! takes images from the source to committed parts of a cache.

pub mod cli;
mod commands;
mod pipeline;
pub mod plan;
mod shard;

use std::ffi::OsString;

use common::{
    exit::{Exit, report},
    program,
};

/// Runs the program on `arguments` (the first is the program's name) and
/// returns how it is to exit. Errors are printed on standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    program::run(arguments, |cli| {
        commands::dispatch(cli).map_err(|error| report(error.as_ref(), commands::classify))
    })
}
