//! A sum over processes that gradients flow through: with S = Σᵣ sᵣ, the gradient of the sum of all
//! processes' losses by sᵣ is the sum of every process's own gradient by S.

use std::sync::Arc;

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor,
    backend::{BackendDevice, BackendStorage},
};

use super::super::Collective;

/// Adds f32 tensors up over all processes, on the host.
#[derive(Clone)]
pub(super) struct AllSum(Option<Arc<dyn Collective>>);

impl AllSum {
    /// Over the processes of `collective`.
    pub(super) fn new(collective: &Arc<dyn Collective>) -> Self {
        let several = collective.size() > 1;
        Self(several.then(|| Arc::clone(collective)))
    }

    /// Σ of every process's `values`, of the same shape everywhere.
    pub(super) fn of(&self, values: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(collective) => values.contiguous()?.apply_op1(Over(Arc::clone(collective))),
            None => Ok(values.clone()),
        }
    }

    /// Σ of every process's `count`, exact up to 2²⁴.
    pub(super) fn count(&self, count: usize) -> Result<usize> {
        let mut sum = [count as f32];
        if let Some(collective) = &self.0 {
            collective.sum(&mut sum).map_err(candle_core::Error::wrap)?;
        }
        Ok(sum[0] as usize)
    }
}

/// The operation, of contiguous tensors.
struct Over(Arc<dyn Collective>);

impl CustomOp1 for Over {
    fn name(&self) -> &'static str {
        "sum over processes"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let start = layout.start_offset();
        let values = &storage.as_slice::<f32>()?[start..start + layout.shape().elem_count()];
        let mut sums = values.to_vec();
        self.0.sum(&mut sums).map_err(candle_core::Error::wrap)?;
        Ok((CpuStorage::F32(sums), layout.shape().clone()))
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (sums, shape) = self.cpu_fwd(&storage.to_cpu_storage()?, layout)?;
        Ok((storage.device().storage_from_cpu_storage(&sums)?, shape))
    }

    fn bwd(&self, _values: &Tensor, _sums: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(self)?))
    }
}
