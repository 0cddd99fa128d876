//! Reading small files whole, without trusting their size.

use std::{fs, io, path::Path};

/// The content of a file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, or is larger: [`io::ErrorKind::FileTooLarge`].
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > most {
        let problem = format!("{bytes} bytes, at most {most} were expected");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    fs::read(path)
}
