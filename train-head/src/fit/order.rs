//! The training rows of an epoch, in the order in which they are seen.

use common::random;
use rand::{Rng, seq::SliceRandom};

use super::Task;
use crate::plan::Sampling;

/// As many rows as the task trains on: all of them shuffled, or drawn with replacement so that
/// every class is equally likely and within it every row (PyTorch's `WeightedRandomSampler`
/// with the weight 1 / rows of its class).
pub(super) fn epoch_rows(task: &Task, epoch: u32) -> Vec<u32> {
    let train = &task.partition.train;
    let stream = |name: &str| random::stream(task.settings.seed, &format!("train/{name}/{epoch}"));
    match task.settings.sampling {
        Sampling::Shuffle => {
            let mut order = train.clone();
            order.shuffle(&mut stream("order"));
            order
        }
        Sampling::Balanced => {
            let mut stream = stream("draw");
            let classes = by_class(task);
            let draw = |_| {
                let rows = &classes[stream.random_range(0..classes.len())];
                rows[stream.random_range(0..rows.len())]
            };
            (0..train.len()).map(draw).collect()
        }
    }
}

/// The training rows of every class that has some.
fn by_class(task: &Task) -> Vec<Vec<u32>> {
    let mut classes = vec![Vec::new(); task.classes];
    for &row in &task.partition.train {
        classes[task.dataset.labels[row as usize] as usize].push(row);
    }
    classes.retain(|rows| !rows.is_empty());
    classes
}

#[cfg(test)]
mod tests {
    use common::head::HeadKind;

    use super::*;
    use crate::{
        dataset::Dataset,
        features::{Allowance, Features},
        plan::Settings,
        split::{Origin, Partition},
    };

    /// 600 rows of class 0, 60 of class 1, 6 of class 2.
    fn draws(sampling: Sampling, epoch: u32) -> (Vec<u32>, Vec<u32>) {
        let labels = [vec![0; 600], vec![1; 60], vec![2; 6]].concat();
        let dataset = Dataset {
            features: Features::new(1, Allowance::default()),
            labels: labels.clone(),
            targets: Vec::new(),
            names: Vec::new(),
            label_record: None,
            rows: Vec::new(),
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
    fn draws_repeat_with_the_seed_and_differ_between_epochs() {
        for sampling in [Sampling::Shuffle, Sampling::Balanced] {
            assert_eq!(draws(sampling, 1), draws(sampling, 1));
            assert_ne!(draws(sampling, 1), draws(sampling, 2));
        }
    }
}
