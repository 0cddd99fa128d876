//! The decoder of this module against libjpeg, pixel by pixel.

use std::{fs, path::Path};

use mozjpeg::{ColorSpace, Compress};
use proptest::prelude::*;

use super::{idct::Idct, *};
use crate::image::excerpt::{Everything, Scale, Window};

/// Pixels that a chroma sample stands for: 4:4:4, 4:2:2, 4:2:0, 4:4:0, 4:1:1.
const SAMPLINGS: [(u8, u8); 5] = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)];

/// A picture between smooth and pure noise, encoded by libjpeg.
#[derive(Debug, Clone)]
struct Picture {
    size: [usize; 2],
    sampling: (u8, u8),
    quality: f32,
    noise: u32,
    seed: u32,
    space: Space,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Space {
    Colour,
    Grey,
}

impl Picture {
    fn any() -> impl Strategy<Value = Self> {
        let size = [1_usize..90, 1_usize..70];
        let space = prop_oneof![4 => Just(Space::Colour), 1 => Just(Space::Grey)];
        let sampling = prop::sample::select(&SAMPLINGS[..]);
        (size, sampling, 1_u8..=100, 0_u32..=256, any::<u32>(), space).prop_map(
            |(size, sampling, quality, noise, seed, space)| Self {
                size,
                sampling,
                quality: f32::from(quality),
                noise,
                seed,
                space,
            },
        )
    }

    fn samples(&self, channels: usize) -> Vec<u8> {
        let [width, height] = self.size;
        let mut state = self.seed | 1;
        let places = (0..height).flat_map(|y| (0..width * channels).map(move |x| (x, y)));
        places
            .map(|(x, y)| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let smooth = ((x * 3 + y * 5) % 511).abs_diff(255) as u32;
                ((smooth * (256 - self.noise) + (state & 255) * self.noise) / 256) as u8
            })
            .collect()
    }

    fn encode(&self) -> Vec<u8> {
        let (space, channels) = match self.space {
            Space::Colour => (ColorSpace::JCS_RGB, 3),
            Space::Grey => (ColorSpace::JCS_GRAYSCALE, 1),
        };
        let mut encoder = Compress::new(space);
        encoder.set_fastest_defaults();
        encoder.set_size(self.size[0], self.size[1]);
        encoder.set_quality(self.quality);
        if self.space == Space::Colour {
            encoder.set_chroma_sampling_pixel_sizes(self.sampling, self.sampling);
        }
        let mut encoder = encoder.start_compress(Vec::new()).unwrap();
        encoder.write_scanlines(&self.samples(channels)).unwrap();
        encoder.finish().unwrap()
    }

    /// Whether the picture is decoded here rather than by libjpeg.
    fn is_ordinary(&self, scale: Scale) -> bool {
        if self.space == Space::Grey {
            return true;
        }
        let is_narrow = self.size[0] <= 4 * 8 / scale.eighths() as usize;
        match self.sampling {
            (1, 1) => true,
            (2, 1) => scale != Scale::Eighth && !is_narrow,
            (2, 2) => scale != Scale::Full || !is_narrow,
            _ => false,
        }
    }
}

/// A rectangle at a scale.
struct Glance {
    scale: Scale,
    window: Window,
}

impl View for Glance {
    fn scale(&self, _full: [u32; 2]) -> Scale {
        self.scale
    }

    fn window(&self, _full: [u32; 2], _scale: Scale) -> Window {
        self.window.clone()
    }
}

fn glance(scale: Scale, full: [usize; 2], cut: [(f64, f64); 2]) -> Glance {
    let size = scale.of(full.map(|side| side as u32));
    let range = |i: usize| {
        let side = size[i] as usize;
        let first = (cut[i].0 * side as f64) as usize;
        let length = (cut[i].1 * (side - first) as f64) as usize;
        first..first + length.max(1)
    };
    let window = Window {
        columns: range(0),
        rows: range(1),
    };
    Glance { scale, window }
}

/// The window's pixels of a whole picture.
fn cut(image: &RgbImage, window: &Window) -> Vec<u8> {
    let lines = image.pixels.chunks_exact(image.width as usize * 3);
    let lines = lines.skip(window.rows.start).take(window.rows.len());
    lines
        .flat_map(|line| &line[window.columns.start * 3..window.columns.end * 3])
        .copied()
        .collect()
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/fixtures");
    fs::read(folder.join(name)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_window_at_every_scale_has_libjpegs_pixels(
        picture in Picture::any(),
        scale in prop::sample::select(&Scale::ALL[..]),
        parts in [(0.0..1.0, 0.0..1.0), (0.0..1.0, 0.0..1.0)],
    ) {
        let bytes = picture.encode();
        let view = glance(scale, picture.size, parts);
        let whole = library::decode(&bytes, u64::MAX, &view).unwrap();
        for vectors in Vectors::available() {
            let header = Header::parse(&bytes);
            let excerpt = header.and_then(|header| decode_baseline(&header, &view, vectors));
            prop_assert_eq!(excerpt.is_some(), picture.is_ordinary(scale));
            if let Some(excerpt) = excerpt {
                prop_assert_eq!(excerpt.place.full, whole.place.full);
                prop_assert_eq!(excerpt.image.pixels, cut(&whole.image, &view.window));
            }
        }
    }

    #[test]
    fn damage_leads_to_what_libjpeg_makes_of_it(
        which in 0..FIXTURES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        kept in 0.2..1.2,
    ) {
        let mut bytes = fixture(FIXTURES[which]);
        for (place, value) in changes {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        // Cut in the middle, so that it still ends as a picture does.
        let end = bytes.split_off(bytes.len() - 2);
        bytes.truncate((kept * bytes.len() as f64) as usize);
        bytes.extend(end);
        let ours = decode(&bytes, 1 << 20, &Everything);
        if has_end_of_image(&bytes) {
            let theirs = library::decode(&bytes, 1 << 20, &Everything);
            prop_assert_eq!(ours.ok(), theirs.ok());
        } else {
            prop_assert!(ours.is_err());
        }
    }

    #[test]
    fn vectors_transform_as_plain_loops_do(
        values in prop::collection::vec((0..64_usize, -2047_i16..=2047), 0..64),
        divisors in prop::collection::vec(1_u16..255, 64),
        size in prop::sample::select(&[8_usize, 4, 2][..]),
    ) {
        let quantisation: [u16; 64] = divisors.try_into().unwrap();
        let mut coefficients = [0_i16; 64];
        let mut magnitude = 0;
        for (at, value) in values {
            // As large as vectors take it, then beyond.
            let step = u64::from(value.unsigned_abs()) * u64::from(quantisation[at]);
            if coefficients[at] == 0 && magnitude + step < 8000 {
                coefficients[at] = value;
                magnitude += step;
            }
        }
        let plain = Idct::new(quantisation, size, Vectors::PLAIN).run(&coefficients, magnitude);
        for vectors in Vectors::available() {
            let samples = Idct::new(quantisation, size, vectors).run(&coefficients, magnitude);
            for row in 0..size {
                let line = row * 8..row * 8 + size;
                prop_assert_eq!(&samples[line.clone()], &plain[line]);
            }
        }
    }
}

const FIXTURES: [&str; 6] = [
    "jpeg-420.jpg",
    "jpeg-422.jpg",
    "jpeg-444.jpg",
    "jpeg-grey.jpg",
    "jpeg-restart.jpg",
    "jpeg-progressive.jpg",
];

#[test]
fn restart_markers_are_followed() {
    let bytes = fixture("jpeg-restart.jpg");
    let header = Header::parse(&bytes).unwrap();
    assert!(header.restart_interval > 0);
    let expected = library::decode(&bytes, u64::MAX, &Everything).unwrap();
    for vectors in Vectors::available() {
        let excerpt = decode_baseline(&header, &Everything, vectors);
        assert_eq!(excerpt.as_ref(), Some(&expected));
    }
    // A marker out of turn is for libjpeg to mend.
    let mut bytes = bytes;
    let at = bytes.windows(2).position(|w| w == [0xFF, 0xD0]).unwrap();
    bytes[at + 1] = 0xD3;
    let header = Header::parse(&bytes).unwrap();
    assert!(decode_baseline(&header, &Everything, Vectors::PLAIN).is_none());
}

#[test]
fn a_segment_without_its_last_byte_is_left_to_libjpeg() {
    let mut bytes = fixture("jpeg-420.jpg");
    bytes.remove(bytes.len() - 3);
    let header = Header::parse(&bytes).unwrap();
    assert!(decode_baseline(&header, &Everything, Vectors::PLAIN).is_none());
}

#[test]
fn progressive_and_inked_pictures_are_left_to_libjpeg() {
    for name in ["jpeg-progressive.jpg", "jpeg-cmyk.jpg", "jpeg-rgb.jpg"] {
        assert!(Header::parse(&fixture(name)).is_none(), "{name}");
    }
}
