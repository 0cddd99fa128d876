//! What L-BFGS remembers: steps and how the gradient changed over them (Nocedal and
//! Wright, *Numerical Optimization*, algorithm 7.4).

use std::collections::VecDeque;

use super::objective::Point;

/// Steps remembered.
const STEPS: usize = 30;

/// Room that they may take; with many classes and features fewer are remembered.
const BYTES: usize = 512 << 20;

/// Least curvature along a step, as a share of |step|·|change|: below it is noise.
const LEAST_CURVATURE: f64 = 1e-10;

struct Pair {
    step: Point,
    /// Change of the whole gradient, penalty included.
    change: Point,
    /// step·change.
    product: f64,
}

/// The last steps.
pub(super) struct Memory {
    pairs: VecDeque<Pair>,
    ridge: f64,
}

impl Memory {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            pairs: VecDeque::new(),
            ridge: 0.0,
        }
    }

    /// Another penalty: the loss's curvature stays, the penalty's is known.
    pub(super) fn change_ridge(&mut self, ridge: f64) {
        let difference = ridge - self.ridge;
        self.ridge = ridge;
        for pair in &mut self.pairs {
            let (change, _) = pair.change.split_mut();
            for (change, step) in change.iter_mut().zip(pair.step.split().0) {
                *change += difference * step;
            }
            pair.product = dot(&pair.step, &pair.change);
        }
        self.pairs.retain(is_convex);
    }

    /// Remembers a step and the change of the gradient over it.
    pub(super) fn push(&mut self, step: Point, change: Point) {
        let room = BYTES / (2 * 8 * step.values.len().max(1));
        let product = dot(&step, &change);
        let pair = Pair {
            step,
            change,
            product,
        };
        if is_convex(&pair) {
            self.pairs.push_back(pair);
        }
        while self.pairs.len() > room.clamp(1, STEPS) {
            self.pairs.pop_front();
        }
    }

    /// Forgets everything; says whether there was anything.
    pub(super) fn clear(&mut self) -> bool {
        let had = !self.pairs.is_empty();
        self.pairs.clear();
        had
    }

    /// The approximate inverse Hessian times `gradient`, in place; `initial` applies
    /// that of before the first step.
    pub(super) fn direction(&self, gradient: &mut Point, initial: impl Fn(&mut Point)) {
        let mut shares = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let share = dot(&pair.step, gradient) / pair.product;
            add(gradient, -share, &pair.change);
            shares.push(share);
        }
        initial(gradient);
        for (pair, share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let back = dot(&pair.change, gradient) / pair.product;
            add(gradient, share - back, &pair.step);
        }
    }
}

fn is_convex(pair: &Pair) -> bool {
    let lengths = dot(&pair.step, &pair.step) * dot(&pair.change, &pair.change);
    pair.product > LEAST_CURVATURE * lengths.sqrt() && pair.product.is_finite()
}

/// a·b.
pub(super) fn dot(a: &Point, b: &Point) -> f64 {
    a.values.iter().zip(&b.values).map(|(a, b)| a * b).sum()
}

/// `target` += `factor`·`other`.
pub(super) fn add(target: &mut Point, factor: f64, other: &Point) {
    for (target, value) in target.values.iter_mut().zip(&other.values) {
        *target += factor * value;
    }
}
