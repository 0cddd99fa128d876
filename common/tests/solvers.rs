//! The convex solvers against scikit-learn's (`data/golden/make_solver_golden.py`).

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use common::head::{
    Block, Gram, InMemory, Linear, RowBlocks, Sampling,
    logistic::{self, Continue, Ending, fit_path},
    ridge::Ridge,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    width: usize,
    features: Vec<f32>,
    labels: Vec<u32>,
    logistic: Vec<LogisticCase>,
    ridge: Vec<RidgeCase>,
}

#[derive(Deserialize)]
struct LogisticCase {
    c: f64,
    balanced: bool,
    objective: f64,
    #[serde(flatten)]
    expected: Parameters,
}

#[derive(Deserialize)]
struct RidgeCase {
    lambda: f64,
    #[serde(flatten)]
    expected: Parameters,
}

#[derive(Deserialize)]
struct Parameters {
    coefficients: Vec<f64>,
    intercepts: Vec<f64>,
}

fn cases() -> Vec<Case> {
    let path = format!(
        "{}/../data/golden/head_solvers.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    golden.cases
}

impl Case {
    fn classes(&self) -> usize {
        self.labels
            .iter()
            .max()
            .map_or(0, |&last| last as usize + 1)
    }

    fn rows(&self) -> InMemory {
        let block = Block {
            features: self.features.clone(),
            labels: self.labels.clone(),
        };
        let rows = InMemory::new(block, self.classes());
        assert_eq!(rows.features(), self.width);
        rows
    }

    fn weights(&self, balanced: bool) -> Vec<f64> {
        let classes = self.classes();
        let mut counts = vec![0.0; classes];
        self.labels.iter().for_each(|&y| counts[y as usize] += 1.0);
        let rows = self.labels.len() as f64;
        let weight = |count| rows / (classes as f64 * count);
        let counts = counts.into_iter();
        counts
            .map(|n| if balanced { weight(n) } else { 1.0 })
            .collect()
    }
}

/// Distance of the parameters relative to their length, weights and biases apart.
/// scikit-learn has one vector for two classes, ours are its halves or copies.
fn distances(found: &Linear, expected: &Parameters) -> [f64; 2] {
    let pairs = [
        (&found.weight, &expected.coefficients),
        (&found.bias, &expected.intercepts),
    ];
    pairs.map(|(found, expected)| {
        let found: Vec<f64> = if found.len() == 2 * expected.len() {
            let (first, second) = found.split_at(expected.len());
            let pairs = first.iter().zip(second);
            pairs.map(|(a, b)| f64::from(*b) - f64::from(*a)).collect()
        } else {
            found.iter().map(|value| f64::from(*value)).collect()
        };
        assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(expected);
        let gap: f64 = pairs.map(|(a, b)| (a - b).powi(2)).sum();
        let length: f64 = expected.iter().map(|b| b * b).sum();
        (gap / length).sqrt()
    })
}

#[test]
fn logistic_regression_is_scikit_learns_to_a_ten_thousandth() {
    for case in cases() {
        for expected in &case.logistic {
            let settings = logistic::Settings {
                strengths: vec![expected.c],
                class_weights: case.weights(expected.balanced),
                tolerance: 1e-7,
                max_steps: logistic::DEFAULT_MAX_STEPS,
            };
            let mut fits = Vec::new();
            fit_path(&case.rows(), &settings, |fit| {
                fits.push(fit);
                Continue::Yes
            })
            .unwrap();
            let fit = &fits[0];
            assert_ne!(fit.ending, Ending::Steps);
            let far = (fit.objective - expected.objective).abs() / expected.objective;
            assert!(far < 1e-4, "C = {}: objective is {far} away", expected.c);
            let [weight, bias] = distances(&fit.head.layers()[0], &expected.expected);
            let gradient = fit.gradient;
            assert!(
                weight < 1e-4 && bias < 1e-4,
                "C = {}: {weight} {bias}, gradient {gradient}",
                expected.c
            );
        }
    }
}

#[test]
fn ridge_is_scikit_learns_to_a_hundred_thousandth() {
    for case in cases() {
        let gram = Gram::accumulate(&case.rows(), Sampling::Every).unwrap();
        let ridge = Ridge::new(gram).unwrap();
        for expected in &case.ridge {
            let head = ridge.head(expected.lambda).unwrap();
            let mut layer = head.layers()[0].clone();
            if case.classes() == 2 {
                // The two scores are each other's negative: half their difference is one of them.
                let values = layer.weight.iter_mut().chain(&mut layer.bias);
                values.for_each(|value| *value /= 2.0);
            }
            let [weight, bias] = distances(&layer, &expected.expected);
            assert!(
                weight < 1e-5 && bias < 1e-5,
                "lambda = {}: {weight} {bias}",
                expected.lambda
            );
        }
        assert!(ridge.head(0.0).is_err());
    }
}
