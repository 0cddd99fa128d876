//! Where the activations that a tail reads come from: a cache, or images that the frozen part runs
//! on while the batch before is trained on.

mod images;

use std::ops::ControlFlow;

pub(crate) use images::ImageInputs;

use crate::{dataset::Dataset, failure::Failure};

/// Activations of rows, a batch at a time.
pub(crate) enum Inputs<'a> {
    /// Those of a cached layer, which are the features of this dataset.
    Cached(&'a Dataset),
    /// Made anew from the images.
    Images(Box<ImageInputs<'a>>),
}

/// What rows are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To train on, in this epoch.
    Training { epoch: u32 },
    /// To judge by: as they are.
    Judging,
}

impl Inputs<'_> {
    /// Shows `each` the number of each of `batches`, from 0, and the activations `[rows, C, H, W]` of its rows,
    /// until it has seen enough.
    ///
    /// # Errors
    /// The first error of `each`, or of an image.
    pub(crate) fn visit(
        &self,
        batches: &[Vec<u32>],
        purpose: Purpose,
        mut each: impl FnMut(usize, &mut [f32]) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::Cached(dataset) => {
                let mut values = Vec::new();
                for (number, rows) in batches.iter().enumerate() {
                    dataset.features.gather(rows, &mut values);
                    if each(number, &mut values)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Self::Images(images) => images.visit(batches, purpose, each),
        }
    }
}
