use super::*;
use crate::{
    head::{Block, InMemory, Rows},
    random,
};
use rand::Rng;

/// Overlapping classes around random centres, far from the origin.
fn rows(count: usize, features: usize, classes: usize) -> InMemory {
    let mut stream = random::stream(1, "logistic/rows");
    let mut block = Block::default();
    for row in 0..count {
        let class = row % classes;
        let mut centre = random::stream(2, &format!("centre/{class}"));
        for _ in 0..features {
            let noise: f32 = stream.random_range(-1.0..1.0);
            block
                .features
                .push(3.0 + noise + centre.random_range(-0.5..0.5));
        }
        block.labels.push(class as u32);
    }
    InMemory::new(block, classes)
}

fn settings(strengths: &[f64], classes: usize) -> Settings {
    Settings {
        strengths: strengths.to_vec(),
        class_weights: vec![1.0; classes],
        tolerance: 1e-6,
        max_steps: DEFAULT_MAX_STEPS,
    }
}

fn fits(source: &InMemory, settings: &Settings) -> Vec<Fit> {
    let mut fits = Vec::new();
    fit_path(source, settings, |fit| {
        fits.push(fit);
        Continue::Yes
    })
    .unwrap();
    fits
}

fn distance(a: &Head, b: &Head) -> f32 {
    let weights = a.layers()[0].weight.iter().zip(&b.layers()[0].weight);
    weights.fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

#[test]
fn a_fit_within_a_path_is_the_fit_alone() {
    for classes in [2, 4] {
        let source = rows(600, 12, classes);
        let path = fits(&source, &settings(&[1.0, 1e-3, 1e-2, 0.1], classes));
        let strengths: Vec<f64> = path.iter().map(|fit| fit.strength).collect();
        assert_eq!(strengths, [1e-3, 1e-2, 0.1, 1.0]);
        for fit in path {
            assert_eq!(fit.ending, Ending::Converged);
            let alone = fits(&source, &settings(&[fit.strength], classes));
            let far = distance(&fit.head, &alone[0].head);
            assert!(far < 1e-3, "{}: {far}", fit.strength);
        }
    }
}

/// Rows that are copied out anew whenever they are read.
struct Streamed(InMemory);

impl RowBlocks for Streamed {
    fn features(&self) -> usize {
        self.0.features()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn blocks(&self) -> usize {
        self.0.blocks()
    }

    fn read<'a>(&'a self, index: usize, scratch: &'a mut Block) -> Result<Rows<'a>, CacheError> {
        let mut unused = Block::default();
        let rows = self.0.read(index, &mut unused)?;
        scratch.features = rows.features.to_vec();
        scratch.labels = rows.labels.to_vec();
        Ok(Rows {
            features: &scratch.features,
            labels: &scratch.labels,
        })
    }
}

#[test]
fn streamed_rows_give_the_same_bits_as_rows_in_memory() {
    let source = rows(900, 8, 3);
    let settings = settings(&[0.01, 1.0], 3);
    let expected = fits(&source, &settings);
    let mut found = Vec::new();
    fit_path(&Streamed(source), &settings, |fit| {
        found.push(fit.head);
        Continue::Yes
    })
    .unwrap();
    let expected: Vec<Head> = expected.into_iter().map(|fit| fit.head).collect();
    assert_eq!(found, expected);
}

#[test]
fn class_weights_are_repeated_rows() {
    let source = rows(300, 6, 3);
    let mut doubled = Block::default();
    let mut scratch = Block::default();
    for index in 0..source.blocks() {
        let block = source.read(index, &mut scratch).unwrap();
        for (row, &label) in block.features.chunks_exact(6).zip(block.labels) {
            for _ in 0..if label == 1 { 2 } else { 1 } {
                doubled.features.extend_from_slice(row);
                doubled.labels.push(label);
            }
        }
    }
    let mut weighted = settings(&[0.1], 3);
    weighted.class_weights[1] = 2.0;
    let weighted = fits(&source, &weighted);
    let repeated = fits(&InMemory::new(doubled, 3), &settings(&[0.1], 3));
    let far = distance(&weighted[0].head, &repeated[0].head);
    assert!(far < 1e-4, "{far}");
}

#[test]
fn many_classes_and_features_alike_converge() {
    let source = rows(800, 5, COUPLED + 2);
    for fit in fits(&source, &settings(&[1e-2, 1.0], COUPLED + 2)) {
        assert_eq!(fit.ending, Ending::Converged, "{}", fit.gradient);
    }
}

/// Beyond it the classes' covariance is not kept.
const COUPLED: usize = objective::COUPLED_CLASSES;

#[test]
fn a_path_can_be_left_early() {
    let mut seen = 0;
    fit_path(&rows(60, 3, 2), &settings(&[0.1, 1.0], 2), |_| {
        seen += 1;
        Continue::No
    })
    .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn unusable_input_is_refused() {
    let source = rows(60, 3, 2);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = fit_path(&source, &settings(&[1.0, bad], 2), |_| Continue::Yes);
        assert!(matches!(refused, Err(LogisticError::Strength(_))));
    }
    let empty = InMemory::new(Block::default(), 2);
    let refused = fit_path(&empty, &settings(&[1.0], 2), |_| Continue::Yes);
    assert!(matches!(refused, Err(LogisticError::Empty)));
}
