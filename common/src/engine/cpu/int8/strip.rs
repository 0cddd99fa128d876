//! A 1×1 expansion and the depthwise convolution behind it, strip by strip, on
//! integers: see [`super::super::strip`].

use super::{
    super::{
        convolution::Site,
        layout::Layout,
        scratch::Buffer,
        strip::{Pair, Strip},
    },
    convolution::{Destination, Operands, Quantised},
    depthwise::Depthwise,
    direct::{Direct, Width},
};

/// Both convolutions on integers.
pub(in super::super) struct Parts {
    expansion: Direct,
    depthwise: Depthwise,
}

impl Strip<Parts> {
    /// Of the expansion, with weights of a width, and the depthwise
    /// convolution; see [`Strip::new`].
    pub(super) fn of_integers(
        [expansion, depthwise]: [&Quantised<'_>; 2],
        (width, expanded): (Width, Layout),
        site: &Site,
    ) -> Self {
        Self::new(
            depthwise.folded.kernel,
            (expanded, site),
            |[expansion_site, depthwise_site]| Parts {
                expansion: Direct::new(expansion, &expansion_site, width),
                depthwise: Depthwise::new(depthwise, &depthwise_site),
            },
        )
    }

    pub(super) fn run_integers(&self, operands: &mut Operands<'_>, scratch: &mut Buffer) {
        let Destination::Shorts(output) = &mut operands.output else {
            unreachable!("a strip's output is integers");
        };
        self.run_images(operands.input, output, (operands.images, scratch));
    }
}

impl Pair for Parts {
    type Number = i16;

    fn expand(&self, input: &[i16], strip: &mut [i16], pixels: usize) {
        self.expansion.run_pixels(input, strip, pixels);
    }

    fn run_row(&self, strip: &[i16], output: &mut [i16], y: usize) {
        self.depthwise
            .run_row(strip, Destination::Shorts(output), y);
    }
}
