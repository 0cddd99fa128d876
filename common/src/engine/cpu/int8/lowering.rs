//! Which algorithm a convolution of integers gets.

use super::{
    super::{
        convolution::{Folded, Site},
        fusion::{Kind, Operation},
        layout::Layout,
        lowering::Lowering,
        strip::Strip,
        winograd,
    },
    Scales, Work,
    convolution::Quantised,
    depthwise::Depthwise,
    direct::{Direct, Width},
    pack::Dots,
    winograd::Winograd,
};
use crate::backbone::{Activation, Conv, ValueId};

impl Lowering<'_> {
    /// `operation` is `conv`, with the expansion that is part of it and where
    /// that one's result would lie.
    pub(in super::super) fn convolve_integers(
        &self,
        (operation, expansion): (&Operation<'_>, Option<(&Operation<'_>, Layout)>),
        conv: &Conv,
        folded: &Folded,
        site: &Site,
    ) -> Work {
        let quantised = self.quantised(operation, folded);
        if let Some((before, expanded)) = expansion {
            let folded = self.folded(before);
            let expansion = self.quantised(before, &folded);
            return Work::Strip(Box::new(Strip::of_integers(
                [&expansion, &quantised],
                (width(before, &expansion).by_pairs(), expanded),
                site,
            )));
        }
        if conv.groups > 1 {
            Work::Depthwise(Depthwise::new(&quantised, site))
        } else if winograd::suits(conv) {
            Work::Winograd(Box::new(Winograd::new(&quantised, site)))
        } else {
            let width = width(operation, &quantised);
            let width = if site.isa.has_byte_products() {
                width
            } else {
                width.by_pairs()
            };
            Work::Direct(Box::new(Direct::new(&quantised, site, width)))
        }
    }

    fn quantised<'a>(&'a self, operation: &Operation<'_>, folded: &'a Folded) -> Quantised<'a> {
        Quantised {
            folded,
            input: self.integer(operation.input),
            residual: operation.residual.map(|value| self.integer(value)),
            output: self.scales(operation.output),
        }
    }

    fn integer(&self, value: ValueId) -> &Scales {
        match self.scales(value) {
            Some(scales) => scales,
            None => unreachable!("what a convolution reads is integers"),
        }
    }
}

/// Weights of 16 bits where the input is wider than a byte, and where no
/// activation follows: what linear bottlenecks add up keeps every error. On
/// EfficientNet-Lite0 these are the layers that 8 bits hurt.
fn width(operation: &Operation<'_>, conv: &Quantised<'_>) -> Width {
    let is_linear = matches!(operation.kind, Kind::Conv(_, Activation::Identity));
    if is_linear || !conv.input.fits_bytes() {
        Width::Shorts
    } else {
        Width::Bytes(Dots::Quads)
    }
}

impl Width {
    /// The same integers, multiplied as 16-bit ones.
    fn by_pairs(self) -> Self {
        match self {
            Self::Bytes(_) => Self::Bytes(Dots::Pairs),
            Self::Shorts => Self::Shorts,
        }
    }
}
