//! Whether this process was started together with others, by `mpirun` or `srun`, and joining them.

use std::sync::Arc;

use super::{Alone, Collective};

/// What launchers tell a process about how many there are: Open MPI's `mpirun`, MPICH's, and Slurm's `srun`.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// Processes that were started together but cannot train together.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The program was built without MPI.
    #[error(
        "started as one of {launched} processes, but this build has no MPI (build with --features mpi, or start one process)"
    )]
    NotBuilt {
        /// As the launcher has it.
        launched: usize,
    },
    /// MPI sees others than the launcher started.
    #[error(
        "the launcher started {launched} processes, but MPI joins {joined} of them (with Slurm: `srun --mpi=pmix`; otherwise the `mpirun` of the MPI that this was built with)"
    )]
    Apart {
        /// As the launcher has it.
        launched: usize,
        /// As MPI has it.
        joined: usize,
    },
    /// MPI does not start.
    #[error("MPI does not start: {0}")]
    Start(&'static str),
}

/// The processes that this one was started together with; to be called once, and kept until the end. A
/// process that was started by itself needs no MPI and does not start it.
///
/// # Errors
/// When there are others, and this build or this machine cannot join them.
pub fn processes() -> Result<Arc<dyn Collective>, JoinError> {
    match launched(|name| std::env::var(name).ok()) {
        1 => Ok(Arc::new(Alone)),
        launched => join(launched),
    }
}

/// How many processes the launcher started; 1 without a launcher.
fn launched(variable: impl Fn(&str) -> Option<String>) -> usize {
    let sizes = SIZES
        .into_iter()
        .filter_map(|name| variable(name)?.parse().ok());
    sizes.max().unwrap_or(1).max(1)
}

#[cfg(feature = "mpi")]
fn join(launched: usize) -> Result<Arc<dyn Collective>, JoinError> {
    let processes = super::mpi::Mpi::start()?;
    match processes.size() {
        joined if joined == launched => Ok(Arc::new(processes)),
        joined => Err(JoinError::Apart { launched, joined }),
    }
}

#[cfg(not(feature = "mpi"))]
fn join(launched: usize) -> Result<Arc<dyn Collective>, JoinError> {
    Err(JoinError::NotBuilt { launched })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_told_by_their_variables() {
        let with = |set: &'static str, value: &'static str| {
            launched(move |name| (name == set).then(|| value.to_owned()))
        };
        assert_eq!(with("OMPI_COMM_WORLD_SIZE", "2"), 2);
        assert_eq!(with("SLURM_STEP_NUM_TASKS", "4"), 4);
        assert_eq!(with("SLURM_STEP_NUM_TASKS", "none"), 1);
        assert_eq!(with("HOME", "2"), 1);
    }

    #[cfg(not(feature = "mpi"))]
    #[test]
    fn several_processes_without_mpi_are_refused_with_the_remedy() {
        let error = join(2).err().unwrap().to_string();
        assert!(error.contains("--features mpi"), "{error}");
    }
}
