//! Trains heads on a feature cache, for one class an image, any number of them, or numbers;
//! evaluates them, and applies them to new images.
//!
//! ```text
//! cli → plan → dataset (features, split) → train → bundle        linear, mlp
//!              dataset of activations → tail → bundle + model    finetune
//!              dataset → rounds of trials → the best bundle      sweep
//!              dataset → classifiers without settings → figures  probe
//!              dataset → what is wrong with it → tables           audit
//!              bundle + dataset → judge → figures                eval, compare
//!              bundle + images → engine → head → answers         predict
//! ```

mod audit;
mod cli;
mod compare;
mod convex;
mod dataset;
mod embedder;
mod eval;
mod events;
mod failure;
mod features;
mod finetune;
mod fit;
mod folder;
mod head_input;
mod history;
mod joined;
mod judge;
mod labels;
mod measure;
mod monitor;
mod outcomes;
mod plan;
mod predict;
mod probe;
mod report;
mod schedule;
mod split;
mod subject;
mod sweep;
mod test_reads;
mod train;

use std::{
    ffi::OsString,
    panic::{self, AssertUnwindSafe},
};

use common::{exit::Exit, program};

use crate::{cli::Cli, failure::Failure, features::ReadFailure, plan::Plan};

/// Runs the command line `args` (the program's name first) and says how it ended.
/// Results go to standard output, progress and errors to standard error.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    program::run(args, |cli| {
        caught(|| carry_out(cli)).map_err(|failure| (failure.to_string(), failure.exit))
    })
}

/// What `act` returns, or the failure of a read that has unwound from the middle of it.
fn caught(act: impl FnOnce() -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    // Nothing of what `act` has seen is looked at again.
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|payload| {
        match payload.downcast::<ReadFailure>() {
            Ok(failed) => {
                let ReadFailure { path, error } = *failed;
                let message = format!(
                    "`{}`: reading features failed: {error} (was the cache changed meanwhile?)",
                    path.display()
                );
                Err(Failure::new(Exit::Failure, message))
            }
            Err(payload) => panic::resume_unwind(payload),
        }
    })
}

fn carry_out(cli: Cli) -> Result<Exit, Failure> {
    match Plan::try_from(cli)? {
        Plan::Train(plan) => train::run(&plan),
        Plan::Finetune(plan) => finetune::run(&plan),
        Plan::Sweep(plan) => sweep::run(&plan),
        Plan::PrintSpace(trained) => sweep::print_space(trained),
        Plan::Probe(plan) => probe::run(&plan),
        Plan::Audit(plan) => audit::run(&plan),
        Plan::Evaluate(plan) => eval::run(&plan),
        Plan::Compare(plan) => compare::run(&plan),
        Plan::Predict(plan) => predict::run(&plan),
    }
}
