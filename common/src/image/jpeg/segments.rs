//! Cuts compressed data at restart markers and takes the stuffing out, so that
//! the bits of a segment are contiguous.

use super::huffman::PADDING_BYTES;

/// Bytes looked at in one step.
const STEP: usize = 8;

/// Walks over the compressed data of a scan.
pub(super) struct Segments<'a> {
    rest: &'a [u8],
    /// Segments given out.
    count: usize,
}

impl<'a> Segments<'a> {
    /// `scan` begins behind the scan's header and may go on behind its end.
    pub(super) fn new(scan: &'a [u8]) -> Self {
        Self {
            rest: scan,
            count: 0,
        }
    }

    /// Writes the next segment to `clean`, [`PADDING_BYTES`] zeros behind it.
    /// `None` where a marker is missing, or comes out of turn.
    pub(super) fn next_into(&mut self, clean: &mut Vec<u8>) -> Option<()> {
        if self.count > 0 {
            let expected = 0xD0 + ((self.count - 1) % 8) as u8;
            self.rest = self.rest.strip_prefix(&[0xFF, expected])?;
        }
        self.count += 1;
        clean.clear();
        loop {
            let plain = before_marker(self.rest);
            clean.extend_from_slice(&self.rest[..plain]);
            self.rest = &self.rest[plain..];
            match self.rest {
                [0xFF, 0, rest @ ..] => {
                    clean.push(0xFF);
                    self.rest = rest;
                }
                [0xFF, _, ..] => break,
                _ => return None,
            }
        }
        clean.extend_from_slice(&[0; PADDING_BYTES]);
        Some(())
    }

    /// Whether the picture ends here.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.starts_with(&[0xFF, 0xD9])
    }
}

/// Bytes before the first 0xFF.
fn before_marker(bytes: &[u8]) -> usize {
    let has_marker = |step: &[u8]| {
        // The highest bit of a byte and of its successor in the sum both come
        // out set only for 0xFF (or behind one, which is as good).
        let value = step.try_into().map_or(u64::MAX, u64::from_ne_bytes);
        const HIGH: u64 = u64::from_ne_bytes([0x80; STEP]);
        const LOW: u64 = u64::from_ne_bytes([0x01; STEP]);
        (!value).wrapping_sub(LOW) & value & HIGH != 0
    };
    let steps = bytes.chunks_exact(STEP);
    let clear = steps.take_while(|step| !has_marker(step)).count() * STEP;
    let found = bytes[clear..].iter().position(|byte| *byte == 0xFF);
    found.map_or(bytes.len(), |at| clear + at)
}
