use super::*;
use crate::{
    backbone::registry,
    embed::EmbedderOptions,
    engine::device::{DeviceChoice, Precision},
    image::{Augment, DecodeMode, Preprocess, Resize},
};

const AUGMENTATION: Augmentation = Augmentation {
    augment: Augment::CropFlip,
    seed: 5,
};

/// A small network on pictures of 32 × 32, whose recipe shrinks [`photo`] enough for
/// fast decoding.
fn embedder(mode: DecodeMode) -> Embedder {
    let entry = registry::find("efficientnet-lite0").unwrap();
    Embedder::load(EmbedderOptions {
        entry,
        weights: None,
        layers: vec!["stem".to_owned()],
        preprocess: Preprocess {
            resize: Resize::ShortSide(4),
            crop: 32,
            ..entry.preprocess()
        },
        decode: DecodeOptions {
            mode,
            ..DecodeOptions::default()
        },
        device: DeviceChoice::Cpu,
        precision: Precision::F32,
        calibration: None,
    })
    .unwrap()
}

fn photo() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/fixtures/jpeg-420.jpg");
    std::fs::read(path).unwrap()
}

fn pixels(worker: &mut Worker, views: &[View]) -> Vec<f32> {
    worker.clear();
    let picture = worker.decode(&photo()).unwrap();
    for view in views {
        worker.add_view(&picture, *view).unwrap();
    }
    assert_eq!(worker.images(), views.len());
    worker.pixels[..views.len() * worker.image_len].to_vec()
}

fn epoch(epoch: u32) -> View {
    View::Augmented(AUGMENTATION, ViewKey::Epoch { image: 3, epoch })
}

#[test]
fn an_epoch_has_views_of_its_own_that_come_again() {
    let embedder = embedder(DecodeMode::Exact);
    let mut worker = embedder.worker().unwrap();
    let first = pixels(&mut worker, &[epoch(1)]);
    let both = pixels(&mut worker, &[epoch(2), epoch(1)]);
    let (second, again) = both.split_at(first.len());
    assert_eq!(first, again);
    assert_ne!(first, second);
    assert_eq!(first, pixels(&mut embedder.worker().unwrap(), &[epoch(1)]));
}

#[test]
fn a_plain_view_is_what_a_file_gives_and_fast_decoding_changes_no_view() {
    let exact = embedder(DecodeMode::Exact);
    let mut worker = exact.worker().unwrap();
    let views = [View::Plain, epoch(1)];
    let seen = pixels(&mut worker, &views);
    let fast = embedder(DecodeMode::Fast);
    let mut fast = fast.worker().unwrap();
    assert_eq!(pixels(&mut fast, &views), seen);
    for worker in [&mut worker, &mut fast] {
        worker.clear();
        worker.add(&photo()).unwrap();
    }
    let one = ..worker.image_len;
    assert_eq!(worker.pixels[one], seen[one]);
    assert_ne!(fast.pixels[one], seen[one]);
}

#[test]
fn an_unusable_file_leaves_the_batch_as_it_was() {
    let embedder = embedder(DecodeMode::Exact);
    let mut worker = embedder.worker().unwrap();
    worker.add(&photo()).unwrap();
    assert!(worker.add(b"no image").is_err());
    assert!(worker.decode(b"no image").is_err());
    assert_eq!(worker.images(), 1);
}
