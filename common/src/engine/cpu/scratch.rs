//! Buffers: floats that start on a cache line, zeroed when made.

/// A cache line of floats.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Floats in a cache line.
pub(super) const LINE: usize = 16;

/// A block of floats that starts on a cache line.
#[derive(Default)]
pub(super) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        Self {
            lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)],
            len,
        }
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: a line is 16 floats without padding (`repr(C)`, 64 bytes of
        // size and alignment), and `len` never exceeds the lines' floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// What one call of the engine works in: a buffer for every slot of the
/// schedule, Winograd's two, and a strip of expanded rows.
pub(super) struct Scratch {
    pub(super) slots: Vec<Buffer>,
    pub(super) winograd: TileBuffers,
    pub(super) strip: Buffer,
}

/// Tiles in Winograd's domain, before and after the products.
#[derive(Default)]
pub(super) struct TileBuffers {
    pub(super) input: Buffer,
    pub(super) output: Buffer,
}
