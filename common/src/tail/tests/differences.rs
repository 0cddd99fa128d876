//! Gradients against slopes of the loss.

use super::*;

/// Distance of the two points that a slope is taken between from the tensor as it is.
const STEP: f64 = 4e-3;

/// Most that a slope and a gradient may differ, relative to the gradient's norm: bends lie between the points.
const TOLERANCE: f64 = 5e-2;

/// Most that they may differ besides: the rounding of two losses.
const ROUNDING: f64 = 5e-5;

/// The loss, and the gradients of the trained tensors.
fn loss_and_gradients(executor: Executor, problem: &Problem) -> (f64, Tensors) {
    let mut trainer = problem.trainer(executor, Box::new(Alone));
    let seen = trainer.accumulate(&problem.batch(0, problem.rows)).unwrap();
    (seen.loss.mean(), gradients(&mut *trainer, problem))
}

/// Slope of the loss when the tensor `name` moves along `direction`, a vector of length 1.
fn slope(executor: Executor, problem: &Problem, name: &str, direction: &[f64]) -> f64 {
    let loss_at = |shift: f64| {
        let mut moved = problem.clone();
        let values = &mut moved.tensors.get_mut(name).unwrap().values;
        for (value, direction) in values.iter_mut().zip(direction) {
            *value = (f64::from(*value) + shift * direction) as f32;
        }
        loss_and_gradients(executor, &moved).0
    };
    (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP)
}

/// Compares along the gradient, and along another direction.
fn assert_slopes(executor: Executor, problem: &Problem, what: &str) {
    let (_, gradients) = loss_and_gradients(executor, problem);
    for name in problem.tail.trained() {
        let gradient = &gradients.get(&name).unwrap().values;
        let length = length(gradient);
        assert!(length > 1e-4, "{what} {name}: gradient of {length}");
        let steepest: Vec<f64> = gradient.iter().map(|g| f64::from(*g) / length).collect();
        let scale = 1.0 / (gradient.len() as f64).sqrt();
        let signs = uniform("direction").map(|u| scale.copysign(u));
        for direction in [steepest, signs.take(gradient.len()).collect()] {
            let pairs = gradient.iter().zip(&direction);
            let expected: f64 = pairs.map(|(g, d)| f64::from(*g) * d).sum();
            let found = slope(executor, problem, &name, &direction);
            assert!(
                (found - expected).abs() < TOLERANCE * length + ROUNDING,
                "{what} {name}: slope {found}, gradient {expected} of {length}"
            );
        }
    }
}

#[test]
fn gradients_of_every_operation_are_slopes_of_the_loss() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        for padding in [symmetric, same] {
            for input in [[23, 29], [32, 21]] {
                let options = options(input, norm, HeadKind::Linear);
                let problem = Problem::new(every_operation(padding), None, &["all"], options);
                for executor in EXECUTORS {
                    let what = format!("{executor:?} {norm:?} {input:?} {:?}", padding(3));
                    assert_slopes(executor, &problem, &what);
                }
            }
        }
    }
}

#[test]
fn gradients_go_through_an_mlp_with_dropout() {
    let options = TailOptions {
        dropout: 0.3,
        ..options([23, 29], NormMode::Train, HeadKind::Mlp { hidden: 7 })
    };
    let problem = Problem::new(every_operation(same), Some("pool"), &["block"], options);
    for executor in EXECUTORS {
        assert_slopes(executor, &problem, &format!("{executor:?} mlp"));
    }
}
