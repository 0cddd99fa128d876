//! The segments before a baseline picture's only scan.

use super::huffman::Table;

/// Coefficients of a block.
pub(super) const BLOCK: usize = 64;

/// Position in a block, row by row, of each coefficient in the order of the file.
pub(super) const NATURAL_ORDER: [u8; BLOCK] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// How the colour samples lie among those of brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Brightness alone.
    Grey,
    /// 4:4:4
    Full,
    /// 4:2:2: one colour sample for two pixels side by side.
    HalfWidth,
    /// 4:2:0: one colour sample for a square of four pixels.
    Quarter,
}

impl Sampling {
    /// Components of the picture.
    pub(super) fn components(self) -> usize {
        match self {
            Self::Grey => 1,
            _ => 3,
        }
    }

    /// Blocks of brightness in an MCU, horizontally and vertically; of colour
    /// there is one.
    pub(super) fn factors(self) -> [usize; 2] {
        match self {
            Self::Grey | Self::Full => [1, 1],
            Self::HalfWidth => [2, 1],
            Self::Quarter => [2, 2],
        }
    }
}

/// What decoding a component takes.
pub(super) struct Component {
    /// Divisors of the coefficients, row by row.
    pub(super) quantisation: [u16; BLOCK],
    pub(super) dc: Table,
    pub(super) ac: Table,
}

/// A baseline picture, parsed up to its compressed data.
pub(super) struct Header<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) sampling: Sampling,
    pub(super) components: Vec<Component>,
    /// MCUs between restart markers; 0: there are none.
    pub(super) restart_interval: usize,
    /// The compressed data and all that follows.
    pub(super) scan: &'a [u8],
}

/// What segments have said so far.
#[derive(Default)]
struct Segments<'a> {
    quantisation: [Option<[u16; BLOCK]>; 4],
    dc: [Option<&'a [u8]>; 4],
    ac: [Option<&'a [u8]>; 4],
    frame: Option<&'a [u8]>,
    restart_interval: usize,
    is_jfif: bool,
    adobe_transform: Option<u8>,
}

impl<'a> Header<'a> {
    /// Parses a file that is as plain as most are: 8 bits, Huffman-coded, one
    /// scan, grey or YCbCr with the usual samplings. `None` means that the file
    /// is of another kind or damaged, which libjpeg is to judge.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut segments = Segments::default();
        let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
        loop {
            let marker;
            (marker, rest) = next_marker(rest)?;
            let length = usize::from(word(rest, 0)?);
            let body = rest.get(2..length)?;
            rest = &rest[length..];
            match marker {
                0xC0 | 0xC1 if segments.frame.is_none() => segments.frame = Some(body),
                0xC4 => segments.huffman(body)?,
                0xDA => return segments.finish(body, rest),
                0xDB => segments.quantisation(body)?,
                0xDD if body.len() == 2 => segments.restart_interval = usize::from(word(body, 0)?),
                0xE0 => segments.is_jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0"),
                0xEE if body.len() >= 12 && body.starts_with(b"Adobe") => {
                    segments.adobe_transform = Some(body[11]);
                }
                0xE1..=0xEF | 0xFE => {}
                _ => return None,
            }
        }
    }
}

impl<'a> Segments<'a> {
    fn quantisation(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = body.split_first() {
            let bytes_each = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(bytes_each * BLOCK)?;
            let mut table = [0; BLOCK];
            for (place, value) in NATURAL_ORDER.iter().zip(values.chunks_exact(bytes_each)) {
                table[usize::from(*place)] = value.iter().fold(0, |v, b| v << 8 | u16::from(*b));
            }
            *self.quantisation.get_mut(usize::from(kind & 15))? = Some(table);
            body = rest;
        }
        Some(())
    }

    fn huffman(&mut self, mut body: &'a [u8]) -> Option<()> {
        while let Some((kind, rest)) = body.split_first() {
            let symbols: usize = rest.get(..16)?.iter().map(|n| usize::from(*n)).sum();
            let (table, rest) = rest.split_at_checked(16 + symbols)?;
            let tables = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(kind & 15))? = Some(table);
            body = rest;
        }
        Some(())
    }

    fn finish(&self, scan_header: &[u8], scan: &'a [u8]) -> Option<Header<'a>> {
        let frame = self.frame?;
        let &[8, _, _, _, _, count, ref specs @ ..] = frame else {
            return None;
        };
        let (height, width) = (u32::from(word(frame, 1)?), u32::from(word(frame, 3)?));
        // Larger sides are an error in libjpeg.
        let sides = 1..=65500;
        if !sides.contains(&width) || !sides.contains(&height) {
            return None;
        }
        let specs: Vec<[u8; 3]> = specs.chunks(3).filter_map(|s| s.try_into().ok()).collect();
        if specs.len() != usize::from(count) || frame.len() != 6 + 3 * specs.len() {
            return None;
        }
        let sampling = self.sampling(&specs)?;
        let (choices, spectrum) = scan_header
            .strip_prefix(&[count])?
            .split_at_checked(2 * specs.len())?;
        if spectrum != [0, 63, 0] {
            return None;
        }
        let components = specs
            .iter()
            .zip(choices.chunks_exact(2))
            .map(|(spec, choice)| {
                let &[id, tables] = choice else { return None };
                let defined = |of: &[Option<&'a [u8]>; 4], at: u8| *of.get(usize::from(at))?;
                (id == spec[0]).then_some(())?;
                Some(Component {
                    quantisation: (*self.quantisation.get(usize::from(spec[2]))?)?,
                    dc: Table::dc(defined(&self.dc, tables >> 4)?)?,
                    ac: Table::ac(defined(&self.ac, tables & 15)?)?,
                })
            });
        Some(Header {
            width,
            height,
            sampling,
            components: components.collect::<Option<_>>()?,
            restart_interval: self.restart_interval,
            scan,
        })
    }

    /// The sampling, if the components are grey or YCbCr by libjpeg's rules.
    fn sampling(&self, specs: &[[u8; 3]]) -> Option<Sampling> {
        match specs {
            // A lone component is stored block by block, whatever its factors.
            [[_, factors, _]] => matches!(factors, 0x11 | 0x22).then_some(Sampling::Grey),
            [brightness, blue, red] => {
                let ids = [brightness[0], blue[0], red[0]];
                let is_rgb = !self.is_jfif
                    && match self.adobe_transform {
                        Some(transform) => transform == 0,
                        None => ids == *b"RGB",
                    };
                let is_distinct = ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2];
                if is_rgb || !is_distinct || [blue[1], red[1]] != [0x11, 0x11] {
                    return None;
                }
                match brightness[1] {
                    0x11 => Some(Sampling::Full),
                    0x21 => Some(Sampling::HalfWidth),
                    0x22 => Some(Sampling::Quarter),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The next marker and what follows it; it may be preceded by fill bytes.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes.strip_prefix(&[0xFF])?;
    while let Some(shorter) = rest.strip_prefix(&[0xFF]) {
        rest = shorter;
    }
    let (marker, rest) = rest.split_first()?;
    Some((*marker, rest))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}
