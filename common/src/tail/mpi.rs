//! Processes that MPI joins (the cargo feature `mpi`; it needs an MPI library and libclang to build).
//!
//! Sums are `MPI_Allreduce`, whose result MPI libraries give all processes in the same bytes. When a process
//! dies, MPI ends the others, and the launcher says which it was.

use std::sync::Mutex;

use mpi::{
    Threading, collective::SystemOperation, environment::Universe, initialize_with_threading,
    topology::Communicator, traits::CommunicatorCollectives,
};

use super::{Collective, CollectiveError, processes::JoinError};

/// Values of one call of `MPI_Allreduce`, which counts in 31 bits.
const CHUNK: usize = 1 << 24;

/// All processes that were started together. MPI ends when it is dropped.
pub(super) struct Mpi {
    /// Locked while MPI is called: no two threads do at once.
    universe: Mutex<Universe>,
    rank: usize,
    size: usize,
}

impl Mpi {
    /// Starts MPI, once a process.
    ///
    /// # Errors
    /// When it has been started, or cannot be called from different threads.
    pub(super) fn start() -> Result<Self, JoinError> {
        let Some((universe, threading)) = initialize_with_threading(Threading::Serialized) else {
            return Err(JoinError::Start("it has been started before"));
        };
        if threading < Threading::Serialized {
            return Err(JoinError::Start("this library is for one thread only"));
        }
        let world = universe.world();
        // MPI's numbers are not negative.
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        Ok(Self {
            universe: Mutex::new(universe),
            rank,
            size,
        })
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), CollectiveError> {
        let universe = self.universe.lock();
        let universe = universe.map_err(|_| CollectiveError("a thread failed in MPI".into()))?;
        let world = universe.world();
        let mut sums = vec![0.0_f32; values.len().min(CHUNK)];
        for values in values.chunks_mut(CHUNK) {
            let sums = &mut sums[..values.len()];
            world.all_reduce_into(&*values, sums, SystemOperation::sum());
            values.copy_from_slice(sums);
        }
        Ok(())
    }
}
