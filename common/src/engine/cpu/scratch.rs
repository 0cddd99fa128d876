//! Buffers: floats that start on a cache line, zeroed when made.

/// A cache line of floats.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Floats in a cache line.
pub(crate) const LINE: usize = 16;

/// A block of floats that starts on a cache line.
#[derive(Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        Self {
            lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)],
            len,
        }
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.view()[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        let len = self.len;
        &mut self.view_mut()[..len]
    }

    /// All lines as numbers of another type.
    pub(super) fn view<T: Element>(&self) -> &[T] {
        let len = size_of_val(self.lines.as_slice()) / size_of::<T>();
        // SAFETY: a line has no padding (`repr(C)`, 64 bytes of size and
        // alignment), every `Element` divides it, and any bits are one.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }

    /// The same for writing.
    pub(super) fn view_mut<T: Element>(&mut self) -> &mut [T] {
        let len = size_of_val(self.lines.as_slice()) / size_of::<T>();
        // SAFETY: as above; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }
}

/// A number that a [`Buffer`] can be viewed as.
///
/// # Safety
/// Every pattern of bits is a value, there is no padding, and size and
/// alignment divide a [`Line`]'s.
pub(super) unsafe trait Element: Copy + Default {}

// SAFETY: plain numbers of 1, 2 or 4 bytes.
unsafe impl Element for f32 {}
// SAFETY: as above.
unsafe impl Element for i32 {}
// SAFETY: as above.
unsafe impl Element for i16 {}
// SAFETY: as above.
unsafe impl Element for u8 {}

/// What one call of the engine works in: a buffer for every slot of the
/// schedule, and what steps need within.
pub(super) struct Scratch {
    pub(super) slots: Vec<Buffer>,
    pub(super) work: WorkBuffers,
}

/// What steps work in: Winograd's two buffers, and a strip of expanded rows or
/// of narrowed input.
pub(super) struct WorkBuffers {
    pub(super) winograd: TileBuffers,
    pub(super) strip: Buffer,
}

/// Tiles in Winograd's domain, before and after the products.
#[derive(Default)]
pub(super) struct TileBuffers {
    pub(super) input: Buffer,
    pub(super) output: Buffer,
}
