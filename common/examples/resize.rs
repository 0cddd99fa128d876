//! Writes what a backbone would see of each image, before normalisation, for
//! comparison with other programs (`tests/judges/resize.py`).
//!
//! ```text
//! cargo run --release -p common --example resize -- IMAGES OUT
//! ```
//!
//! `OUT/NAME.rgb` are the `[224, 224, 3]` bytes of `IMAGES/NAME` under the
//! ImageNet recipe (short side 256 bilinear, centre crop 224).

use std::{error::Error, fs, path::PathBuf};

use common::image::{DecodeOptions, Layout, Preprocess, Preprocessor, decode_excerpt};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [images, out] = arguments.as_slice() else {
        return Err("usage: resize IMAGES OUT".into());
    };
    fs::create_dir_all(out)?;
    let recipe = Preprocess::imagenet();
    let mut preprocessor = Preprocessor::new(recipe, Layout::Planar)?;
    let options = DecodeOptions::default();
    for entry in fs::read_dir(images)? {
        let path = entry?.path();
        let excerpt = decode_excerpt(&fs::read(&path)?, &options, &recipe)?;
        let seen = preprocessor.resize_and_crop_excerpt(&excerpt)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        fs::write(out.join(format!("{name}.rgb")), seen)?;
    }
    Ok(())
}
