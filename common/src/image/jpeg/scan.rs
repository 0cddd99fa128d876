//! A baseline scan: MCU by MCU, every block is parsed, and the needed ones are
//! transformed into their planes.

use super::{
    header::{BLOCK, Header, NATURAL_ORDER},
    huffman::{Bits, Block, BlockDecoder},
    idct::{Idct, SIDE},
    planes::{Plane, Planes},
    segments::Segments,
};
use crate::image::vectors::Vectors;

/// One component within the scan.
struct Lane<'a> {
    decoder: BlockDecoder<'a>,
    idct: Idct,
    plane: &'a mut Plane,
    /// Blocks in an MCU, horizontally and vertically.
    factors: [usize; 2],
}

impl Lane<'_> {
    /// Decodes the component's blocks of the MCU in this column and row.
    #[inline(always)]
    fn decode(&mut self, bits: &mut Bits<'_>, block: &mut Block, mcu: [usize; 2]) -> Option<()> {
        for y in 0..self.factors[1] {
            for x in 0..self.factors[0] {
                self.decoder.decode(bits, block)?;
                let (column, row) = (mcu[0] * self.factors[0] + x, mcu[1] * self.factors[1] + y);
                if !self.plane.holds(column, row) {
                    continue;
                }
                // At an eighth of the size, a block is its mean.
                if block.is_flat || self.plane.side() == 1 {
                    let sample = self.idct.flat(block.coefficients[0]);
                    self.plane.put(column, row, &[sample; BLOCK]);
                } else {
                    let samples = self.idct.run(&block.coefficients, block.magnitude);
                    self.plane.put(column, row, &samples);
                }
            }
        }
        Some(())
    }
}

/// Decodes the scan. `None` for anything that libjpeg would warn of or repair.
pub(super) fn decode(header: &Header<'_>, planes: &mut Planes, vectors: Vectors) -> Option<()> {
    let factors = header.sampling.factors();
    let columns = (header.width as usize).div_ceil(SIDE * factors[0]);
    let rows = (header.height as usize).div_ceil(SIDE * factors[1]);
    let mut mcus = (0..rows).flat_map(|row| (0..columns).map(move |column| [column, row]));
    let interval = match header.restart_interval {
        0 => columns * rows,
        interval => interval,
    };
    let mut lanes = lanes(header, planes, vectors);
    let mut segments = Segments::new(header.scan);
    let mut data = Vec::new();
    for _ in 0..(columns * rows).div_ceil(interval) {
        segments.next_into(&mut data)?;
        let mcus = mcus.by_ref().take(interval);
        decode_segment(&mut lanes, &data, mcus)?;
    }
    segments.is_at_end().then_some(())
}

fn lanes<'a>(header: &'a Header<'_>, planes: &'a mut Planes, vectors: Vectors) -> Vec<Lane<'a>> {
    let components = header.components.iter().zip(&mut planes.planes);
    let lanes = components.enumerate().map(|(index, (component, plane))| {
        let order = NATURAL_ORDER.map(usize::from);
        Lane {
            decoder: BlockDecoder {
                dc: &component.dc,
                ac: &component.ac,
                quantisation: order.map(|at| component.quantisation[at]),
                prediction: 0,
            },
            idct: Idct::new(component.quantisation, plane.side(), vectors),
            plane,
            factors: match index {
                0 => header.sampling.factors(),
                _ => [1, 1],
            },
        }
    });
    lanes.collect()
}

/// Decodes all of a segment's MCUs.
fn decode_segment(
    lanes: &mut [Lane<'_>],
    data: &[u8],
    mcus: impl Iterator<Item = [usize; 2]>,
) -> Option<()> {
    let (mut bits, mut block) = (Bits::new(data), Block::new());
    for lane in lanes.iter_mut() {
        lane.decoder.prediction = 0;
    }
    for mcu in mcus {
        for lane in lanes.iter_mut() {
            lane.decode(&mut bits, &mut block, mcu)?;
        }
    }
    bits.is_used_up().then_some(())
}
