//! A sum over processes that gradients flow through: with S = Σᵣ sᵣ, the gradient of the sum of all
//! processes' losses by sᵣ is the sum of every process's own gradient by S.

use std::sync::Arc;

#[cfg(not(feature = "nccl"))]
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use super::super::{Collective, TrainerError};
#[cfg(feature = "nccl")]
use super::nccl::Gpus;

/// Adds f32 tensors up over all processes: on the host, or between GPUs where NCCL is built in.
#[derive(Clone)]
pub(super) struct AllSum(Option<Arc<Processes>>);

struct Processes {
    collective: Box<dyn Collective>,
    #[cfg(feature = "nccl")]
    gpus: Option<Gpus>,
}

impl AllSum {
    /// Over the processes of `collective`, for tensors on `device`.
    ///
    /// # Errors
    /// When the GPUs of the processes cannot be joined.
    #[cfg_attr(not(feature = "nccl"), allow(unused_variables))]
    pub(super) fn new(
        collective: Box<dyn Collective>,
        device: &Device,
    ) -> std::result::Result<Self, TrainerError> {
        if collective.size() == 1 {
            return Ok(Self(None));
        }
        Ok(Self(Some(Arc::new(Processes {
            #[cfg(feature = "nccl")]
            gpus: Gpus::join(&*collective, device)?,
            collective,
        }))))
    }

    /// Whether this process trains by itself.
    pub(super) fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// Σ of every process's `values`, of the same shape everywhere.
    pub(super) fn of(&self, values: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(processes) => values.contiguous()?.apply_op1(Over(Arc::clone(processes))),
            None => Ok(values.clone()),
        }
    }

    /// Σ of every process's `count`, exact up to 2²⁴.
    pub(super) fn count(&self, count: usize) -> Result<usize> {
        let mut sum = [count as f32];
        if let Some(processes) = &self.0 {
            processes.sum(&mut sum)?;
        }
        Ok(sum[0] as usize)
    }
}

impl Processes {
    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let done = self.collective.sum(values);
        done.map_err(candle_core::Error::wrap)
    }
}

/// The operation, of contiguous tensors.
struct Over(Arc<Processes>);

impl CustomOp1 for Over {
    fn name(&self) -> &'static str {
        "sum over processes"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let start = layout.start_offset();
        let values = &storage.as_slice::<f32>()?[start..start + layout.shape().elem_count()];
        let mut sums = values.to_vec();
        self.0.sum(&mut sums)?;
        Ok((CpuStorage::F32(sums), layout.shape().clone()))
    }

    #[cfg(feature = "nccl")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let Some(gpus) = &self.0.gpus else {
            candle_core::bail!("tensors on a GPU, in a trainer that is on none")
        };
        Ok((gpus.sum(storage, layout)?, layout.shape().clone()))
    }

    #[cfg(not(feature = "nccl"))]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (sums, shape) = self.cpu_fwd(&storage.to_cpu_storage()?, layout)?;
        Ok((storage.device().storage_from_cpu_storage(&sums)?, shape))
    }

    fn bwd(&self, _values: &Tensor, _sums: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(self)?))
    }
}
