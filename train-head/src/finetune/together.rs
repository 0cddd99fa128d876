//! Training in several processes: the first one writes, the others compute along.

use std::sync::Arc;

use common::{
    exit::Exit,
    tail::{Collective, processes},
};

use crate::failure::{Failure, OrExit};

/// The processes that this one was started with.
pub(crate) struct Together(Arc<dyn Collective>);

impl Together {
    /// Joins them.
    pub(crate) fn join() -> Result<Self, Failure> {
        processes().or_exit(Exit::Device).map(Self)
    }

    /// For sums over all of them.
    pub(crate) fn collective(&self) -> Arc<dyn Collective> {
        Arc::clone(&self.0)
    }

    /// Whether it is this one that writes and speaks.
    pub(crate) fn is_first(&self) -> bool {
        self.0.rank() == 0
    }

    /// What `act` returns in the first process, once it has; nothing in the others. When it fails, all
    /// of them do.
    pub(crate) fn first<T>(
        &self,
        act: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let done = self.is_first().then(act).transpose();
        let mut failed = [f32::from(u8::from(done.is_err()))];
        self.0.sum(&mut failed).or_exit(Exit::Failure)?;
        let done = done?;
        if failed[0] > 0.0 {
            let message = "the first of the processes that train together has failed";
            return Err(Failure::new(Exit::Failure, message));
        }
        Ok(done)
    }

    /// `result`; after a failure the processes are not taken leave of: the others would wait for this one, and
    /// as it is their launcher ends them.
    pub(crate) fn leave<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        if result.is_err() && self.0.size() > 1 {
            std::mem::forget(self.0);
        }
        result
    }
}
