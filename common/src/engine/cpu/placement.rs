//! Where every value lies: its border, what its pixels hold, its slot.

use super::{
    fusion::{Kind, Operation},
    layout::{Border, Layout},
    lowering::{Arithmetic, Lowering},
    slots::{Lifetime, assign},
    step::{Number, Place},
    winograd,
};
use crate::backbone::{Conv, ValueId};

impl Lowering<'_> {
    /// A place for every value, and the slots' sizes.
    pub(super) fn places(&self, chunks: &[usize]) -> (Vec<Place>, Vec<usize>) {
        let layouts = self.layouts();
        let lifetimes = self.lifetimes(chunks, &layouts);
        let (slots, sizes) = assign(&lifetimes);
        let places = layouts
            .into_iter()
            .zip(&lifetimes)
            .zip(slots)
            .zip(0..)
            .map(|(((layout, lifetime), slot), value)| Place {
                slot,
                layout,
                number: self.number(ValueId(value)),
                extent: lifetime.extent,
            })
            .collect();
        (places, sizes)
    }

    fn lifetimes(&self, chunks: &[usize], layouts: &[Layout]) -> Vec<Lifetime> {
        let mut lifetimes = vec![Lifetime::unused(); self.shapes.len()];
        if !self.operations.is_empty() {
            lifetimes[0].extend(0);
        }
        for (index, operation) in self.operations.iter().enumerate() {
            if self.is_expansion(index) {
                // Computed within the next operation, and never whole.
                lifetimes[operation.input.0].extend(index + 1);
                continue;
            }
            let operands = [self.read_value(index), operation.output];
            for value in operands.into_iter().chain(operation.residual) {
                lifetimes[value.0].extend(index);
            }
        }
        for (value, (lifetime, layout)) in lifetimes.iter_mut().zip(layouts).enumerate() {
            let number = self.number(ValueId(value));
            lifetime.place(chunks, number.floats(layout.image_len()));
        }
        lifetimes
    }

    fn number(&self, value: ValueId) -> Number {
        match self.scales(value) {
            Some(_) => Number::Short,
            None => Number::Float,
        }
    }

    fn layouts(&self) -> Vec<Layout> {
        // Vectors of 16-bit integers have twice the lanes.
        let lanes = match self.arithmetic {
            Arithmetic::Floats | Arithmetic::ObservedFloats => self.isa.lanes(),
            Arithmetic::Integers(_) => 2 * self.isa.lanes(),
        };
        let mut layouts: Vec<_> = self
            .shapes
            .iter()
            .map(|shape| Layout {
                shape: *shape,
                border: Border::default(),
                pitch: shape.channels.next_multiple_of(lanes),
            })
            .collect();
        // The network's input is read as sums only, never by lanes: its three
        // channels need no padding.
        let by_sums = |operation: &Operation<'_>| match operation.kind {
            Kind::Conv(conv, _) => conv.groups == 1 && !winograd::suits(conv),
            _ => false,
        };
        if self
            .operations
            .iter()
            .filter(|operation| operation.input.0 == 0 || operation.residual == Some(ValueId(0)))
            .all(by_sums)
        {
            layouts[0].pitch = self.shapes[0].channels;
        }
        for operation in self.operations {
            if let Kind::Conv(conv, _) = operation.kind {
                let border = self.border(conv, operation);
                let layout = &mut layouts[operation.input.0];
                layout.border = layout.border.union(border);
            }
        }
        layouts
    }

    /// What a convolution reads around its input.
    fn border(&self, conv: &Conv, operation: &Operation<'_>) -> Border {
        let (input, output) = (
            self.shapes[operation.input.0],
            self.shapes[operation.output.0],
        );
        let by_tiles = winograd::suits(conv);
        let along = |size: usize, outputs: usize| {
            let before = conv.padding.along(size, conv.kernel, conv.stride).0;
            let read = if by_tiles {
                winograd::rows_read(outputs)
            } else {
                (outputs - 1) * conv.stride + conv.kernel
            };
            (before, (read - before).saturating_sub(size))
        };
        let (top, bottom) = along(input.height, output.height);
        let (left, right) = along(input.width, output.width);
        Border {
            top,
            bottom,
            left,
            right,
        }
    }
}
