//! Sums over the GPUs of several processes by NCCL, without a way through the host (the cargo feature `nccl`).
//!
//! The processes find each other through the [`Collective`] that they have already: it carries the first
//! one's identifier to the others.

use std::{ffi::c_char, sync::Mutex};

use candle_core::{
    CudaStorage, Device, Layout, Result,
    backend::BackendStorage,
    cuda_backend::cudarc::nccl::{Comm, Id, ReduceOp},
};

use super::super::{Collective, CollectiveError, TrainerError};

/// The GPUs of all processes, one each.
pub(super) struct Gpus(Mutex<Communicator>);

struct Communicator(Comm);

// SAFETY: NCCL lets any thread use a communicator, one at a time; `Gpus` locks it for every use.
unsafe impl Send for Communicator {}

impl Gpus {
    /// Joins the devices of all processes of `collective`; none when `device` is no GPU.
    ///
    /// # Errors
    /// When NCCL does not join them; two processes cannot share a GPU.
    pub(super) fn join(
        collective: &dyn Collective,
        device: &Device,
    ) -> std::result::Result<Option<Self>, TrainerError> {
        let Device::Cuda(device) = device else {
            return Ok(None);
        };
        let id = identifier(collective)?;
        let (rank, size) = (collective.rank(), collective.size());
        let communicator = Comm::from_rank(device.cuda_stream(), rank, size, id);
        let communicator =
            communicator.map_err(|error| TrainerError::Join(format!("{error:?}")))?;
        Ok(Some(Self(Mutex::new(Communicator(communicator)))))
    }

    /// Σ of every process's `storage`, contiguous f32 values of the same number everywhere.
    pub(super) fn sum(&self, storage: &CudaStorage, layout: &Layout) -> Result<CudaStorage> {
        let (start, count) = (layout.start_offset(), layout.shape().elem_count());
        let values = storage.as_cuda_slice::<f32>()?;
        let values = values.slice(start..start + count);
        let device = storage.device();
        let mut sums = device.alloc_zeros::<f32>(count)?;
        let communicator = self.0.lock();
        let communicator = communicator.map_err(|_| lost("a thread failed in NCCL"))?;
        let done = communicator
            .0
            .all_reduce(&values, &mut sums, &ReduceOp::Sum);
        done.map_err(|error| lost(&format!("{error:?}")))?;
        Ok(CudaStorage::wrap_cuda_slice(sums, device.clone()))
    }
}

/// The identifier that the first process draws.
fn identifier(collective: &dyn Collective) -> std::result::Result<Id, TrainerError> {
    let mut bytes = [0.0; 128];
    if collective.rank() == 0 {
        let drawn = Id::new().map_err(|error| TrainerError::Join(format!("{error:?}")))?;
        bytes = drawn.internal().map(f32::from);
    }
    collective.sum(&mut bytes)?;
    Ok(Id::uninit(bytes.map(|byte| byte as c_char)))
}

fn lost(problem: &str) -> candle_core::Error {
    candle_core::Error::wrap(CollectiveError(problem.to_owned()))
}

#[cfg(test)]
mod tests {
    use candle_core::{Tensor, backend::BackendDevice};

    use super::{super::super::Alone, *};

    /// One process's sum is its own values. (Needs a GPU, like all of this feature.)
    #[test]
    fn a_sum_over_one_gpu_changes_nothing() {
        let device = Device::new_cuda(0).unwrap();
        let gpus = Gpus::join(&Alone, &device).unwrap().unwrap();
        let values = Tensor::new(&[1.0_f32, -2.0, 3.5, 0.25], &device).unwrap();
        let behind = values.narrow(0, 1, 3).unwrap();
        let (storage, layout) = behind.storage_and_layout();
        let candle_core::Storage::Cuda(storage) = &*storage else {
            panic!("not on the GPU")
        };
        let sums = gpus.sum(storage, layout).unwrap();
        let sums = sums.to_cpu_storage().unwrap();
        assert_eq!(sums.as_slice::<f32>().unwrap(), [-2.0, 3.5, 0.25]);
    }
}
