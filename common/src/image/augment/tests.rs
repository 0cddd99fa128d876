use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const AUGMENTATION: Augmentation = Augmentation {
    augment: Augment::CropFlip,
    seed: 7,
};

fn cached(image: u64, view: u8) -> ViewKey {
    ViewKey::Cached { image, view }
}

#[test]
fn a_view_depends_on_seed_image_number_and_epoch() {
    let size = [640, 480];
    let crop = |key| AUGMENTATION.crop(key, size);
    assert_eq!(crop(cached(3, 1)), crop(cached(3, 1)));
    let other_seed = Augmentation {
        seed: 8,
        ..AUGMENTATION
    };
    let epoch = |epoch| ViewKey::Epoch { image: 3, epoch };
    let views = [
        crop(cached(3, 1)),
        crop(cached(3, 2)),
        crop(cached(4, 1)),
        other_seed.crop(cached(3, 1), size),
        crop(epoch(1)),
        crop(epoch(2)),
    ];
    let places: HashSet<_> = views.map(|v| (v.left, v.top, v.width, v.height)).into();
    assert_eq!(places.len(), views.len());
}

/// What this version draws, later ones draw too: caches depend on it.
#[test]
fn views_are_the_same_for_ever() {
    let drawn = [[640, 480], [28, 28], [10, 900]]
        .map(|size| AUGMENTATION.crop(cached(0, 1), size))
        .map(|v| (v.left, v.top, v.width, v.height, v.is_flipped));
    assert_eq!(
        drawn,
        [
            (177, 14, 353, 464, false),
            (6, 5, 18, 23, false),
            (0, 443, 10, 13, false)
        ]
    );
}

proptest! {
    #[test]
    fn every_view_lies_in_its_picture(width in 1_u32..5000, height in 1_u32..5000, image: u64) {
        let crop = AUGMENTATION.crop(cached(image, 1), [width, height]);
        prop_assert!(crop.is_within([width, height]), "{crop:?}");
    }
}

/// Against torchvision 0.29's `get_params`: the means of 20,000 parts of 640×480 are
/// 0.4346 of the area, 1.0457 for the ratio, and the picture's centre.
#[test]
fn draws_are_distributed_as_those_of_torchvision() {
    let count = 20_000;
    let mut sums = [0.0; 4];
    for image in 0..count {
        let crop = AUGMENTATION.crop(cached(image, 1), [640, 480]);
        let area = f64::from(crop.width) * f64::from(crop.height) / (640.0 * 480.0);
        let centre = (f64::from(crop.left) + f64::from(crop.width) / 2.0) / 640.0;
        let ratio = f64::from(crop.width) / f64::from(crop.height);
        let flipped = f64::from(u8::from(crop.is_flipped));
        for (sum, value) in sums.iter_mut().zip([area, ratio, centre, flipped]) {
            *sum += value / count as f64;
        }
    }
    for (found, expected) in sums.into_iter().zip([0.4346, 1.0457, 0.5, 0.5]) {
        assert!((found - expected).abs() < 0.01, "{sums:?}");
    }
}

/// `RandomResizedCrop.get_params` on pictures that no drawn part fits.
#[test]
fn pictures_of_extreme_shape_show_their_centre() {
    let parts = [[10, 900], [900, 10], [1, 1], [1, 2]].map(CropFlip::central_part);
    let sides = parts.map(|part| (part.left, part.top, part.width, part.height));
    assert_eq!(
        sides,
        [
            (0, 443, 10, 13),
            (443, 0, 13, 10),
            (0, 0, 1, 1),
            (0, 0, 1, 1)
        ]
    );
    let drawn = AUGMENTATION.crop(cached(0, 1), [10, 900]);
    assert_eq!((drawn.width, drawn.height), (10, 13));
}

#[test]
fn the_recipe_states_the_parameters() {
    assert_eq!((CROP_SCALE, FLIP_PROBABILITY), ([0.08, 1.0], 0.5));
    assert_eq!(CROP_RATIO, [0.75, 4.0 / 3.0]);
    let recipe = Augment::CropFlip.recipe();
    assert!(
        recipe.starts_with(&Augment::CropFlip.to_string()),
        "{recipe}"
    );
    assert_eq!("crop-flip".parse(), Ok(Augment::CropFlip));
    let error = "flip".parse::<Augment>().unwrap_err().to_string();
    assert_eq!(error, "augmentation `flip` is unknown (choose crop-flip)");
}
