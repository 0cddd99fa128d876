//! Resize, crop and normalisation against torchvision's values on Pillow images
//! (`data/golden/resize.json`, made by `tests/judges/golden.py`).

use std::fs;
use std::path::Path;

use common::image::{CropFlip, Layout, Preprocess, Preprocessor, Resize, RgbImage};
use serde_json::Value;

/// The noise picture that the golden script makes: the high bytes of splitmix64,
/// seeded with the FNV-1a hash of the picture's name.
fn noise(width: u32, height: u32) -> RgbImage {
    let name = format!("image {width}x{height}");
    let hash = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    let mut next = || {
        state = u64::wrapping_add(state, 0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 56) as u8
    };
    let pixels = (0..width * height * 3).map(|_| next()).collect();
    RgbImage {
        width,
        height,
        pixels,
    }
}

fn keeping_size(crop: u32) -> Preprocess {
    Preprocess {
        resize: Resize::None,
        crop,
        ..Preprocess::imagenet()
    }
}

#[test]
fn resized_pixels_are_within_one_level_of_pillow() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/golden/resize.json");
    let golden: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 20);
    for case in cases {
        let side = |field: &str| u32::try_from(case[field].as_u64().unwrap()).unwrap();
        let recipe = Preprocess {
            resize: Resize::ShortSide(side("short")),
            crop: side("crop"),
            interpolation: case["interpolation"].as_str().unwrap().parse().unwrap(),
            ..Preprocess::imagenet()
        };
        let picture = noise(side("width"), side("height"));
        let cropped = recipe.resize_and_crop(&picture).unwrap();
        let label = format!("{}x{} {recipe}", picture.width, picture.height);
        for sample in case["samples"].as_array().unwrap() {
            let field = |i: usize| sample[i].as_u64().unwrap() as usize;
            let at = (field(0) * recipe.crop as usize + field(1)) * 3 + field(2);
            let difference = usize::from(cropped.pixels[at]).abs_diff(field(3));
            assert!(difference <= 1, "{label}: {sample} is off by {difference}");
        }
        for (channel, mean) in case["channel_means"].as_array().unwrap().iter().enumerate() {
            let colour = cropped.pixels.iter().skip(channel).step_by(3);
            let sum: u64 = colour.map(|v| u64::from(*v)).sum();
            let found = sum as f64 / f64::from(recipe.crop * recipe.crop);
            assert!(
                (found - mean.as_f64().unwrap()).abs() < 0.05,
                "{label}: mean {found}"
            );
        }
    }
}

#[test]
fn crop_offset_rounds_half_to_even() {
    // torchvision: int(round((side − crop) / 2.0)).
    for (side, offset) in [
        (4, 0),
        (5, 0),
        (6, 1),
        (7, 2),
        (8, 2),
        (9, 2),
        (10, 3),
        (11, 4),
    ] {
        let picture = noise(side, side);
        let cropped = keeping_size(4).resize_and_crop(&picture).unwrap();
        let at = ((offset * side + offset) * 3) as usize;
        assert_eq!(
            cropped.pixels[..12],
            picture.pixels[at..at + 12],
            "side {side}"
        );
    }
}

#[test]
fn picture_smaller_than_the_crop_gets_a_black_border() {
    let picture = noise(2, 5);
    let cropped = keeping_size(5).resize_and_crop(&picture).unwrap();
    for (row, line) in cropped.pixels.chunks_exact(15).enumerate() {
        // Three columns are missing: one before, two after.
        assert_eq!(line[..3], [0; 3]);
        assert_eq!(line[3..9], picture.pixels[row * 6..row * 6 + 6]);
        assert_eq!(line[9..], [0; 6]);
    }
}

#[test]
fn normalised_values_are_those_of_torchvision() {
    // ToTensor() then Normalize(imagenet) on a pixel of 0, 128, 255, in PyTorch 2.15.
    let picture = RgbImage {
        width: 1,
        height: 1,
        pixels: vec![0, 128, 255],
    };
    let recipe = keeping_size(1);
    let mut output = [0.0; 3];
    recipe.apply(&picture, &mut output).unwrap();
    assert_eq!(output, [-2.117_904, 0.205_182_2, 2.64]);
}

/// `tests/judges/views.py` compares views with torchvision's.
#[test]
fn a_view_is_its_part_alone_in_the_whole_square_mirrored_if_need_be() {
    let recipe = Preprocess {
        crop: 20,
        ..Preprocess::imagenet()
    };
    let picture = noise(61, 47);
    let part = CropFlip {
        left: 13,
        top: 5,
        width: 37,
        height: 42,
        is_flipped: false,
    };
    let rows = picture.pixels.chunks_exact(61 * 3).skip(5).take(42);
    let alone = RgbImage {
        width: 37,
        height: 42,
        pixels: rows.flat_map(|row| &row[13 * 3..50 * 3]).copied().collect(),
    };
    let stretched = Preprocess {
        resize: Resize::Exact {
            width: 20,
            height: 20,
        },
        ..recipe
    };
    let mut expected = vec![0.0; recipe.output_len()];
    stretched.apply(&alone, &mut expected).unwrap();
    let mut view = expected.clone();
    let mut preprocessor = Preprocessor::new(recipe, Layout::Planar).unwrap();
    preprocessor.apply_view(&picture, &part, &mut view).unwrap();
    assert_eq!(view, expected);

    let mirrored = CropFlip {
        is_flipped: true,
        ..part
    };
    preprocessor
        .apply_view(&picture, &mirrored, &mut view)
        .unwrap();
    assert_ne!(view, expected);
    view.chunks_exact_mut(20).for_each(<[f32]>::reverse);
    assert_eq!(view, expected);

    let outside = CropFlip { left: 25, ..part };
    assert!(
        preprocessor
            .apply_view(&picture, &outside, &mut view)
            .is_err()
    );
    assert!(
        preprocessor
            .apply_view(&picture, &part, &mut [0.0])
            .is_err()
    );
}

#[test]
fn layouts_hold_the_same_numbers() {
    let recipe = Preprocess {
        crop: 32,
        ..Preprocess::imagenet()
    };
    let picture = noise(61, 47);
    let mut outputs = [Layout::Planar, Layout::Interleaved].map(|layout| {
        let mut output = vec![0.0; recipe.output_len()];
        let mut preprocessor = Preprocessor::new(recipe, layout).unwrap();
        preprocessor.apply(&picture, &mut output).unwrap();
        output
    });
    let [planar, interleaved] = &mut outputs;
    for (i, pixel) in interleaved.chunks_exact(3).enumerate() {
        for (channel, value) in pixel.iter().enumerate() {
            assert_eq!(*value, planar[channel * 32 * 32 + i]);
        }
    }
}

#[test]
fn a_used_preprocessor_gives_the_same_as_a_new_one() {
    let recipe = Preprocess {
        resize: Resize::ShortSide(40),
        crop: 48,
        ..Preprocess::imagenet()
    };
    let mut used = Preprocessor::new(recipe, Layout::Planar).unwrap();
    for (width, height) in [(500, 300), (3, 200), (61, 47), (40, 40), (1, 1), (47, 900)] {
        let picture = noise(width, height);
        let fresh = recipe.resize_and_crop(&picture).unwrap();
        assert_eq!(
            used.resize_and_crop(&picture).unwrap(),
            fresh.pixels,
            "{width}x{height}"
        );
    }
}

#[test]
fn extreme_shapes_stay_small() {
    let narrow = RgbImage {
        width: 1,
        height: 3_000_000,
        pixels: vec![7; 9_000_000],
    };
    for resize in [
        Resize::ShortSide(256),
        Resize::Exact {
            width: 224,
            height: 224,
        },
    ] {
        let recipe = Preprocess {
            resize,
            ..Preprocess::imagenet()
        };
        let square = recipe.resize_and_crop(&narrow).unwrap();
        assert!(square.pixels.iter().all(|v| *v == 7));
    }
}

#[test]
fn wrong_output_length_is_an_error() {
    let recipe = Preprocess::imagenet();
    let error = recipe
        .apply(&noise(4, 4), &mut [0.0; 7])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("holds 7 numbers, expected 150528"),
        "{error}"
    );
}
