//! Event files as TensorBoard reads them: records of TensorFlow's `Event` message.
//!
//! ```text
//! record   = length u64 · masked crc32c(length) u32 · message · masked crc32c(message) u32   (little-endian)
//! Event    = { 1: wall_time double, 2: step int64, 3: file_version string, 5: Summary }
//! Summary  = { 1: repeated Value }        Value = { 1: tag string, 2: simple_value float }
//! ```
//!
//! Written here, as the crate tensorboard-rs would bring protobuf and an image library for these few fields.
//!
//! In: scalars by name and step. Out: bytes in a writer. Sources of the format: TensorFlow's
//! `record_writer.cc`, `event.proto` and `summary.proto`.

use std::io::{self, Write};

/// What the first record says.
const FILE_VERSION: &str = "brain.Event:2";

/// Reversed polynomial of CRC-32C (Castagnoli).
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Added to a rotated checksum, so that checksums of data that holds checksums stay good.
const MASK_DELTA: u32 = 0xa282_ead8;

/// Protobuf's wire types.
const VARINT: u8 = 0;
const DOUBLE: u8 = 1;
const BYTES: u8 = 2;
const FLOAT: u8 = 5;

/// Writes events.
pub(crate) struct EventWriter<W> {
    output: W,
}

impl<W: Write> EventWriter<W> {
    /// Begins a file in `output`; `wall_time` is in seconds since 1970.
    pub(crate) fn begin(output: W, wall_time: f64) -> io::Result<Self> {
        let mut writer = Self { output };
        let mut event = event(wall_time, 0);
        put_bytes(&mut event, 3, FILE_VERSION.as_bytes());
        writer.record(&event)?;
        Ok(writer)
    }

    /// Adds the values of `step`, all in one event.
    pub(crate) fn scalars(
        &mut self,
        (wall_time, step): (f64, u64),
        values: &[(&str, f64)],
    ) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut scalar = Vec::new();
            put_bytes(&mut scalar, 1, tag.as_bytes());
            put_key(&mut scalar, 2, FLOAT);
            scalar.extend((*value as f32).to_le_bytes());
            put_bytes(&mut summary, 1, &scalar);
        }
        let mut event = event(wall_time, step);
        put_bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    /// What was written to.
    pub(crate) fn into_inner(self) -> W {
        self.output
    }

    fn record(&mut self, message: &[u8]) -> io::Result<()> {
        let length = (message.len() as u64).to_le_bytes();
        self.output.write_all(&length)?;
        self.output
            .write_all(&masked_crc32c(&length).to_le_bytes())?;
        self.output.write_all(message)?;
        self.output.write_all(&masked_crc32c(message).to_le_bytes())
    }
}

fn event(wall_time: f64, step: u64) -> Vec<u8> {
    let mut event = Vec::new();
    put_key(&mut event, 1, DOUBLE);
    event.extend(wall_time.to_le_bytes());
    put_key(&mut event, 2, VARINT);
    put_varint(&mut event, step);
    event
}

fn put_key(message: &mut Vec<u8>, field: u8, wire_type: u8) {
    message.push(field << 3 | wire_type);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_key(message, field, BYTES);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Bit by bit: an event has a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
        }
    }
    !crc
}

fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(MASK_DELTA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros, 32 of ones, and 0 to 31.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    #[test]
    fn bytes_are_those_of_tensorboards_own_writer() {
        // tensorboard 2.21, `RecordWriter` with `Event(wall_time=1.5, step=300,
        // summary=Summary(value=[Value(tag="a/b", simple_value=0.25)])).SerializeToString()`.
        const RECORD: &str =
            "1a00000000000000129bd82d09000000000000f83f10ac022a0c0a0a0a03612f62150000803ef9cde7ed";
        let mut writer = EventWriter { output: Vec::new() };
        writer.scalars((1.5, 300), &[("a/b", 0.25)]).unwrap();
        let hex: String = writer
            .output
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, RECORD);
    }
}
