//! How the values of a parameter lie in memory, beside PyTorch's order.
//!
//! ```text
//!   kernel [out, in, k, k], matrix [out, in]   panel of 16 outputs: [terms, filled up][16]
//!     by panels                                  terms: panel of 16 inputs, position, input
//!     dense                                      terms: input, position (few inputs: images)
//!   depthwise kernel [C, 1, k, k]              panel of 16 channels: [k · k][16]
//!   vector [C]                                 [C, filled up]
//! ```
//!
//! What is filled up is zero and stays so: its gradients are.

use crate::panel::{LANES, SQUARE, panels};

/// The order of a parameter's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Vector {
        len: usize,
    },
    ByPanels {
        outputs: usize,
        inputs: usize,
        taps: usize,
    },
    Dense {
        outputs: usize,
        inputs: usize,
        taps: usize,
    },
    Depthwise {
        channels: usize,
        taps: usize,
    },
}

impl Packing {
    /// Floats, filled up.
    pub(super) fn floats(self) -> usize {
        match self {
            Self::Vector { len } => panels(len) * LANES,
            Self::ByPanels { outputs, .. } | Self::Dense { outputs, .. } => {
                panels(outputs) * self.term_panels() * SQUARE
            }
            Self::Depthwise { channels, taps } => panels(channels) * taps * LANES,
        }
    }

    /// Panels of terms of a matrix's outputs.
    pub(super) fn term_panels(self) -> usize {
        match self {
            Self::Dense { inputs, taps, .. } => panels(inputs * taps),
            Self::ByPanels { inputs, taps, .. } => panels(inputs) * taps,
            Self::Vector { .. } | Self::Depthwise { .. } => 0,
        }
    }

    /// Outputs, inputs and positions in PyTorch's order.
    fn sizes(self) -> [usize; 3] {
        match self {
            Self::Vector { len } => [len, 1, 1],
            Self::ByPanels {
                outputs,
                inputs,
                taps,
            }
            | Self::Dense {
                outputs,
                inputs,
                taps,
            } => [outputs, inputs, taps],
            Self::Depthwise { channels, taps } => [channels, 1, taps],
        }
    }

    fn place(self, output: usize, input: usize, tap: usize) -> usize {
        let term = match self {
            Self::Vector { .. } => return output,
            Self::Depthwise { taps, .. } => {
                return (output / LANES * taps + tap) * LANES + output % LANES;
            }
            Self::ByPanels { taps, .. } => (input / LANES * taps + tap) * LANES + input % LANES,
            Self::Dense { taps, .. } => input * taps + tap,
        };
        (output / LANES * self.term_panels() * LANES + term) * LANES + output % LANES
    }

    /// Calls `visit` with the place of every value, in PyTorch's order.
    fn for_each(self, mut visit: impl FnMut(usize)) {
        let [outputs, inputs, taps] = self.sizes();
        for output in 0..outputs {
            for input in 0..inputs {
                for tap in 0..taps {
                    visit(self.place(output, input, tap));
                }
            }
        }
    }

    /// From PyTorch's order.
    pub(super) fn pack(self, values: &[f32]) -> Vec<f32> {
        let mut packed = vec![0.0; self.floats()];
        let mut values = values.iter();
        self.for_each(|place| {
            if let Some(value) = values.next() {
                packed[place] = *value;
            }
        });
        packed
    }

    /// To PyTorch's order.
    pub(super) fn unpack(self, packed: &[f32]) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.sizes().iter().product());
        self.for_each(|place| values.push(packed[place]));
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were_packed() {
        for packing in [
            Packing::Vector { len: 17 },
            Packing::ByPanels {
                outputs: 20,
                inputs: 35,
                taps: 9,
            },
            Packing::Dense {
                outputs: 17,
                inputs: 3,
                taps: 49,
            },
            Packing::Depthwise {
                channels: 33,
                taps: 25,
            },
        ] {
            let count: usize = packing.sizes().iter().product();
            let values: Vec<f32> = (0..count).map(|i| 1.0 + i as f32).collect();
            let packed = packing.pack(&values);
            assert_eq!(packing.unpack(&packed), values);
            let filled = packed.iter().filter(|value| **value == 0.0).count();
            assert_eq!(filled, packing.floats() - count, "nothing else is set");
        }
    }
}
