//! What the programs print on standard output.
//!
//! A reader that has gone (`extract status CACHE | head -1`) ends the printing
//! quietly. Any other failure is an error: a result that is lost must not look
//! like success.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// Standard output could not be written to.
#[derive(Debug, thiserror::Error)]
#[error("standard output: writing failed, the result is not complete")]
pub struct OutputError {
    #[from]
    source: io::Error,
}

/// Who reads standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody, as far as can be told.
    Listening,
    /// Nobody any more; there is no use in printing more.
    Gone,
}

/// Prints what `write` writes, all of it before this returns.
///
/// # Errors
/// When it cannot be written, unless the reader has gone.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Reader, OutputError> {
    let mut output = BufWriter::new(io::stdout().lock());
    reader_after(write(&mut output).and_then(|()| output.flush()))
}

/// Prints `value` as pretty JSON and a line end.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl Serialize) -> Result<Reader, OutputError> {
    print(|output| {
        serde_json::to_writer_pretty(&mut *output, value)?;
        writeln!(output)
    })
}

/// What the end of a write to standard output says about its reader.
pub(crate) fn reader_after(written: io::Result<()>) -> Result<Reader, OutputError> {
    match written {
        Ok(()) => Ok(Reader::Listening),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error.into()),
    }
}
