//! Reading a part's Arrow file through a memory map, without copying.
//!
//! The bytes may be anything: a footer or a message is only handed to Arrow's
//! decoder after every offset and length in it was found to lie inside the file
//! and to be exactly what our schema needs, because the decoder slices by them
//! without asking.

use std::{fs::File, path::Path, ptr::NonNull, sync::Arc};

use arrow::{
    array::RecordBatch,
    buffer::Buffer,
    datatypes::Schema,
    ipc::{
        self, Block, MessageHeader,
        convert::try_fb_to_schema,
        reader::{FileDecoder, read_footer_length},
        root_as_footer, root_as_message,
    },
};
use memmap2::Mmap;

use super::{CacheError, Layer, schema};

/// Arrow's file magic with its padding.
const MAGIC: &[u8; 8] = b"ARROW1\0\0";

/// Bytes behind the footer: its length and the magic without padding.
const TRAILER_BYTES: usize = 10;

/// Alignment that Arrow's format demands of every buffer, in bytes.
const LEAST_ALIGNMENT: i64 = 8;

/// Bytes of one text offset.
const OFFSET_BYTES: i64 = 4;

/// Continuation marker and length in front of a message.
const PREFIX_BYTES: usize = 8;

/// The record batches of one mapped file.
pub(super) struct ArrowFile {
    buffer: Buffer,
    decoder: FileDecoder,
    blocks: std::vec::IntoIter<Block>,
    dim: usize,
}

impl ArrowFile {
    /// Maps the file and checks its size, footer, and schema.
    pub(super) fn open(path: &Path, bytes: u64, layer: &Layer) -> Result<Self, CacheError> {
        let file = File::open(path).map_err(CacheError::io(path, "opening"))?;
        // SAFETY: files of a cache are published by renaming and never written
        // again. Shortening one by hand while it is mapped kills the process, as
        // it would with any reader of memory-mapped files.
        let map = unsafe { Mmap::map(&file) }.map_err(CacheError::io(path, "mapping"))?;
        if map.len() as u64 != bytes {
            return Err(CacheError::damaged(
                path,
                format!("expected {bytes} bytes, found {}", map.len()),
            ));
        }
        Self::decode(&into_buffer(map), layer).map_err(|problem| CacheError::damaged(path, problem))
    }

    fn decode(buffer: &Buffer, layer: &Layer) -> Result<Self, String> {
        let not_arrow = || "not an Arrow file".to_owned();
        if !buffer.starts_with(MAGIC) {
            return Err(not_arrow());
        }
        let trailer_start = buffer
            .len()
            .checked_sub(TRAILER_BYTES)
            .ok_or_else(not_arrow)?;
        let trailer = buffer[trailer_start..]
            .try_into()
            .map_err(|_| not_arrow())?;
        let footer_bytes = read_footer_length(trailer).map_err(|error| error.to_string())?;
        let footer_start = trailer_start
            .checked_sub(footer_bytes)
            .ok_or_else(not_arrow)?;
        let footer = root_as_footer(&buffer[footer_start..trailer_start])
            .map_err(|error| error.to_string())?;
        let found = footer.schema().ok_or("no schema")?;
        let found = try_fb_to_schema(found).map_err(|error| error.to_string())?;
        let expected = schema::schema(layer);
        if found != *expected {
            return Err(format!(
                "expected the columns of layer `{}`, {:?} {}, found {}",
                layer.name,
                layer.shape,
                layer.dtype,
                named(&found)
            ));
        }
        let mut decoder = FileDecoder::new(expected, footer.version()).with_require_alignment(true);
        for block in footer.dictionaries().iter().flatten() {
            let data = block_data(buffer, block, footer_start)?;
            check_message(&data, block, MessageHeader::DictionaryBatch, layer.dim())?;
            decoder
                .read_dictionary(block, &data)
                .map_err(|error| error.to_string())?;
        }
        let blocks: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
        for block in &blocks {
            block_data(buffer, block, footer_start)?;
        }
        Ok(Self {
            buffer: buffer.clone(),
            decoder,
            blocks: blocks.into_iter(),
            dim: layer.dim(),
        })
    }

    /// Bytes of the file before `address`, if that lies in the map.
    pub(super) fn offset_of(&self, address: usize) -> Option<u64> {
        let offset = address.checked_sub(self.buffer.as_ptr() as usize)?;
        (offset < self.buffer.len()).then_some(offset as u64)
    }

    /// The next batch; its columns point into the map.
    pub(super) fn next(&mut self) -> Option<Result<RecordBatch, String>> {
        let block = self.blocks.next()?;
        Some(self.batch(&block))
    }

    fn batch(&self, block: &Block) -> Result<RecordBatch, String> {
        let data = block_data(&self.buffer, block, self.buffer.len())?;
        check_message(&data, block, MessageHeader::RecordBatch, self.dim)?;
        let batch = self
            .decoder
            .read_record_batch(block, &data)
            .map_err(|error| error.to_string())?;
        batch.ok_or_else(|| "an empty message".to_owned())
    }
}

fn named(schema: &Schema) -> String {
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    names.join(", ")
}

/// The map as a buffer that keeps it alive.
fn into_buffer(map: Mmap) -> Buffer {
    let length = map.len();
    let map = Arc::new(map);
    // A mapping never starts at address zero.
    let Some(pointer) = NonNull::new(map.as_ptr().cast_mut()) else {
        return Buffer::from(&map[..]);
    };
    // SAFETY: `pointer` is valid for `length` bytes as long as `map`, which the
    // buffer owns; a `Buffer` never writes.
    unsafe { Buffer::from_custom_allocation(pointer, length, map) }
}

/// Metadata and body of a block, if they lie below `end`.
fn block_data(buffer: &Buffer, block: &Block, end: usize) -> Result<Buffer, String> {
    let outside = || "a block lies outside the file".to_owned();
    let number = |value: i64| usize::try_from(value).map_err(|_| outside());
    let offset = number(block.offset())?;
    let metadata = number(i64::from(block.metaDataLength()))?;
    let body = number(block.bodyLength())?;
    let length = metadata.checked_add(body).ok_or_else(outside)?;
    if offset
        .checked_add(length)
        .is_none_or(|block_end| block_end > end)
        || metadata < PREFIX_BYTES
    {
        return Err(outside());
    }
    Ok(buffer.slice_with_length(offset, length))
}

/// Checks that a message is of the kind expected, that its buffers lie in its
/// body, and that its columns have the lengths that its rows need.
fn check_message(
    data: &Buffer,
    block: &Block,
    kind: MessageHeader,
    dim: usize,
) -> Result<(), String> {
    // `block_data` checked that both lengths are positive and inside `data`.
    let metadata = usize::try_from(block.metaDataLength()).map_err(|error| error.to_string())?;
    let body = data.len() - metadata;
    let message =
        root_as_message(&data[PREFIX_BYTES..metadata]).map_err(|error| error.to_string())?;
    let batch = match (message.header_type(), kind) {
        (MessageHeader::RecordBatch, MessageHeader::RecordBatch) => {
            message.header_as_record_batch()
        }
        (MessageHeader::DictionaryBatch, MessageHeader::DictionaryBatch) => message
            .header_as_dictionary_batch()
            .and_then(|dictionary| dictionary.data()),
        _ => None,
    };
    let batch = batch.ok_or("a message of another kind")?;
    let is_dictionary = kind == MessageHeader::DictionaryBatch;
    check_buffers(&batch, body, is_dictionary)?;
    check_nodes(&batch, if is_dictionary { None } else { Some(dim) })
}

/// Every buffer lies in the body and is aligned, and the one buffer that Arrow
/// views as numbers in full, text offsets, holds whole ones.
fn check_buffers(
    batch: &ipc::RecordBatch<'_>,
    body: usize,
    is_dictionary: bool,
) -> Result<(), String> {
    // Validity comes first; `uri` stands behind `id`'s validity and values.
    let offsets = if is_dictionary { 1 } else { 3 };
    for (position, part) in batch.buffers().iter().flatten().enumerate() {
        let range = usize::try_from(part.offset())
            .ok()
            .zip(usize::try_from(part.length()).ok());
        let end = range.and_then(|(offset, length)| offset.checked_add(length));
        if end.is_none_or(|end| end > body) {
            return Err("a column lies outside its block".to_owned());
        }
        if part.offset() % LEAST_ALIGNMENT != 0 {
            return Err("a column is not aligned".to_owned());
        }
        if position == offsets && part.length() % OFFSET_BYTES != 0 {
            return Err("text offsets are cut".to_owned());
        }
    }
    Ok(())
}

/// Every column has as many values as the batch has rows, the list's child
/// (`dim`) that many times more, and no nulls.
fn check_nodes(batch: &ipc::RecordBatch<'_>, dim: Option<usize>) -> Result<(), String> {
    let wrong = || "its columns have wrong lengths".to_owned();
    let rows = batch.length();
    let values = match dim {
        Some(dim) => i64::try_from(dim)
            .ok()
            .and_then(|dim| rows.checked_mul(dim))
            .ok_or_else(wrong)?,
        None => rows,
    };
    let columns = if dim.is_some() {
        schema::COLUMNS.len()
    } else {
        0
    };
    let nodes: Vec<_> = batch.nodes().iter().flatten().collect();
    let (Some((last, others)), true) = (nodes.split_last(), rows >= 0) else {
        return Err(wrong());
    };
    let right = others.len() == columns
        && others.iter().all(|node| node.length() == rows)
        && last.length() == values
        && nodes.iter().all(|node| node.null_count() == 0);
    if right { Ok(()) } else { Err(wrong()) }
}
