use rand::Rng;
use serde::Deserialize;

use super::*;
use crate::{
    head::{Fitted, Tally},
    random,
};

const FEATURES: usize = 5;

/// Rows of norm 1.
fn directions(rows: usize, name: &str) -> Vec<f32> {
    let mut stream = random::stream(3, name);
    let mut values = Vec::new();
    for _ in 0..rows {
        let row: [f32; FEATURES] = std::array::from_fn(|_| stream.random_range(-1.0..1.0));
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        values.extend(row.iter().map(|value| value / norm));
    }
    values
}

#[test]
fn neighbours_are_those_of_a_full_sort_whatever_the_blocks() {
    let (rows, queries, k) = (57, 9, 6);
    let (set, asked) = (directions(rows, "set"), directions(queries, "asked"));
    let labels: Vec<u32> = (0..rows as u32).map(|row| row % 4).collect();
    for block in [1, 10, rows] {
        let mut neighbours = Neighbours::new(asked.clone(), FEATURES, k);
        for (features, labels) in set.chunks(block * FEATURES).zip(labels.chunks(block)) {
            neighbours.add(Rows { features, labels });
        }
        let found = neighbours.finish();
        for (query, nearest) in asked.chunks_exact(FEATURES).zip(&found.neighbours) {
            let cosine = |row: &[f32]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
            let cosines: Vec<_> = set.chunks_exact(FEATURES).map(cosine).collect();
            let mut expected: Vec<u64> = (0..rows as u64).collect();
            expected.sort_by(|&a, &b| cosines[b as usize].total_cmp(&cosines[a as usize]));
            let found: Vec<_> = nearest
                .found
                .iter()
                .map(|neighbour| neighbour.row)
                .collect();
            assert_eq!(found, expected[..k], "blocks of {block}");
        }
    }
}

#[test]
fn nearer_neighbours_outweigh_more_of_them() {
    let set = [1.0, 0.0, 0.8, 0.6, 0.8, -0.6];
    let mut neighbours = Neighbours::new(vec![1.0, 0.0], 2, 3);
    neighbours.add(Rows {
        features: &set,
        labels: &[0, 1, 1],
    });
    let votes = neighbours.finish();
    // Weights 1 and twice exp(−0.2 / T): 0.057 at T = 0.07, 0.82 at T = 1.
    let cold = votes.scores(3, DEFAULT_NEIGHBOUR_TEMPERATURE, 2);
    assert!((cold[1] - 2.0 * (-0.2_f32 / 0.07).exp()).abs() < 1e-5);
    assert!(cold[0] > cold[1]);
    let warm = votes.scores(3, 1.0, 2);
    assert!(warm[0] < warm[1]);
    assert_eq!(votes.scores(1, 1.0, 2), [1.0, 0.0]);
}

#[test]
fn centroids_point_along_the_mean_of_their_class() {
    let mut centroids = Centroids::new(2, 3);
    centroids.add(Rows {
        features: &[1.0, 0.0, 0.0, 1.0, -1.0, 0.0],
        labels: &[0, 0, 2],
    });
    let half = 0.5_f32.sqrt();
    // A class without rows is equally far from everything.
    let logits = centroids.head().logits(&[1.0, 0.0]);
    assert_eq!(logits, [half, 0.0, -1.0]);
}

/// See `data/golden/make_audit_golden.py`.
#[derive(Deserialize)]
struct Golden {
    classes: usize,
    features: usize,
    train: Vec<f32>,
    train_labels: Vec<u32>,
    asked: Vec<f32>,
    asked_labels: Vec<u32>,
    votes: Vec<GoldenVotes>,
    centroid_scores: Vec<f32>,
    centroid_top1: f64,
}

#[derive(Deserialize)]
struct GoldenVotes {
    neighbours: usize,
    temperature: f64,
    /// Shares of the votes, `[Q, C]`.
    scores: Vec<f32>,
    top1: f64,
}

/// The problem, its rows divided by their norms.
fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/golden/probe.json");
    let mut golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Fitted::L2.apply(&mut golden.train, golden.features);
    Fitted::L2.apply(&mut golden.asked, golden.features);
    golden
}

fn top1(golden: &Golden, scores: &[f32]) -> f64 {
    let mut tally = Tally::new(golden.classes);
    tally.add(scores, &golden.asked_labels);
    tally.top1()
}

#[test]
fn votes_and_accuracies_are_those_of_dinov2s_formula_in_numpy() {
    let golden = golden();
    for expected in &golden.votes {
        let mut search = Neighbours::new(golden.asked.clone(), golden.features, 20);
        search.add(Rows {
            features: &golden.train,
            labels: &golden.train_labels,
        });
        let (k, temperature) = (expected.neighbours, expected.temperature);
        let scores = search.finish().scores(k, temperature, golden.classes);
        let ours = scores.chunks_exact(golden.classes);
        for (ours, theirs) in ours.zip(expected.scores.chunks_exact(golden.classes)) {
            let sum: f32 = ours.iter().sum();
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours / sum - theirs).abs() < 1e-5, "{k} {temperature}");
            }
        }
        assert_eq!(top1(&golden, &scores), expected.top1, "{k} {temperature}");
    }
}

#[test]
fn centroids_are_scikit_learns_of_rows_of_norm_1() {
    let golden = golden();
    let mut centroids = Centroids::new(golden.features, golden.classes);
    centroids.add(Rows {
        features: &golden.train,
        labels: &golden.train_labels,
    });
    let scores = centroids.head().logits(&golden.asked);
    for (ours, theirs) in scores.iter().zip(&golden.centroid_scores) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
    assert_eq!(top1(&golden, &scores), golden.centroid_top1);
}
