//! Sums over the processes that train one model together.

use std::sync::Arc;

/// Processes that each see a part of every batch. All of them call [`Collective::sum`] equally often,
/// with equally many values.
pub trait Collective: Send + Sync {
    /// Number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Replaces `values` by their sums over all processes, the same bytes in each.
    ///
    /// # Errors
    /// When a process is gone.
    fn sum(&self, values: &mut [f32]) -> Result<(), CollectiveError>;
}

impl<C: Collective + ?Sized> Collective for Arc<C> {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn size(&self) -> usize {
        (**self).size()
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), CollectiveError> {
        (**self).sum(values)
    }
}

/// The other processes cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error(
    "the processes that train together lost each other: {0} (run again to resume from the last checkpoint)"
)]
pub struct CollectiveError(pub String);

/// One process that trains by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _values: &mut [f32]) -> Result<(), CollectiveError> {
        Ok(())
    }
}
