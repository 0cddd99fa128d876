//! The tensors of a tail: their values, and for those that train a gradient and the optimizer's
//! moments.

use std::ops::Range;

use super::{packing::Packing, product::Onto};
use crate::{
    engine::cpu::scratch::Buffer,
    tail::{Tensor, Tensors, TrainerError},
};

/// Number of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParameterId(pub(super) usize);

/// One tensor.
pub(super) struct Parameter {
    pub(super) name: String,
    shape: Vec<usize>,
    packing: Packing,
    pub(super) values: Vec<f32>,
    pub(super) trained: Option<Trained>,
    /// Whether the values move, by training or as running statistics.
    pub(super) moves: bool,
    pub(super) average: Option<Vec<f32>>,
}

/// What a tensor has that trains.
pub(super) struct Trained {
    /// Its number in [`Tail::trained`](crate::tail::Tail::trained).
    pub(super) group: usize,
    /// Where its gradient lies among all.
    pub(super) gradient: Range<usize>,
    pub(super) moments: [Vec<f32>; 2],
}

/// What a tail needs of a tensor.
pub(super) struct Needed {
    pub(super) name: String,
    /// In PyTorch's order.
    pub(super) shape: Vec<usize>,
    pub(super) packing: Packing,
    /// Whether it moves without a gradient.
    pub(super) follows: bool,
}

/// All tensors of a tail.
pub(super) struct Parameters {
    list: Vec<Parameter>,
    /// The gradients of all that train, in the order of the list.
    pub(super) gradients: Buffer,
    /// Whether `gradients` are anything; otherwise they count as zero.
    pub(super) held: bool,
}

impl Parameters {
    /// Those that are needed, with the values in `tensors`; `trained` names those that train.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(super) fn new(
        tensors: &Tensors,
        needed: Vec<Needed>,
        trained: &[String],
    ) -> Result<Self, TrainerError> {
        let mut list = Vec::with_capacity(needed.len());
        let mut floats = 0;
        for needed in needed {
            let group = trained.iter().position(|trained| *trained == needed.name);
            let len = needed.packing.floats();
            let trained = group.map(|group| Trained {
                group,
                gradient: floats..floats + len,
                moments: [vec![0.0; len], vec![0.0; len]],
            });
            floats += if trained.is_some() { len } else { 0 };
            let mut parameter = Parameter {
                shape: needed.shape,
                values: Vec::new(),
                moves: needed.follows || trained.is_some(),
                average: None,
                name: needed.name,
                packing: needed.packing,
                trained,
            };
            parameter.values = parameter.packed(tensors)?;
            list.push(parameter);
        }
        Ok(Self {
            list,
            gradients: Buffer::zeroed(floats),
            held: false,
        })
    }

    pub(super) fn list_mut(&mut self) -> &mut [Parameter] {
        &mut self.list
    }

    /// The list, and all gradients.
    pub(super) fn with_gradients(&mut self) -> (&mut [Parameter], &mut [f32]) {
        (&mut self.list, self.gradients.as_mut_slice())
    }

    pub(super) fn values(&self, id: ParameterId) -> &[f32] {
        &self.list[id.0].values
    }

    /// The values of two different tensors, the first of which comes first.
    pub(super) fn pair_mut(&mut self, [one, other]: [ParameterId; 2]) -> [&mut [f32]; 2] {
        let (low, high) = self.list.split_at_mut(other.0);
        [&mut low[one.0].values, &mut high[0].values]
    }

    pub(super) fn trains(&self, id: ParameterId) -> bool {
        self.list[id.0].trained.is_some()
    }

    pub(super) fn packing(&self, id: ParameterId) -> Packing {
        self.list[id.0].packing
    }

    /// The values of a tensor and, where it trains, its gradient.
    pub(super) fn with_gradient(&mut self, id: ParameterId) -> (&[f32], Option<&mut [f32]>) {
        let parameter = &self.list[id.0];
        let range = parameter
            .trained
            .as_ref()
            .map(|trained| trained.gradient.clone());
        let gradient = range.map(|range| &mut self.gradients.as_mut_slice()[range]);
        (&parameter.values, gradient)
    }

    /// What gradients are written onto.
    pub(super) fn onto(&self) -> Onto {
        if self.held { Onto::Sum } else { Onto::Nothing }
    }

    /// Adds to the gradient of a vector, if it trains.
    pub(super) fn add_vector(&mut self, id: ParameterId, values: impl Iterator<Item = f64>) {
        let held = self.held;
        if let (_, Some(gradient)) = self.with_gradient(id) {
            for (sum, value) in gradient.iter_mut().zip(values) {
                *sum = if held { *sum } else { 0.0 } + value as f32;
            }
        }
    }

    /// All values.
    pub(super) fn tensors(&self) -> Tensors {
        let all = self.list.iter();
        all.map(|parameter| parameter.tensor(&parameter.values))
            .collect()
    }

    /// The moments number `which` of all that trains.
    pub(super) fn moments(&self, which: usize) -> Tensors {
        let trained = self.list.iter().filter_map(|parameter| {
            let trained = parameter.trained.as_ref()?;
            Some(parameter.tensor(&trained.moments[which]))
        });
        trained.collect()
    }

    /// The averages of all that moves; `None` before there are any.
    pub(super) fn averages(&self) -> Option<Tensors> {
        let all = self.list.iter();
        let averages: Tensors = all
            .filter_map(|parameter| Some(parameter.tensor(parameter.average.as_ref()?)))
            .collect();
        (!averages.is_empty()).then_some(averages)
    }

    /// Makes all what it was; nothing changes where something does not fit.
    pub(super) fn restore(
        &mut self,
        tensors: &Tensors,
        moments: &[Tensors; 2],
        averages: Option<&Tensors>,
    ) -> Result<(), TrainerError> {
        let restored = self.list.iter().map(|parameter| {
            let moments = match &parameter.trained {
                Some(_) => Some([
                    parameter.packed(&moments[0])?,
                    parameter.packed(&moments[1])?,
                ]),
                None => None,
            };
            let averages = averages.filter(|_| parameter.moves);
            let average = averages
                .map(|averages| parameter.packed(averages))
                .transpose()?;
            Ok((parameter.packed(tensors)?, moments, average))
        });
        let restored = restored.collect::<Result<Vec<_>, TrainerError>>()?;
        for (parameter, (values, moments, average)) in self.list.iter_mut().zip(restored) {
            parameter.values = values;
            parameter.average = average;
            if let (Some(trained), Some(moments)) = (&mut parameter.trained, moments) {
                trained.moments = moments;
            }
        }
        self.held = false;
        Ok(())
    }
}

impl Parameter {
    /// Values of it in PyTorch's order.
    pub(super) fn unpack(&self, packed: &[f32]) -> Vec<f32> {
        self.packing.unpack(packed)
    }

    fn tensor(&self, packed: &[f32]) -> Tensor {
        Tensor {
            name: self.name.clone(),
            shape: self.shape.clone(),
            values: self.unpack(packed),
        }
    }

    /// The tensor of this name, in this order.
    fn packed(&self, tensors: &Tensors) -> Result<Vec<f32>, TrainerError> {
        let tensor = find(tensors, &self.name)?;
        let count: usize = self.shape.iter().product();
        if tensor.shape != self.shape || tensor.values.len() != count {
            return Err(TrainerError::Tensor {
                name: self.name.clone(),
                problem: format!(
                    "{:?} with {} values, the tail has {:?}",
                    tensor.shape,
                    tensor.values.len(),
                    self.shape
                ),
            });
        }
        Ok(self.packing.pack(&tensor.values))
    }
}

fn find<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a Tensor, TrainerError> {
    tensors.get(name).ok_or_else(|| TrainerError::Tensor {
        name: name.to_owned(),
        problem: "is missing".to_owned(),
    })
}
