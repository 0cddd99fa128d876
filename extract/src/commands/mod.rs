//! The subcommands: each takes checked values and prints its result.

mod backbones;
mod bench;
mod calibrate;
mod run;
mod status;
mod verify;

use std::error::Error;

use anyhow::Result;
use common::exit::Exit;

use crate::{
    cli::{Cli, Command},
    pipeline::RunError,
    plan::{BenchPlan, RunPlan},
    shard::ShardError,
};

/// Runs the command that was asked for.
pub(crate) fn dispatch(cli: Cli) -> Result<Exit> {
    match cli.command {
        Command::Run(args) => run::run(&RunPlan::new(*args)?),
        Command::Status(args) => status::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Backbones(args) => backbones::run(&args),
        Command::Bench(args) => bench::run(&BenchPlan::new(*args)?),
    }
}

/// Exit codes of this program's own errors.
pub(crate) fn classify(error: &(dyn Error + 'static)) -> Option<Exit> {
    if let Some(error) = error.downcast_ref::<RunError>() {
        return Some(error.exit());
    }
    if error.is::<run::NothingUsable>() {
        return Some(Exit::Rejects);
    }
    if error.is::<calibrate::TooMuchDrift>() || error.is::<bench::NoImages>() {
        return Some(Exit::Input);
    }
    error.is::<ShardError>().then_some(Exit::Usage)
}
