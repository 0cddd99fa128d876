//! A baseline scan: MCU by MCU, every block is parsed, and the needed ones are
//! transformed into their planes.

use super::{
    header::{Header, NATURAL_ORDER},
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
    #[inline]
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
                    self.plane.fill(column, row, sample);
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
    let geometry = &planes.geometry;
    let (side, colour_side) = (geometry.side, geometry.colour_side);
    let factors = header.sampling.factors();
    let mut lanes: Vec<Lane<'_>> = header
        .components
        .iter()
        .zip(&mut planes.planes)
        .enumerate()
        .map(|(index, (component, plane))| Lane {
            decoder: BlockDecoder {
                dc: &component.dc,
                ac: &component.ac,
                quantisation: NATURAL_ORDER.map(|at| component.quantisation[usize::from(at)]),
                prediction: 0,
            },
            idct: Idct::new(
                component.quantisation,
                if index == 0 { side } else { colour_side },
                vectors,
            ),
            plane,
            factors: if index == 0 { factors } else { [1, 1] },
        })
        .collect();
    let columns = (header.width as usize).div_ceil(SIDE * factors[0]);
    let rows = (header.height as usize).div_ceil(SIDE * factors[1]);
    let mut mcus = (0..rows).flat_map(|row| (0..columns).map(move |column| [column, row]));
    let interval = match header.restart_interval {
        0 => columns * rows,
        interval => interval,
    };
    let mut segments = Segments::new(header.scan);
    let (mut data, mut block) = (Vec::new(), Block::new());
    for _ in 0..(columns * rows).div_ceil(interval) {
        segments.next_into(&mut data)?;
        let mut bits = Bits::new(&data);
        for lane in &mut lanes {
            lane.decoder.prediction = 0;
        }
        for mcu in mcus.by_ref().take(interval) {
            for lane in &mut lanes {
                lane.decode(&mut bits, &mut block, mcu)?;
            }
        }
        bits.is_used_up().then_some(())?;
    }
    segments.is_at_end().then_some(())
}
