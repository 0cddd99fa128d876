//! What is refused before the first step, in all processes alike.

use common::exit::Exit;

use super::{
    job::{Job, Phase},
    progress::Progress,
};
use crate::failure::Failure;

/// Refuses a last batch that leaves a process without a row where it needs one, or a normalisation with a
/// single value.
pub(super) fn last_batch(job: &Job) -> Result<(), Failure> {
    let (rows, processes) = (job.last_batch(), job.collective.size());
    let problem = if job.trainers.are_on_gpu() && rows < processes {
        format!("fewer than the {processes} processes have GPUs")
    } else if rows == 1 && job.tail(Phase::Whole)?.normalises_single_values() {
        "and --bn train needs two where a map is 1×1".to_owned()
    } else {
        return Ok(());
    };
    let message = format!(
        "{} training images in batches of {}: the last one has {rows}, {problem} (choose another --batch-size)",
        job.images.len(),
        job.settings.batch_size
    );
    Err(Failure::new(Exit::Usage, message))
}

/// Refuses to go on where the first process is not.
pub(super) fn place(job: &Job, progress: &Progress) -> Result<(), Failure> {
    let own = [
        progress.epochs as f32,
        progress.batches as f32,
        progress.steps as f32,
    ];
    if job.numbers_of_first(own)? == own {
        return Ok(());
    }
    let message = format!(
        "process {} does not see the checkpoint that the first one goes on from (put --out into a folder that all processes see)",
        job.collective.rank()
    );
    Err(Failure::new(Exit::Input, message))
}
