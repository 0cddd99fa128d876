//! What is said before the first step: what trains, and from where on.

use common::{cache::CacheReader, progress::warn};

use super::job::{Job, Phase};
use crate::{failure::Failure, monitor::Monitor, split::Origin};

/// Says what trains, from where on, and on how many rows.
pub(crate) fn introduce(monitor: &Monitor, job: &Job, reader: &CacheReader) -> Result<(), Failure> {
    let tail = job.tail(Phase::Whole)?;
    let tensors = job.first_tensors()?;
    let names = tail.trained();
    let count = |names: &[String]| -> usize {
        let known = names.iter().filter_map(|name| tensors.get(name));
        known.map(|tensor| tensor.values.len()).sum()
    };
    let (backbone, head) = names.split_at(job.selection.trained().len());
    monitor.say(&format!(
        "trains {} tensors of the backbone, {} parameters ({}), and the head, {}",
        backbone.len(),
        count(backbone),
        ends(backbone),
        count(head)
    ));
    let shape = tail.input_shape();
    let from = match &job.start.layer {
        Some(layer) => format!("layer `{layer}`"),
        None => "the pixels".to_owned(),
    };
    let views = reader.manifest().identity.views;
    let origin = match job.partition.origin {
        Origin::Source => "the source's own split",
        Origin::Drawn => "drawn from the training rows",
    };
    monitor.say(&format!(
        "starts from {from}, {}×{}×{}; {} training images{} and {} for validation ({origin})",
        shape.channels,
        shape.height,
        shape.width,
        job.images.len(),
        if views > 1 && !job.settings.on_images {
            format!(" in {views} views")
        } else {
            String::new()
        },
        job.partition.validation.len(),
    ));
    if job.dataset.unlabelled > 0 {
        monitor.say(&format!(
            "{} rows without a label are left out",
            job.dataset.unlabelled
        ));
    }
    if views > 1 && job.settings.on_images && job.settings.augment.is_none() {
        warn(
            "the cache's augmented views are not used with --source (--augment crop-flip varies the images themselves)",
        );
    }
    for note in &job.partition.notes {
        warn(note);
    }
    Ok(())
}

/// The first and the last of `names`.
fn ends(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [first, .., last] => format!("{first} to {last}"),
    }
}
