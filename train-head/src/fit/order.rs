//! The training rows of an epoch, in the order in which they are seen.

use common::random;
use rand::{Rng, seq::SliceRandom};

use super::Task;
use crate::plan::Sampling;

/// As many rows as the task trains on images: all of these shuffled, or drawn with replacement so
/// that every class is equally likely and within it every image (PyTorch's
/// `WeightedRandomSampler` with the weight 1 / images of its class). Of an image with several
/// views one is drawn, the plain one as likely as any other.
pub(super) fn epoch_rows(task: &Task, epoch: u32) -> Vec<u32> {
    let stream = |name: &str| random::stream(task.settings.seed, &format!("train/{name}/{epoch}"));
    let mut images: Vec<&[u32]> = task.dataset.by_image(&task.partition.train).collect();
    match task.settings.sampling {
        Sampling::Shuffle => images.shuffle(&mut stream("order")),
        Sampling::Balanced => {
            let mut stream = stream("draw");
            let classes = by_class(task, &images);
            let draw = |_| {
                let images = &classes[stream.random_range(0..classes.len())];
                images[stream.random_range(0..images.len())]
            };
            images = (0..images.len()).map(draw).collect();
        }
    }
    let mut stream = stream("view");
    let view = |views: &[u32]| match views {
        [row] => *row,
        _ => views[stream.random_range(0..views.len())],
    };
    images.into_iter().map(view).collect()
}

/// The images of every class that has some.
fn by_class<'a>(task: &Task, images: &[&'a [u32]]) -> Vec<Vec<&'a [u32]>> {
    let mut classes = vec![Vec::new(); task.classes];
    for &views in images {
        classes[task.dataset.labels[views[0] as usize] as usize].push(views);
    }
    classes.retain(|images| !images.is_empty());
    classes
}

#[cfg(test)]
mod tests {
    use common::{head::HeadKind, source::Split};

    use super::*;
    use crate::{
        dataset::{Dataset, RowInfo},
        features::{Allowance, Features},
        plan::Settings,
        split::{Origin, Partition},
    };

    /// 600 rows of class 0, 60 of class 1, 6 of class 2.
    fn draws(sampling: Sampling, epoch: u32) -> (Vec<u32>, Vec<u32>) {
        draws_of_views(1, sampling, epoch)
    }

    /// As many images, each with so many views.
    fn draws_of_views(views: u8, sampling: Sampling, epoch: u32) -> (Vec<u32>, Vec<u32>) {
        let images = [600, 60, 6].map(|images| images * usize::from(views));
        let labels = [vec![0; images[0]], vec![1; images[1]], vec![2; images[2]]].concat();
        let info = |row: u64| RowInfo {
            id: row / u64::from(views),
            view: (row % u64::from(views)) as u8,
            split: Split::Train,
            digest: row,
        };
        let dataset = Dataset {
            features: Features::new(1, Allowance::default()),
            labels: labels.clone(),
            targets: Vec::new(),
            names: Vec::new(),
            label_record: None,
            rows: (0..labels.len() as u64).map(info).collect(),
            unlabelled: 0,
            allowance: Allowance::default(),
        };
        let partition = Partition {
            train: (0..labels.len() as u32).collect(),
            validation: Vec::new(),
            origin: Origin::Drawn,
            notes: Vec::new(),
        };
        let settings = Settings {
            sampling,
            ..Settings::default()
        };
        let task = Task {
            dataset: &dataset,
            partition: &partition,
            classes: 3,
            head: HeadKind::Linear,
            settings: &settings,
        };
        (epoch_rows(&task, epoch), labels)
    }

    #[test]
    fn balanced_draws_every_class_as_often_and_shuffling_every_row_once() {
        let mut counts = [0_u32; 3];
        for epoch in 1..=10 {
            let (rows, labels) = draws(Sampling::Balanced, epoch);
            assert_eq!(rows.len(), labels.len());
            rows.iter()
                .for_each(|row| counts[labels[*row as usize] as usize] += 1);
        }
        // 6660 draws, 2220 of each class expected, with a deviation of 38.
        assert!(
            counts.iter().all(|count| count.abs_diff(2220) < 200),
            "{counts:?}"
        );
        let (mut rows, _) = draws(Sampling::Shuffle, 1);
        rows.sort_unstable();
        assert_eq!(rows, (0..666).collect::<Vec<_>>());
    }

    #[test]
    fn an_epoch_sees_one_view_of_an_image_and_in_time_all() {
        for sampling in [Sampling::Shuffle, Sampling::Balanced] {
            let mut counts = [0_u32; 3];
            for epoch in 1..=10 {
                let (rows, _) = draws_of_views(3, sampling, epoch);
                assert_eq!(rows.len(), 666);
                rows.iter().for_each(|row| counts[*row as usize % 3] += 1);
            }
            // 6660 draws, 2220 of each view expected, with a deviation of 38.
            let even = |count: &u32| count.abs_diff(2220) < 200;
            assert!(counts.iter().all(even), "{counts:?}");
        }
        let (rows, _) = draws_of_views(3, Sampling::Shuffle, 1);
        let mut images: Vec<u32> = rows.iter().map(|row| row / 3).collect();
        images.sort_unstable();
        assert_eq!(images, (0..666).collect::<Vec<_>>());
    }

    #[test]
    fn draws_repeat_with_the_seed_and_differ_between_epochs() {
        for sampling in [Sampling::Shuffle, Sampling::Balanced] {
            assert_eq!(draws(sampling, 1), draws(sampling, 1));
            assert_ne!(draws(sampling, 1), draws(sampling, 2));
        }
    }
}
