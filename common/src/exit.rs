//! Exit codes of both binaries, in one place.

use std::error::Error;

use crate::{
    backbone::{
        LoadError, UnknownStage,
        registry::UnknownBackbone,
        weights::{WeightError, hub::HubError},
    },
    cache::CacheError,
    embed::EmbedderError,
    engine::EngineError,
    image::PreprocessError,
    interrupt::Stopped,
    source::SourceError,
};

/// The table of [`Exit`] as the programs' help shows it.
pub const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 the machine failed (disk full, …) or training diverged; 2 wrong command line;
3 unusable input; 4 cache, backbone and head do not belong together; 5 too many rejects;
6 `verify` found damage; 7 no such device; 130, 143 stopped by SIGINT, SIGTERM: `extract run`,
`train-head sweep` and `train-head finetune` go on with the same command (without --overwrite), a
training of heads has kept the best head so far, `train-head predict` has printed what was done.";

/// Why a run ended, as the shell sees it.
///
/// | code | meaning |
/// |---|---|
/// | 0 | success |
/// | 1 | the machine failed: disk full, file not writable, internal error; or training diverged |
/// | 2 | the command line is wrong |
/// | 3 | the input is unusable: source, image, weights, cache, run or space file; or int8 drifts further from f32 than `--min-cosine` allows |
/// | 4 | identity mismatch: the cache, backbone and head do not belong together |
/// | 5 | more inputs were rejected than `--max-rejects` allows |
/// | 6 | `verify` found missing or damaged files |
/// | 7 | the device asked for is not available |
/// | 130, 143 | stopped by SIGINT or SIGTERM: `extract run`, `train-head sweep` and `train-head finetune` go on with the same command (without --overwrite), a training of heads has kept the best head so far, `train-head predict` has printed what was done |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Success = 0,
    /// The machine failed: disk full, file not writable, internal error.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The input is unusable.
    Input = 3,
    /// Cache, backbone and head do not belong together.
    Mismatch = 4,
    /// More rejects than allowed.
    Rejects = 5,
    /// `verify` found damage.
    Damage = 6,
    /// The device asked for is not available.
    Device = 7,
    /// Stopped by SIGINT.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A combination of options that makes no sense; the message says what would.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The message of an error with its causes, on one line, and how the process
/// is to exit. `own` classifies the error types of the calling program.
pub fn report(
    error: &(dyn Error + 'static),
    own: impl Fn(&(dyn Error + 'static)) -> Option<Exit>,
) -> (String, Exit) {
    let mut message = String::new();
    let mut exit = None;
    for cause in causes(error) {
        let text = cause.to_string();
        // A transparent error repeats its source.
        if !message.ends_with(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
        exit = exit.or_else(|| own(cause)).or_else(|| classify(cause));
    }
    (message, exit.unwrap_or(Exit::Failure))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn classify(error: &(dyn Error + 'static)) -> Option<Exit> {
    if let Some(error) = error.downcast_ref::<CacheError>() {
        return Some(error.exit());
    }
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return Some(error.exit());
    }
    if let Some(error) = error.downcast_ref::<EmbedderError>() {
        return Some(error.exit());
    }
    if let Some(error) = error.downcast_ref::<SourceError>() {
        return Some(error.exit());
    }
    if let Some(Stopped(exit)) = error.downcast_ref::<Stopped>() {
        return Some(*exit);
    }
    let is_usage = error.is::<UsageError>()
        || error.is::<UnknownBackbone>()
        || error.is::<UnknownStage>()
        || error.is::<PreprocessError>();
    let is_input = error.is::<LoadError>() || error.is::<WeightError>() || error.is::<HubError>();
    match (is_usage, is_input) {
        (true, _) => Some(Exit::Usage),
        (_, true) => Some(Exit::Input),
        _ => None,
    }
}
