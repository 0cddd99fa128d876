//! The tensors of a tail on a device, under their names.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, Var};

use super::super::{Tail, Tensor as HostTensor, Tensors, TrainerError};

/// All tensors of a tail, f32, in the order of [`Tail::tensors`].
pub(super) struct Store {
    entries: Vec<Entry>,
    positions: HashMap<String, usize>,
}

struct Entry {
    name: String,
    value: Var,
    role: Role,
}

/// What a step does to a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It follows its gradient.
    Trained,
    /// It follows the statistics of batches.
    Statistic,
    /// Nothing.
    Frozen,
}

impl Store {
    /// Moves `tensors` to `device`.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(super) fn new(
        tail: &Tail,
        tensors: &Tensors,
        device: &Device,
    ) -> std::result::Result<Self, TrainerError> {
        let trained = tail.trained();
        let by_batch = tail.convs().filter(|conv| tail.normalises_by_batch(conv));
        let statistics: Vec<_> = by_batch
            .flat_map(|conv| {
                ["running_mean", "running_var"].map(|s| format!("{}.{s}", conv.norm.name))
            })
            .collect();
        let mut entries = Vec::new();
        for parameter in tail.parameters() {
            let values = checked(tensors, &parameter.name, &parameter.shape)?;
            let role = if trained.contains(&parameter.name) {
                Role::Trained
            } else if statistics.contains(&parameter.name) {
                Role::Statistic
            } else {
                Role::Frozen
            };
            entries.push(Entry {
                value: Var::from_slice(values, &parameter.shape[..], device)?,
                name: parameter.name,
                role,
            });
        }
        let names = entries.iter().map(|entry| entry.name.clone());
        Ok(Self {
            positions: names.zip(0..).collect(),
            entries,
        })
    }

    /// The tensor `name`; gradients are taken by it if it is trained.
    pub(super) fn get(&self, name: &str) -> Result<Tensor> {
        let entry = self.entry(name)?;
        Ok(match entry.role {
            Role::Trained => entry.value.as_tensor().clone(),
            Role::Statistic | Role::Frozen => entry.value.as_detached_tensor(),
        })
    }

    /// Replaces the values of the tensor `name`.
    pub(super) fn set(&self, name: &str, values: &Tensor) -> Result<()> {
        self.entry(name)?.value.set(values)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        match self.positions.get(name) {
            Some(position) => Ok(&self.entries[*position]),
            None => candle_core::bail!("the tail has no tensor `{name}`"),
        }
    }

    /// The trained tensors, in the order of [`Tail::trained`].
    pub(super) fn trained(&self) -> impl Iterator<Item = (&str, &Var)> {
        let entries = self.entries.iter();
        let trained = entries.filter(|entry| entry.role == Role::Trained);
        trained.map(|entry| (entry.name.as_str(), &entry.value))
    }

    /// The tensors that steps change: the trained ones and running statistics.
    pub(super) fn moving(&self) -> impl Iterator<Item = (&str, &Var)> {
        let entries = self.entries.iter();
        let moving = entries.filter(|entry| entry.role != Role::Frozen);
        moving.map(|entry| (entry.name.as_str(), &entry.value))
    }

    /// Exchanges the tensors of [`Store::moving`] for others.
    pub(super) fn swap_moving(&mut self, others: &mut [Var]) {
        let entries = self.entries.iter_mut();
        let moving = entries.filter(|entry| entry.role != Role::Frozen);
        for (entry, other) in moving.zip(others) {
            std::mem::swap(&mut entry.value, other);
        }
    }

    /// Zeros of the shapes of the trained tensors.
    pub(super) fn zeros(&self) -> Result<Vec<Tensor>> {
        self.trained()
            .map(|(_, value)| value.zeros_like())
            .collect()
    }

    /// All tensors on the host.
    pub(super) fn to_tensors(&self) -> Result<Tensors> {
        let entries = self.entries.iter();
        entries
            .map(|entry| to_host(&entry.name, &entry.value))
            .collect()
    }

    /// Replaces the values of all tensors.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(super) fn replace(&self, tensors: &Tensors) -> std::result::Result<(), TrainerError> {
        for entry in &self.entries {
            entry
                .value
                .set(&to_device(tensors, &entry.name, &entry.value)?)?;
        }
        Ok(())
    }
}

/// A tensor on the host.
pub(super) fn to_host(name: &str, value: &Tensor) -> Result<HostTensor> {
    Ok(HostTensor {
        name: name.to_owned(),
        shape: value.dims().to_vec(),
        values: value.flatten_all()?.to_vec1()?,
    })
}

/// The tensor `name` of `tensors` in the shape and on the device of `like`.
///
/// # Errors
/// When it is missing or has another shape.
pub(super) fn to_device(
    tensors: &Tensors,
    name: &str,
    like: &Tensor,
) -> std::result::Result<Tensor, TrainerError> {
    let values = checked(tensors, name, like.dims())?;
    Ok(Tensor::from_slice(values, like.shape(), like.device())?)
}

/// The values of the tensor `name`, which must have the shape `shape`.
fn checked<'a>(
    tensors: &'a Tensors,
    name: &str,
    shape: &[usize],
) -> std::result::Result<&'a [f32], TrainerError> {
    let problem = match tensors.get(name) {
        None => "is missing".to_owned(),
        Some(tensor) if tensor.shape == shape => return Ok(&tensor.values),
        Some(tensor) => format!("has shape {:?}, expected {shape:?}", tensor.shape),
    };
    Err(TrainerError::Tensor {
        name: name.to_owned(),
        problem,
    })
}
