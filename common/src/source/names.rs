//! Names on the disk: image extensions, split aliases, names to ignore, uris.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use super::Split;

/// File extensions that make a file of a class folder a sample; case does not
/// matter. `ppm` and `pgm` are torchvision's too: they are listed, so that an
/// unsupported one is reported and not silently left out.
pub const IMAGE_EXTENSIONS: [&str; 12] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm",
];

/// Folder names that mean a split; case does not matter.
pub const SPLIT_NAMES: [(&str, Split); 8] = [
    ("train", Split::Train),
    ("training", Split::Train),
    ("val", Split::Val),
    ("validation", Split::Val),
    ("valid", Split::Val),
    ("dev", Split::Val),
    ("test", Split::Test),
    ("testing", Split::Test),
];

/// Folders that archivers and file servers leave behind.
pub const IGNORED_FOLDERS: [&str; 3] = ["__MACOSX", "@eaDir", "lost+found"];

/// The split called `name`.
pub(super) fn split_from_name(name: &str) -> Option<Split> {
    SPLIT_NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|&(_, split)| split)
}

/// Whether an entry is skipped whatever it is: hidden, or known rubbish.
pub(super) fn is_ignored(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".") || IGNORED_FOLDERS.iter().any(|folder| name == *folder)
}

/// Whether the extension of the file name is one of [`IMAGE_EXTENSIONS`].
pub fn is_image(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| {
        IMAGE_EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// `name` as text; every byte that is not part of valid UTF-8 becomes `%FF`.
pub(super) fn escaped(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Why a file of this name cannot be read: names are UTF-8 in the plan.
pub(super) fn problem_of(name: &OsStr) -> Option<String> {
    name.to_str().is_none().then(|| {
        "the file name is not UTF-8, its other bytes are shown as %XX (rename the file)".to_owned()
    })
}

/// What an error calls a file that is not an image: its extension.
pub(super) fn kind_of(name: &OsStr) -> String {
    Path::new(name).extension().map_or_else(
        || "without extension".to_owned(),
        |extension| format!(".{}", escaped(extension)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_escaped_and_the_rest_is_kept() {
        assert_eq!(
            escaped(OsStr::from_bytes(b"caf\xe9 \xc3\xa9.jpg")),
            "caf%E9 é.jpg"
        );
    }

    #[test]
    fn extensions_and_splits_ignore_case() {
        assert!(is_image(OsStr::new("IMG.JPG")));
        assert!(!is_image(OsStr::new("jpg")));
        assert!(!is_image(OsStr::new("labels.csv")));
        assert_eq!(split_from_name("Validation"), Some(Split::Val));
        assert_eq!(split_from_name("trainer"), None);
    }
}
