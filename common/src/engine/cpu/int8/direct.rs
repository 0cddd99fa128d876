//! Convolutions by the definition, on integers: as [`super::super::direct`].
//!
//! Where there are instructions for products of bytes, the input is narrowed to
//! bytes first, once for all output channels: signed values are moved up by
//! 128, and `−128 · Σ weights` is what their sums begin with.

use std::ops::Range;

use super::{
    super::{
        convolution::Site,
        isa::{IntegerTask, Isa},
        kernel::Segments,
        pack::Sizes,
        scratch::Buffer,
    },
    convolution::{Destination, Finishing, Operands, Quantised},
    integers::Integers,
    pack::{Dots, Panels},
    product::{Output, Product, Values},
    weights::{Limits, quantise},
};

/// Bytes that the input and the output of a block of rows should occupy.
const BLOCK_BYTES: usize = 256 * 1024;

/// Micro-tiles a block at least.
const BLOCK_TILES: usize = 4;

/// A k×k convolution with any stride.
pub(in super::super) struct Direct {
    isa: Isa,
    dots: Dots,
    /// Elements of a call's input that windows reach, and what makes them
    /// bytes.
    narrowing: Narrowing,
    segments: Segments,
    panels: Panels,
    starts: Buffer,
    finishing: Finishing,
    /// Start of every output pixel's window, in all images of a call.
    input: Vec<u32>,
    /// Start of every residual pixel.
    residual: Option<Vec<u32>>,
    /// Start of every output pixel.
    output: Vec<u32>,
    pixels: usize,
    block_rows: usize,
}

#[derive(Clone, Copy)]
struct Narrowing {
    image_len: usize,
    offset: i16,
}

/// How wide a direct convolution's weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// 8 bits; the products as `Dots` says.
    Bytes(Dots),
    /// 16 bits.
    Shorts,
}

impl Direct {
    pub(super) fn new(conv: &Quantised<'_>, site: &Site, width: Width) -> Self {
        let (input, output) = (site.input, site.output);
        let folded = conv.folded;
        let taps = folded.kernel * folded.kernel;
        let largest = conv.input.largest();
        let (dots, limits) = match width {
            Width::Bytes(dots) => (dots, Limits::bytes(largest, taps)),
            Width::Shorts => (Dots::Pairs, Limits::shorts(largest)),
        };
        // With bytes, terms 2i and 2i + 1 are channels of one pixel.
        assert!(width == Width::Shorts || input.pitch.is_multiple_of(2));
        let length = (folded.kernel - 1) * input.pitch + folded.in_channels;
        let segments = Segments {
            count: folded.kernel,
            pitch: input.row_pitch(),
            length: length.next_multiple_of(dots.terms()),
        };
        let offset = -conv.input.range[0];
        let rows: Vec<_> = (0..folded.out_channels)
            .map(|channel| quantise(&conv.row(channel), limits))
            .collect();
        let entry = |_, term: usize, channel: usize| {
            let (y, within) = (term / segments.length, term % segments.length);
            let (x, from) = (within / input.pitch, within % input.pitch);
            if x < folded.kernel && from < folded.in_channels {
                rows[channel].0[from * taps + y * folded.kernel + x]
            } else {
                0
            }
        };
        let mut starts = Buffer::zeroed(folded.out_channels.next_multiple_of(2 * site.isa.lanes()));
        if dots == Dots::Quads {
            for (start, row) in starts.view_mut::<i32>().iter_mut().zip(&rows) {
                *start = -i32::from(offset) * row.0.iter().sum::<i32>();
            }
        }
        let shape = output.shape;
        let tile_rows = site.isa.tile_rows(2);
        let bytes = segments.terms() * 4 / dots.terms() + 2 * output.pitch;
        let block_tiles = BLOCK_BYTES / bytes / tile_rows;
        let sizes = Sizes {
            matrices: 1,
            terms: segments.terms(),
            channels: folded.out_channels,
        };
        let scales: Vec<_> = rows.iter().map(|row| row.1).collect();
        Self {
            isa: site.isa,
            dots,
            narrowing: Narrowing {
                image_len: input.image_len(),
                offset,
            },
            segments,
            panels: Panels::pack(site.isa, dots, sizes, entry),
            starts,
            finishing: conv.finishing(site.isa, &scales),
            input: input.table(shape, site.images, |y, x| input.window(site.windows, y, x)),
            residual: site
                .residual
                .map(|layout| layout.table(shape, site.images, |y, x| layout.pixel(y, x))),
            output: output.table(shape, site.images, |y, x| output.pixel(y, x)),
            pixels: shape.height * shape.width,
            block_rows: block_tiles.max(BLOCK_TILES) * tile_rows,
        }
    }

    /// Floats of scratch for `images` images.
    pub(super) fn scratch(&self, images: usize) -> usize {
        match self.dots {
            Dots::Pairs => 0,
            Dots::Quads => (images * self.narrowing.image_len).div_ceil(4),
        }
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>, scratch: &mut Buffer) {
        let rows = 0..operands.images * self.pixels;
        match self.dots {
            Dots::Pairs => self.multiply(Values::Shorts(operands.input), operands, rows),
            Dots::Quads => {
                let len = operands.images * self.narrowing.image_len;
                let bytes = &mut scratch.view_mut::<u8>()[..len];
                self.isa.run_integers(Narrow {
                    shorts: &operands.input[..len],
                    offset: self.narrowing.offset,
                    bytes: &mut *bytes,
                });
                self.multiply(Values::Bytes(bytes), operands, rows);
            }
        }
    }

    /// The first `rows` pixels, without a residual; not for [`Dots::Quads`].
    pub(in super::super) fn run_pixels(&self, input: &[i16], output: &mut [i16], rows: usize) {
        let mut operands = Operands {
            input,
            residual: None,
            output: Destination::Shorts(output),
            images: 1,
        };
        self.multiply(Values::Shorts(input), &mut operands, 0..rows);
    }

    fn multiply(&self, input: Values<'_>, operands: &mut Operands<'_>, rows: Range<usize>) {
        let len = operands.output.len();
        for first in rows.clone().step_by(self.block_rows) {
            let block = first..rows.end.min(first + self.block_rows);
            for panel in self.panels.iter(0) {
                let residual = operands.residual.zip(self.residual.as_ref());
                let residual = residual.map(|(values, offsets)| (values, &offsets[block.clone()]));
                let finish = self.finishing.with(residual);
                let product = Product {
                    input,
                    input_offsets: &self.input[block.clone()],
                    segments: self.segments,
                    panel,
                    starts: self.starts.view(),
                    output: Output::Finished(finish, operands.output.part(0, len)),
                    output_offsets: &self.output[block.clone()],
                };
                product.run(self.isa);
            }
        }
    }
}

/// `bytes = shorts + offset`
struct Narrow<'a> {
    shorts: &'a [i16],
    offset: i16,
    bytes: &'a mut [u8],
}

impl IntegerTask for Narrow<'_> {
    #[inline(always)]
    fn run<S: Integers>(self, simd: S) {
        let len = self.bytes.len();
        assert_eq!(self.shorts.len(), len);
        let offset = simd.splat_shorts(self.offset);
        let mut at = 0;
        while at + 2 * S::LANES <= len {
            // SAFETY: a vector's worth lies before the end of both.
            unsafe {
                let shorts = simd.load_shorts(self.shorts.as_ptr().add(at));
                let shorts = simd.add_shorts(shorts, offset);
                simd.store_bytes(shorts, self.bytes.as_mut_ptr().add(at));
            }
            at += 2 * S::LANES;
        }
        for (byte, short) in self.bytes[at..].iter_mut().zip(&self.shorts[at..]) {
            *byte = (short + self.offset) as u8;
        }
    }
}
