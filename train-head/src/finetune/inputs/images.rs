//! Activations made from images, on threads that are a few batches ahead.

use std::{num::NonZeroUsize, ops::ControlFlow, path::Path, thread};

use common::{
    cache::CacheReader,
    embed::{Embedder, View, Worker},
    exit::Exit,
    image::{Augmentation, DEFAULT_MAX_PIXELS, ViewKey},
    in_order::{self, Pieces},
    interrupt::Interrupt,
    source::Source,
    tail::Cut,
};

use super::Purpose;
use crate::{
    dataset::RowInfo,
    embedder::{self, Wanted},
    failure::{Failure, OrExit},
    plan::FinetunePlan,
};

/// The images of a cache, and the frozen part of its backbone.
pub(crate) struct ImageInputs<'a> {
    reader: &'a CacheReader,
    rows: &'a [RowInfo],
    source: Source,
    embedder: Embedder,
    /// Whether the frozen part is empty, and the pixels themselves are wanted.
    wants_pixels: bool,
    /// Of training rows, anew in every epoch.
    augmentation: Option<Augmentation>,
}

/// Why no further batch is shown.
enum Halt {
    Enough,
    Failed(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'a> ImageInputs<'a> {
    /// Images below `source` that `reader`'s cache was made of, up to `start`.
    pub(crate) fn open(
        (plan, source): (&FinetunePlan, &Path),
        reader: &'a CacheReader,
        start: &Cut,
        rows: &'a [RowInfo],
    ) -> Result<Self, Failure> {
        let wanted = Wanted {
            weights: plan.weights.clone(),
            layers: start.layer.iter().cloned().collect(),
            device: plan.device,
            max_pixels: DEFAULT_MAX_PIXELS,
        };
        let place = format!("cache `{}`", plan.cache.display());
        Ok(Self {
            reader,
            rows,
            source: Source::open(source).or_exit(Exit::Input)?,
            embedder: embedder::load(&reader.manifest().identity, wanted, &place)?,
            wants_pixels: start.layer.is_none(),
            augmentation: plan.augment.map(|augment| Augmentation {
                augment,
                seed: plan.settings.seed,
            }),
        })
    }

    /// See [`super::Inputs::visit`].
    pub(super) fn visit(
        &self,
        batches: &[Vec<u32>],
        purpose: Purpose,
        mut each: impl FnMut(usize, &mut [f32]) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let pieces = Pieces {
            count: batches.len() as u64,
            threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            // Whoever is shown the batches knows of signals.
            interrupt: &Interrupt::default(),
        };
        let start = || {
            let mut worker = self.embedder.worker().map_err(Failure::of)?;
            let mut file = Vec::new();
            Ok(move |batch: u64| {
                let rows = &batches[batch as usize];
                Ok(self.activations(rows, purpose, (&mut worker, &mut file))?)
            })
        };
        let take = |batch: u64, mut values: Vec<f32>| match each(batch as usize, &mut values)? {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Halt::Enough),
        };
        match in_order::work(&pieces, start, take) {
            Ok(_) | Err(Halt::Enough) => Ok(()),
            Err(Halt::Failed(failure)) => Err(failure),
        }
    }

    /// Activations `[rows, C, H, W]`.
    fn activations(
        &self,
        rows: &[u32],
        purpose: Purpose,
        (worker, file): (&mut Worker, &mut Vec<u8>),
    ) -> Result<Vec<f32>, Failure> {
        let mut values = Vec::new();
        for rows in rows.chunks(self.embedder.preferred_batch().max(1)) {
            for &row in rows {
                self.add(row, purpose, (worker, file))?;
            }
            if self.wants_pixels {
                values.extend(worker.take_pixels());
            } else {
                let layers = worker.forward().map_err(Failure::of)?;
                values.extend(layers.into_iter().flatten());
            }
        }
        Ok(values)
    }

    /// Adds the image of a row to the batch.
    fn add(
        &self,
        row: u32,
        purpose: Purpose,
        (worker, file): (&mut Worker, &mut Vec<u8>),
    ) -> Result<(), Failure> {
        let image = self.rows[row as usize].id;
        let sample = self.reader.plan().get(image);
        let (uri, bytes) = sample.map_or(("", 0), |sample| (&*sample.uri, sample.bytes));
        let unusable = |problem: String| {
            let message = format!(
                "`{}`: {problem} (it was usable when the cache was made: restore it, or extract again)",
                self.source.root().join(uri).display()
            );
            Failure::new(Exit::Input, message)
        };
        let read = self.source.read(uri, file);
        read.map_err(|error| unusable(format!("cannot be read: {error}")))?;
        if file.len() as u64 != bytes {
            let problem = format!("has {} bytes, not {bytes} as then", file.len());
            return Err(unusable(problem));
        }
        let added = match (self.augmentation, purpose) {
            (Some(augmentation), Purpose::Training { epoch }) => {
                let view = View::Augmented(augmentation, ViewKey::Epoch { image, epoch });
                let picture = worker
                    .decode(file)
                    .map_err(|error| unusable(error.to_string()))?;
                worker
                    .add_view(&picture, view)
                    .map_err(|error| error.to_string())
            }
            _ => worker.add(file).map_err(|error| error.to_string()),
        };
        added.map_err(unusable)
    }
}
