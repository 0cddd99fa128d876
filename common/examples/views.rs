//! Writes augmented views of images, for comparison with other programs
//! (`tests/judges/views.py`).
//!
//! ```text
//! cargo run --release -p common --example views -- IMAGES OUT VIEWS bilinear|bicubic
//! ```
//!
//! `OUT/views.csv` has one line a view: the image's name, the view's number, left, top,
//! width and height of the part that it shows, and whether it is mirrored (0 or 1).
//! `OUT/NAME.VIEW.f32` is its `[3, 224, 224]` tensor under the ImageNet recipe.

use std::{error::Error, fmt::Write as _, fs, path::PathBuf};

use common::image::{
    Augment, Augmentation, DecodeOptions, Layout, Preprocess, Preprocessor, ViewKey, decode_rgb,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [images, out, views, interpolation] = arguments.as_slice() else {
        return Err("usage: views IMAGES OUT VIEWS bilinear|bicubic".into());
    };
    let (out, views) = (PathBuf::from(out), views.parse::<u8>()?);
    fs::create_dir_all(&out)?;
    let augmentation = Augmentation {
        augment: Augment::CropFlip,
        seed: 0,
    };
    let recipe = Preprocess {
        interpolation: interpolation.parse()?,
        ..Preprocess::imagenet()
    };
    let mut preprocessor = Preprocessor::new(recipe, Layout::Planar)?;
    let mut tensor = vec![0.0; recipe.output_len()];
    let mut table = String::new();
    let entries = fs::read_dir(images)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for (image, path) in (0..).zip(paths) {
        let picture = decode_rgb(&fs::read(&path)?, &DecodeOptions::default())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for view in 1..=views {
            let key = ViewKey::Cached { image, view };
            let crop = augmentation.crop(key, [picture.width, picture.height]);
            preprocessor.apply_view(&picture, &crop, &mut tensor)?;
            let bytes: Vec<u8> = tensor.iter().flat_map(|v| v.to_le_bytes()).collect();
            fs::write(out.join(format!("{name}.{view}.f32")), bytes)?;
            writeln!(
                table,
                "{name},{view},{},{},{},{},{}",
                crop.left,
                crop.top,
                crop.width,
                crop.height,
                u8::from(crop.is_flipped)
            )?;
        }
    }
    fs::write(out.join("views.csv"), table)?;
    Ok(())
}
