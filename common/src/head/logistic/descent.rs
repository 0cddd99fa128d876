//! Preconditioned L-BFGS, one C after the other.

use super::{
    Ending, LogisticError, Settings,
    curvature::{ClassCovariance, FeatureCovariance, precondition},
    memory::{Memory, add, dot},
    objective::{Evaluation, Objective, Point, Precision},
};
use crate::head::blocks::RowBlocks;

/// Share of the decrease that the slope promises which a step must bring (Armijo).
const SUFFICIENT_DECREASE: f64 = 1e-4;

/// Relative rounding of the objective in f32 and f64: within it, the slope decides.
const VALUE_NOISE: [f64; 2] = [1e-8, 1e-14];

/// Gradients within this factor of one at which f32 was not enough are left to f64.
const SINGLE_MARGIN: f64 = 3.0;

/// Lengths that are tried along a direction.
const MAX_TRIALS: usize = 12;

/// Where the path is.
pub(super) struct Descent<'a, S> {
    objective: &'a Objective<'a, S>,
    features: FeatureCovariance,
    point: Point,
    evaluation: Evaluation,
    memory: Memory,
    /// The solution before the last, and its ridge's logarithm.
    earlier: Option<(Point, f64)>,
    ridge: f64,
    precision: Precision,
    /// The largest gradient at which f32 found no smaller objective.
    single_limit: f64,
    passes: usize,
}

/// How a minimisation went.
pub(super) struct Summary {
    pub(super) value: f64,
    pub(super) gradient: f64,
    pub(super) steps: usize,
    pub(super) passes: usize,
    pub(super) ending: Ending,
}

impl<'a, S: RowBlocks> Descent<'a, S> {
    /// At the origin.
    pub(super) fn new(
        objective: &'a Objective<'a, S>,
        features: FeatureCovariance,
    ) -> Result<Self, LogisticError> {
        let point = objective.origin();
        Ok(Self {
            objective,
            features,
            evaluation: objective.evaluate(&point, Precision::Single)?,
            point,
            memory: Memory::new(),
            earlier: None,
            ridge: 0.0,
            precision: Precision::Single,
            single_limit: 0.0,
            passes: 1,
        })
    }

    /// The last solution.
    pub(super) fn point(&self) -> &Point {
        &self.point
    }

    /// Minimises loss + `ridge`/2·‖W‖², starting from the last solution.
    pub(super) fn minimise(
        &mut self,
        ridge: f64,
        settings: &Settings,
    ) -> Result<Summary, LogisticError> {
        let start = (self.point.clone(), self.ridge.ln());
        let before = self.passes;
        self.ridge = ridge;
        self.memory.change_ridge(ridge);
        self.precision = Precision::Single;
        if self.largest_gradient() > settings.tolerance {
            self.extrapolate(start.1)?;
        }
        let classes = ClassCovariance::of(&self.evaluation);
        let mut steps = 0;
        let ending = loop {
            if self.largest_gradient() <= settings.tolerance {
                break Ending::Converged;
            }
            if steps == settings.max_steps {
                break Ending::Steps;
            }
            self.choose_precision()?;
            // Where no step helps, f32 may be at fault, or what is remembered.
            if !self.step(&classes)? && !self.doubled()? && !self.memory.clear() {
                break Ending::Precision;
            }
            steps += 1;
        };
        self.earlier = start.1.is_finite().then_some(start);
        Ok(Summary {
            value: self.value(&self.point, &self.evaluation),
            gradient: self.largest_gradient(),
            steps,
            passes: self.passes - before,
            ending,
        })
    }

    /// Spares the trials of f32 where it is known to be too coarse.
    fn choose_precision(&mut self) -> Result<(), LogisticError> {
        if self.largest_gradient() <= SINGLE_MARGIN * self.single_limit {
            self.double()?;
        }
        Ok(())
    }

    /// Goes over to f64 after f32 failed; `false` where it was f64 already.
    fn doubled(&mut self) -> Result<bool, LogisticError> {
        if self.precision == Precision::Double {
            return Ok(false);
        }
        self.single_limit = self.single_limit.max(self.largest_gradient());
        self.double()?;
        Ok(true)
    }

    fn double(&mut self) -> Result<(), LogisticError> {
        if self.precision == Precision::Single {
            self.precision = Precision::Double;
            self.evaluation = self.objective.evaluate(&self.point, self.precision)?;
            self.passes += 1;
        }
        Ok(())
    }

    /// Goes on as from the solution before the last to the last, `last`: in a straight
    /// line over the logarithm of the ridge.
    fn extrapolate(&mut self, last: f64) -> Result<(), LogisticError> {
        let Some((earlier, earlier_ridge)) = self.earlier.take() else {
            return Ok(());
        };
        let factor = (self.ridge.ln() - last) / (last - earlier_ridge);
        let mut direction = self.objective.origin();
        add(&mut direction, factor, &self.point);
        add(&mut direction, -factor, &earlier);
        let slope = dot(&direction, &self.gradient(&self.point, &self.evaluation));
        if slope < 0.0 && slope.is_finite() {
            self.search(&direction, slope)?;
        }
        Ok(())
    }

    /// One step; `false` when none makes the objective smaller.
    fn step(&mut self, classes: &ClassCovariance) -> Result<bool, LogisticError> {
        let gradient = self.gradient(&self.point, &self.evaluation);
        let mut direction = gradient.clone();
        self.memory.direction(&mut direction, |vector| {
            precondition(vector, &self.features, classes, self.ridge);
        });
        direction
            .values
            .iter_mut()
            .for_each(|value| *value = -*value);
        let slope = dot(&direction, &gradient);
        if slope.is_nan() || slope >= 0.0 {
            return Ok(false);
        }
        self.search(&direction, slope)
    }

    /// Moves along `direction`, down which the objective has `slope`.
    fn search(&mut self, direction: &Point, slope: f64) -> Result<bool, LogisticError> {
        let value = self.value(&self.point, &self.evaluation);
        let noise = VALUE_NOISE[usize::from(self.precision == Precision::Double)] * value.abs();
        let mut length = 1.0;
        for _ in 0..MAX_TRIALS {
            let mut point = self.point.clone();
            add(&mut point, length, direction);
            let evaluation = self.objective.evaluate(&point, self.precision)?;
            self.passes += 1;
            let change = self.value(&point, &evaluation) - value;
            let new_slope = dot(direction, &self.gradient(&point, &evaluation));
            let lower = change <= SUFFICIENT_DECREASE * length * slope;
            if lower || (change <= noise && new_slope.abs() <= slope.abs()) {
                self.accept(point, evaluation);
                return Ok(true);
            }
            // Where the slope, taken as a straight line, is zero.
            let zero = length * slope / (slope - new_slope);
            length = if zero.is_finite() {
                zero.clamp(0.1 * length, 0.5 * length)
            } else {
                0.1 * length
            };
        }
        Ok(false)
    }

    fn accept(&mut self, point: Point, evaluation: Evaluation) {
        let mut step = point.clone();
        add(&mut step, -1.0, &self.point);
        let mut change = self.gradient(&point, &evaluation);
        add(
            &mut change,
            -1.0,
            &self.gradient(&self.point, &self.evaluation),
        );
        self.memory.push(step, change);
        (self.point, self.evaluation) = (point, evaluation);
    }

    fn value(&self, point: &Point, evaluation: &Evaluation) -> f64 {
        let squares: f64 = point.split().0.iter().map(|w| w * w).sum();
        evaluation.loss + self.ridge / 2.0 * squares
    }

    fn gradient(&self, point: &Point, evaluation: &Evaluation) -> Point {
        let mut gradient = evaluation.gradient.clone();
        let (weight, _) = gradient.split_mut();
        for (gradient, weight) in weight.iter_mut().zip(point.split().0) {
            *gradient += self.ridge * weight;
        }
        gradient
    }

    fn largest_gradient(&self) -> f64 {
        let gradient = self.gradient(&self.point, &self.evaluation);
        let absolute = gradient.values.iter().map(|value| value.abs());
        // A NaN must not be lost in a comparison.
        absolute.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
    }
}
