//! The mean loss and its gradient: one pass over the rows.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    cache::CacheError,
    head::{
        blocks::{Block, RowBlocks},
        matrix::{Element, Matrix, Output, multiply_alone},
    },
};

/// Shares of the rows that are summed apart; their number bounds the threads and must
/// not depend on them.
const SHARES: usize = 32;

/// Room that the shares' gradients may take; with many classes there are fewer shares.
const SHARE_BYTES: usize = 256 << 20;

/// Most classes whose covariance is kept in full.
pub(super) const COUPLED_CLASSES: usize = 128;

/// Parameters, or a gradient by them: the weight `[C, D]` and after it the bias `[C]`.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) values: Vec<f64>,
    pub(super) classes: usize,
}

impl Point {
    fn zeros(classes: usize, features: usize) -> Self {
        Self {
            values: vec![0.0; classes * (features + 1)],
            classes,
        }
    }

    /// Weight and bias.
    pub(super) fn split(&self) -> (&[f64], &[f64]) {
        self.values.split_at(self.values.len() - self.classes)
    }

    /// Weight and bias.
    pub(super) fn split_mut(&mut self) -> (&mut [f64], &mut [f64]) {
        let weights = self.values.len() - self.classes;
        self.values.split_at_mut(weights)
    }
}

/// What products within a block are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// f32.
    Single,
    /// f64.
    Double,
}

/// The mean loss without penalty, at one point.
#[derive(Clone, Debug)]
pub(super) struct Evaluation {
    pub(super) loss: f64,
    pub(super) gradient: Point,
    /// The mean of p·pᵀ, `[C, C]`; empty beyond [`COUPLED_CLASSES`].
    pub(super) products: Vec<f64>,
    /// The mean of p, `[C]`.
    pub(super) probability: Vec<f64>,
}

/// The rows and how they are weighted.
pub(super) struct Objective<'a, S> {
    source: &'a S,
    class_weights: &'a [f64],
    weight: f64,
}

impl<'a, S: RowBlocks> Objective<'a, S> {
    /// Sums the rows' weights.
    pub(super) fn new(source: &'a S, class_weights: &'a [f64]) -> Result<Self, CacheError> {
        let mut scratch = Block::default();
        let mut weight = 0.0;
        for index in 0..source.blocks() {
            let labels = source.read(index, &mut scratch)?.labels;
            weight += labels
                .iter()
                .map(|&y| class_weights[y as usize])
                .sum::<f64>();
        }
        Ok(Self {
            source,
            class_weights,
            weight,
        })
    }

    /// Σ of the rows' weights.
    pub(super) fn weight(&self) -> f64 {
        self.weight
    }

    /// r in the mean objective, loss + r/2·‖W‖², that C stands for.
    pub(super) fn ridge(&self, strength: f64) -> f64 {
        let pair = if self.source.classes() == 2 { 2.0 } else { 1.0 };
        pair / (strength * self.weight)
    }

    /// All parameters zero.
    pub(super) fn origin(&self) -> Point {
        Point::zeros(self.source.classes(), self.source.features())
    }

    /// One pass over the rows, whose products are computed in `precision`.
    pub(super) fn evaluate(
        &self,
        point: &Point,
        precision: Precision,
    ) -> Result<Evaluation, CacheError> {
        match precision {
            Precision::Single => self.evaluate_in::<f32>(point),
            Precision::Double => self.evaluate_in::<f64>(point),
        }
    }

    fn evaluate_in<T: Element>(&self, point: &Point) -> Result<Evaluation, CacheError> {
        let narrow = |values: &[f64]| values.iter().map(|&v| T::nearest(v)).collect::<Vec<T>>();
        let (weight, bias) = point.split();
        let head = (narrow(weight), narrow(bias));
        let shares = (SHARE_BYTES / (point.values.len() * 8)).clamp(1, SHARES);
        let blocks = self.source.blocks();
        let sums: Result<Vec<Sums>, CacheError> = (0..shares)
            .into_par_iter()
            .map(|share| {
                let range = blocks * share / shares..blocks * (share + 1) / shares;
                self.sum_blocks(&head, range)
            })
            .collect();
        let mut total = Sums::new(self.source);
        for sums in sums? {
            total.add(&sums);
        }
        Ok(total.finish(self.weight))
    }

    fn sum_blocks<T: Element>(
        &self,
        (weight, bias): &(Vec<T>, Vec<T>),
        blocks: Range<usize>,
    ) -> Result<Sums, CacheError> {
        let (classes, features) = (self.source.classes(), self.source.features());
        let weight = Matrix::new(weight, classes, features);
        let mut sums = Sums::new(self.source);
        let (mut scratch, mut room) = (Block::default(), Vec::new());
        let mut logits = Vec::new();
        let mut gradient = vec![T::nearest(0.0); classes * features];
        for index in blocks {
            let rows = self.source.read(index, &mut scratch)?;
            let labels = rows.labels;
            logits.clear();
            labels.iter().for_each(|_| logits.extend_from_slice(bias));
            let x = T::borrow(rows.features, &mut room);
            let x = Matrix::new(x, labels.len(), features);
            multiply_alone(x, weight.transposed(), &mut logits, Output::Add);
            sums.differentiate(&mut logits, labels, self.class_weights);
            let errors = Matrix::new(&logits, labels.len(), classes);
            multiply_alone(errors.transposed(), x, &mut gradient, Output::Replace);
            let (sum, _) = sums.gradient.split_mut();
            for (sum, value) in sum.iter_mut().zip(&gradient) {
                *sum += value.wide();
            }
        }
        Ok(sums)
    }
}

struct Sums {
    loss: f64,
    gradient: Point,
    products: Vec<f64>,
    probability: Vec<f64>,
}

impl Sums {
    fn new(source: &impl RowBlocks) -> Self {
        let classes = source.classes();
        let coupled = if classes <= COUPLED_CLASSES {
            classes
        } else {
            0
        };
        Self {
            loss: 0.0,
            gradient: Point::zeros(classes, source.features()),
            products: vec![0.0; coupled * coupled],
            probability: vec![0.0; classes],
        }
    }

    /// Replaces `logits` `[B, C]` by the loss's gradient by them; adds up what needs no features.
    fn differentiate<T: Element>(
        &mut self,
        logits: &mut [T],
        labels: &[u32],
        class_weights: &[f64],
    ) {
        let classes = class_weights.len();
        let (_, bias) = self.gradient.split_mut();
        for (row, &label) in logits.chunks_exact_mut(classes).zip(labels) {
            let label = label as usize;
            let weight = class_weights[label];
            let larger = |a: T, b: T| if b > a { b } else { a };
            let maximum = row.iter().copied().fold(row[0], larger);
            let own = row[label] - maximum;
            row.iter_mut().for_each(|z| *z = (*z - maximum).exp());
            let partition: T = row.iter().copied().sum();
            self.loss += weight * (partition.wide().ln() - own.wide());
            let scale = T::nearest(weight) / partition;
            for (class, value) in row.iter_mut().enumerate() {
                *value = *value * scale;
                self.probability[class] += value.wide();
                bias[class] += value.wide();
            }
            bias[label] -= weight;
        }
        if !self.products.is_empty() {
            self.add_products(logits, labels, class_weights);
        }
        for (row, &label) in logits.chunks_exact_mut(classes).zip(labels) {
            let weight = T::nearest(class_weights[label as usize]);
            row[label as usize] = row[label as usize] - weight;
        }
    }

    /// Adds Σ s·p·pᵀ; `weighted` is s·p. It steers the preconditioner only.
    fn add_products<T: Element>(&mut self, weighted: &[T], labels: &[u32], class_weights: &[f64]) {
        let classes = class_weights.len();
        for (row, &label) in weighted.chunks_exact(classes).zip(labels) {
            let weight = class_weights[label as usize];
            if weight == 0.0 {
                continue;
            }
            for (products, left) in self.products.chunks_exact_mut(classes).zip(row) {
                let left = left.wide() / weight;
                for (product, right) in products.iter_mut().zip(row) {
                    *product += left * right.wide();
                }
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        for (sum, value) in [
            (&mut self.gradient.values, &other.gradient.values),
            (&mut self.products, &other.products),
            (&mut self.probability, &other.probability),
        ] {
            sum.iter_mut()
                .zip(value)
                .for_each(|(sum, value)| *sum += value);
        }
    }

    fn finish(mut self, weight: f64) -> Evaluation {
        let sums = [
            &mut self.gradient.values,
            &mut self.products,
            &mut self.probability,
        ];
        for value in sums.into_iter().flatten() {
            *value /= weight;
        }
        Evaluation {
            loss: self.loss / weight,
            gradient: self.gradient,
            products: self.products,
            probability: self.probability,
        }
    }
}
