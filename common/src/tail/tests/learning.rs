//! What steps change and what they leave, averages, and state.

use super::*;

fn problem(norm: NormMode) -> Problem {
    let options = options([64, 48], norm, HeadKind::Linear);
    let network = registry::find("mobilenet-v2").unwrap().network();
    Problem::new(
        network,
        Some("stage6"),
        &["features.17", "features.18.0"],
        options,
    )
}

fn train(trainer: &mut dyn Trainer, problem: &Problem, numbers: std::ops::RangeInclusive<i32>) {
    for number in numbers {
        trainer.accumulate(&problem.batch(0, problem.rows)).unwrap();
        let groups = problem.groups(1e-3, 1e-2);
        trainer.step(&step(Method::AdamW, number, &groups)).unwrap();
        trainer.average(0.9).unwrap();
    }
}

#[test]
fn what_does_not_train_stays_as_it_was() {
    EXECUTORS.into_iter().for_each(|executor| {
        for norm in [NormMode::Frozen, NormMode::Train] {
            let problem = problem(norm);
            let mut trainer = problem.trainer(executor, Box::new(Alone));
            train(&mut *trainer, &problem, 1..=2);
            let trained = problem.tail.trained();
            let by_batch = |name: &str| {
                let convs = problem.tail.convs();
                let mut norms = convs.filter(|conv| problem.tail.normalises_by_batch(conv));
                norms.any(|conv| name.starts_with(&format!("{}.running", conv.norm.name)))
            };
            for (before, after) in problem.tensors.iter().zip(&trainer.tensors().unwrap()) {
                let moves = trained.contains(&before.name) || by_batch(&before.name);
                assert_eq!(before == after, !moves, "{norm:?} {}", before.name);
            }
        }
    });
}

#[test]
fn a_restored_trainer_goes_on_as_if_nothing_had_happened() {
    EXECUTORS.into_iter().for_each(|executor| {
        let problem = problem(NormMode::Train);
        let mut unbroken = problem.trainer(executor, Box::new(Alone));
        train(&mut *unbroken, &problem, 1..=2);
        let state = unbroken.state().unwrap();
        train(&mut *unbroken, &problem, 3..=4);
        let mut resumed = problem.trainer(executor, Box::new(Alone));
        // Gradients that are held are no part of a state.
        resumed.accumulate(&problem.batch(0, 2)).unwrap();
        resumed.restore(&state).unwrap();
        assert_eq!(resumed.state().unwrap(), state);
        train(&mut *resumed, &problem, 3..=4);
        assert_eq!(resumed.state().unwrap(), unbroken.state().unwrap());
    });
}

#[test]
fn averages_follow_and_change_places_with_the_values() {
    EXECUTORS.into_iter().for_each(|executor| {
        let problem = problem(NormMode::Train);
        let mut trainer = problem.trainer(executor, Box::new(Alone));
        trainer.swap_averages();
        assert_eq!(trainer.tensors().unwrap(), problem.tensors);
        train(&mut *trainer, &problem, 1..=1);
        let first = trainer.tensors().unwrap();
        train(&mut *trainer, &problem, 2..=2);
        let second = trainer.tensors().unwrap();
        trainer.swap_averages();
        let averages = trainer.tensors().unwrap();
        for ((first, second), average) in first.iter().zip(&second).zip(&averages) {
            let pairs = first.values.iter().zip(&second.values);
            let expected: Vec<f32> = pairs.map(|(a, b)| 0.9 * a + 0.1 * b).collect();
            let difference = difference(&average.values, &expected);
            assert!(difference < 1e-6, "{}: {difference:e}", average.name);
        }
        trainer.swap_averages();
        assert_eq!(trainer.tensors().unwrap(), second);
    });
}

#[test]
fn gradients_of_parts_add_up_and_have_a_norm() {
    EXECUTORS.into_iter().for_each(|executor| {
        let problem = problem(NormMode::Frozen);
        let mut whole = problem.trainer(executor, Box::new(Alone));
        let mut parts = problem.trainer(executor, Box::new(Alone));
        let seen = whole.accumulate(&problem.batch(0, problem.rows)).unwrap();
        let mut sum = parts.accumulate(&problem.batch(0, 2)).unwrap();
        let second = parts.accumulate(&problem.batch(2, problem.rows)).unwrap();
        sum.loss.add(second.loss);
        assert!((sum.loss.mean() - seen.loss.mean()).abs() < 1e-6);
        assert_eq!(sum.correct + second.correct, seen.correct);
        let (norm, expected) = (
            parts.gradient_norm().unwrap(),
            whole.gradient_norm().unwrap(),
        );
        assert!((norm / expected - 1.0).abs() < 1e-5, "{norm} {expected}");
        let mut squares = 0.0;
        for gradient in &gradients(&mut *whole, &problem) {
            let values = gradient.values.iter();
            squares += values.map(|value| f64::from(*value).powi(2)).sum::<f64>();
        }
        assert!((squares.sqrt() / expected - 1.0).abs() < 1e-6);
        assert_eq!(whole.gradient_norm().unwrap(), 0.0);
    });
}

#[test]
fn a_rate_of_zero_keeps_the_value_and_moves_the_moments() {
    EXECUTORS.into_iter().for_each(|executor| {
        let problem = problem(NormMode::Frozen);
        let mut trainer = problem.trainer(executor, Box::new(Alone));
        trainer.accumulate(&problem.batch(0, problem.rows)).unwrap();
        let groups = problem.groups(0.0, 0.1);
        trainer.step(&step(Method::Adam, 1, &groups)).unwrap();
        let state = trainer.state().unwrap();
        assert_eq!(state.tensors, problem.tensors);
        assert!(
            state.moments[0]
                .iter()
                .any(|m| m.values.iter().any(|v| *v != 0.0))
        );
    });
}

#[test]
fn features_of_a_row_do_not_depend_on_the_others() {
    EXECUTORS.into_iter().for_each(|executor| {
        let problem = problem(NormMode::Train);
        let mut trainer = problem.trainer(executor, Box::new(Alone));
        let together = trainer.features(&problem.inputs, problem.rows).unwrap();
        let (width, features) = (problem.tail.input_shape().len(), problem.tail.features());
        for row in 0..problem.rows {
            let input = &problem.inputs[row * width..][..width];
            let alone = trainer.features(input, 1).unwrap();
            assert_eq!(alone, together[row * features..][..features]);
        }
    });
}

#[test]
fn tensors_of_other_shapes_are_refused() {
    EXECUTORS.into_iter().for_each(|executor| {
        let problem = problem(NormMode::Frozen);
        let mut wrong = problem.clone();
        wrong.tensors.get_mut("classifier.1.bias").unwrap().shape = vec![4];
        let made = wrong.try_trainer(executor, Box::new(Alone));
        let error = made.err().unwrap().to_string();
        for word in ["`classifier.1.bias`", "[4]", "[3]"] {
            assert!(error.contains(word), "{error}");
        }
    });
}
