//! Training in several processes: the first one writes, the others compute along.

use std::{sync::Arc, thread, time::Duration};

use common::{
    exit::Exit,
    tail::{Collective, processes},
};

use crate::failure::{Failure, OrExit};

/// How long the first process has to say why it failed.
const LAST_WORDS: Duration = Duration::from_secs(2);

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

    /// Refuses that some of them `have` something and others do not.
    pub(crate) fn all_or_none(&self, have: &str, own: bool) -> Result<(), Failure> {
        let (count, size) = (self.count(own)?, self.0.size());
        if count == 0 || count == size {
            return Ok(());
        }
        let message = format!(
            "{count} of the {size} processes {have} (start as many as there are GPUs, or use --device cpu)"
        );
        Err(Failure::new(Exit::Device, message))
    }

    /// How many of them say yes.
    fn count(&self, own: bool) -> Result<usize, Failure> {
        let mut count = [f32::from(u8::from(own))];
        self.0.sum(&mut count).or_exit(Exit::Failure)?;
        Ok(count[0] as usize)
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
        let failed = self.count(done.is_err())?;
        let done = done?;
        if failed > 0 {
            // Launchers end all of them once one has ended: be it the first, which says why.
            thread::sleep(LAST_WORDS);
            let message = "the first of the processes that train together has failed";
            return Err(Failure::new(Exit::Failure, message));
        }
        Ok(done)
    }

    /// `result`; after a failure the processes are not taken leave of: the others would wait for this one, and
    /// as it is their launcher ends them.
    pub(crate) fn leave<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        if result.is_err() {
            self.abandon();
        }
        result
    }

    /// Keeps what joins the processes from being closed, which would wait for them.
    fn abandon(&self) {
        if self.0.size() > 1 {
            std::mem::forget(Arc::clone(&self.0));
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        if thread::panicking() {
            self.abandon();
        }
    }
}
