//! Huffman codes: bits → the coefficients of a block.
//!
//! Most coefficients take one look-up, as the table's entry for the next
//! [`LOOKAHEAD`] bits holds the coefficient itself wherever its code and its
//! value's bits fit into them.

use super::header::{BLOCK, NATURAL_ORDER};

/// Bits that a look-up takes.
const LOOKAHEAD: u32 = 10;
/// Longest code.
const MAX_CODE_BITS: usize = 16;

/// Zero bytes that must follow a segment's data, so that reading ahead finds some.
pub(super) const PADDING_BYTES: usize = 16;

/// A code, ready for decoding.
pub(super) struct Table {
    /// By the next [`LOOKAHEAD`] bits: value (16 bits, 0 if there is none here),
    /// bits of the value (4), run of zeros before it (4), bits to consume (8).
    /// 0 where the code is longer.
    entries: Box<[u32; 1 << LOOKAHEAD]>,
    /// By length: the first number beyond the codes of this length, shifted to
    /// 16 bits.
    ends: [u32; MAX_CODE_BITS + 1],
    /// By length: what to add to a code to get its symbol's index.
    offsets: [i32; MAX_CODE_BITS + 1],
    symbols: [u8; 256],
}

impl Table {
    /// A table of DC differences from a DHT segment's 16 counts and symbols.
    /// `None` if the code is none, or has symbols that mean nothing.
    pub(super) fn dc(definition: &[u8]) -> Option<Self> {
        let symbols = &definition[MAX_CODE_BITS..];
        symbols.iter().all(|size| *size <= 15).then_some(())?;
        Self::new(definition)
    }

    /// The same for AC coefficients.
    pub(super) fn ac(definition: &[u8]) -> Option<Self> {
        Self::new(definition)
    }

    fn new(definition: &[u8]) -> Option<Self> {
        let (counts, listed) = definition.split_at_checked(MAX_CODE_BITS)?;
        let mut table = Self {
            entries: Box::new([0; 1 << LOOKAHEAD]),
            ends: [0; MAX_CODE_BITS + 1],
            offsets: [0; MAX_CODE_BITS + 1],
            symbols: [0; 256],
        };
        table
            .symbols
            .get_mut(..listed.len())?
            .copy_from_slice(listed);
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1..).zip(counts) {
            table.offsets[length] = index as i32 - code as i32;
            for symbol in &listed[index..index + usize::from(*count)] {
                table.enter(code, length as u32, *symbol);
                code += 1;
            }
            index += usize::from(*count);
            // No code is all ones.
            if *count > 0 && code >= 1 << length {
                return None;
            }
            table.ends[length] = code << (MAX_CODE_BITS - length);
            code <<= 1;
        }
        Some(table)
    }

    /// An entry for a code that is longer than [`LOOKAHEAD`], from the next 16 bits.
    #[cold]
    fn long_entry(&self, next: u32) -> Option<u32> {
        let mut longer = LOOKAHEAD as usize + 1..=MAX_CODE_BITS;
        let length = longer.find(|length| next < self.ends[*length])?;
        let code = (next >> (MAX_CODE_BITS - length)) as i32;
        let index = usize::try_from(code + self.offsets[length]).ok()?;
        let symbol = u32::from(*self.symbols.get(index)?);
        Some((symbol & 15) << 12 | (symbol >> 4) << 8 | length as u32)
    }

    /// Fills the entries that begin with a code.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let Some(free) = LOOKAHEAD.checked_sub(length) else {
            return;
        };
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let first = (code << free) as usize;
        for (following, entry) in (0..1 << free).zip(self.entries.iter_mut().skip(first)) {
            *entry = size << 12 | run << 8;
            *entry |= match free.checked_sub(size) {
                Some(unused) if size > 0 => {
                    let value = extend(following >> unused, size);
                    (value as u32) << 16 | (length + size)
                }
                _ => length,
            };
        }
    }
}

/// The number that `size` bits stand for (figure F.12 of the standard).
#[inline(always)]
fn extend(bits: u32, size: u32) -> i32 {
    if bits < 1 << (size - 1) {
        bits as i32 - (1 << size) + 1
    } else {
        bits as i32
    }
}

/// Reads the bits of a segment, from the highest of each byte.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    /// Without stuffing, with [`PADDING_BYTES`] zeros at the end.
    data: &'a [u8],
    at: usize,
    /// The next bits, from the highest; `count` of them are accounted for.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Whether the data ended with the last byte that was begun.
    pub(super) fn is_used_up(&self) -> bool {
        let used = self.at * 8 - self.count as usize;
        used.div_ceil(8) == self.data.len() - PADDING_BYTES
    }

    /// Makes at least 56 bits ready. `None` far beyond the end.
    #[inline(always)]
    fn refill(&mut self) -> Option<()> {
        let next = self.data.get(self.at..self.at + 8)?;
        let next = next.try_into().map(u64::from_be_bytes).ok()?;
        self.buffer |= next >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
        Some(())
    }

    #[inline(always)]
    fn consume(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    /// `size` bits, at least 1.
    #[inline(always)]
    fn take(&mut self, size: u32) -> u32 {
        let bits = (self.buffer >> (64 - size)) as u32;
        self.consume(size);
        bits
    }

    /// The entry for the next bits; run and size of a longer code. Consumes the
    /// code, and the value if the entry holds it.
    #[inline(always)]
    fn entry(&mut self, table: &Table) -> Option<u32> {
        let mut entry = table.entries[(self.buffer >> (64 - LOOKAHEAD)) as usize];
        if entry == 0 {
            entry = table.long_entry((self.buffer >> 48) as u32)?;
        }
        self.consume(entry & 0xFF);
        Some(entry)
    }
}

/// The coefficients of a block and what they come to.
pub(super) struct Block {
    /// Row by row.
    pub(super) coefficients: [i16; BLOCK],
    /// Sum of all |coefficient × quantisation|.
    pub(super) magnitude: u64,
    /// Whether all but the first are zero.
    pub(super) is_flat: bool,
}

impl Block {
    pub(super) fn new() -> Self {
        Self {
            coefficients: [0; BLOCK],
            magnitude: 0,
            is_flat: true,
        }
    }
}

/// The codes and quantisation of a component, and its last DC coefficient.
pub(super) struct BlockDecoder<'a> {
    pub(super) dc: &'a Table,
    pub(super) ac: &'a Table,
    /// In the order of the file.
    pub(super) quantisation: [u16; BLOCK],
    pub(super) prediction: i32,
}

impl BlockDecoder<'_> {
    /// Decodes the next block. `None` where the data makes no sense.
    #[inline(always)]
    pub(super) fn decode(&mut self, from: &mut Bits<'_>, block: &mut Block) -> Option<()> {
        // A copy, which the compiler keeps in registers.
        let mut bits = *from;
        bits.refill()?;
        let entry = bits.entry(self.dc)?;
        let (mut difference, size) = (entry as i32 >> 16, entry >> 12 & 15);
        if difference == 0 && size > 0 {
            difference = extend(bits.take(size), size);
        }
        self.prediction = self.prediction.wrapping_add(difference);
        block.coefficients = [0; BLOCK];
        // libjpeg keeps the low 16 bits too.
        block.coefficients[0] = self.prediction as i16;
        let first = i64::from(block.coefficients[0]) * i64::from(self.quantisation[0]);
        let mut magnitude = first.unsigned_abs();
        let mut next = 1;
        while next < BLOCK {
            bits.refill()?;
            let entry = bits.entry(self.ac)?;
            let (mut value, run) = (entry as i32 >> 16, (entry >> 8 & 15) as usize);
            if value == 0 {
                let size = entry >> 12 & 15;
                if size == 0 {
                    if run != 15 {
                        break;
                    }
                    next += 16;
                    continue;
                }
                value = extend(bits.take(size), size);
            }
            next += run;
            let place = usize::from(*NATURAL_ORDER.get(next)?);
            block.coefficients[place] = value as i16;
            magnitude += u64::from(value.unsigned_abs()) * u64::from(self.quantisation[next]);
            next += 1;
        }
        block.magnitude = magnitude;
        block.is_flat = next == 1;
        *from = bits;
        Some(())
    }
}
