//! Guesses what a file is that holds no weights, from its first bytes.

/// A description for the error message, with the remedy where one is known.
pub(super) fn describe(bytes: &[u8]) -> &'static str {
    const KNOWN: [(&[u8], &str); 8] = [
        (
            b"version https://git-lfs",
            "a Git LFS pointer (run `git lfs pull`)",
        ),
        (b"\x89HDF", "an HDF5 file (convert it to safetensors)"),
        (b"\x1f\x8b", "a gzip-compressed file (decompress it first)"),
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"%PDF", "a PDF document"),
        (
            b"\x93NUMPY",
            "a NumPy array (convert the model to safetensors)",
        ),
        (
            b"\x80",
            "a pickle that `torch.save` did not write (save the `state_dict` with `torch.save`)",
        ),
    ];
    if let Some((_, description)) = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return description;
    }
    // tar keeps its magic word behind the first header's name and numbers.
    if bytes.get(257..262) == Some(b"ustar") {
        return "a tar archive (unpack it, or load it with an old torch and save it again)";
    }
    let head = &bytes[..bytes.len().min(512)];
    let is_text = head
        .iter()
        .all(|&byte| byte >= 0x20 || matches!(byte, b'\n' | b'\r' | b'\t'));
    match head.trim_ascii_start().first() {
        Some(b'<') if is_text => "a web page (the download link led to a page, not to the file)",
        Some(_) if is_text => "a text file",
        _ => "an unknown binary file",
    }
}
