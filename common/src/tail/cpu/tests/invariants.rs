//! What must not depend on threads, cuts of a batch, processes, or interruptions.

use std::sync::{Arc, Barrier, Mutex};

use super::{CLASSES, Case, Setting, assert_close, gradients, networks};
use crate::{
    engine::cpu::Isa,
    head::{HeadKind, stack::Method},
    tail::{Collective, CollectiveError, GroupStep, NormMode, State, Step, Tensors, Trainer},
};

const METHODS: [Method; 3] = [
    Method::AdamW,
    Method::Adam,
    Method::Sgd {
        momentum: 0.9,
        nesterov: true,
    },
];

fn steps(
    case: &Case,
    trainer: &mut super::CpuTrainer,
    method: Method,
    numbers: std::ops::Range<i32>,
) {
    let group = GroupStep {
        learning_rate: 1e-2,
        weight_decay: 1e-2,
    };
    let groups = vec![group; case.tail.trained().len()];
    for number in numbers {
        trainer.accumulate(&case.batch(0, case.rows)).unwrap();
        trainer
            .step(&Step {
                number,
                method,
                scale: 0.9,
                groups: &groups,
            })
            .unwrap();
        trainer.average(0.9).unwrap();
    }
}

fn large(norm: NormMode) -> Setting {
    Setting {
        input: [23, 19],
        rows: 9,
        norm,
        head: HeadKind::Mlp { hidden: 33 },
        dropout: 0.4,
    }
}

#[test]
fn every_number_of_threads_gives_the_same_bits() {
    for network in [networks::residual(), networks::inverted(), networks::wide()] {
        let case = Case::new(&network, (0, "all"), large(NormMode::Train));
        let trained = |threads| -> State {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let mut trainer = case.trainer(Isa::available()[0]);
                steps(&case, &mut trainer, Method::AdamW, 1..3);
                trainer.state().unwrap()
            })
        };
        let one = trained(1);
        assert_ne!(one.tensors, case.tensors);
        for threads in [2, 3, 8] {
            assert!(trained(threads) == one, "{threads} threads");
        }
    }
}

#[test]
fn a_batch_in_parts_has_the_gradients_of_the_whole() {
    for network in [networks::residual(), networks::inverted(), networks::wide()] {
        let case = Case::new(&network, (0, "all"), large(NormMode::Frozen));
        let whole = gradients(&mut case.accumulated(Isa::available()[0]));
        let mut trainer = case.trainer(Isa::available()[0]);
        for (first, end) in [(0, 4), (4, 4), (4, 5), (5, 9)] {
            trainer.accumulate(&case.batch(first, end)).unwrap();
        }
        let norm = trainer.gradient_norm().unwrap();
        let mut squares = 0.0;
        for ((name, parts), (_, whole)) in gradients(&mut trainer).into_iter().zip(whole) {
            let whole: Vec<f64> = whole.into_iter().map(f64::from).collect();
            assert_close(&parts, &whole, 1e-5, &name);
            squares += whole.iter().map(|value| value * value).sum::<f64>();
        }
        assert!((norm - squares.sqrt()).abs() < 1e-5 * norm);
    }
}

#[test]
fn a_row_is_evaluated_alike_alone_and_among_others() {
    for network in [networks::residual(), networks::inverted(), networks::wide()] {
        let case = Case::new(&network, (0, "all"), large(NormMode::Train));
        let mut trainer = case.trainer(Isa::available()[0]);
        let together = trainer.logits(&case.inputs, case.rows).unwrap();
        let len = case.inputs.len() / case.rows;
        for (input, together) in case.inputs.chunks(len).zip(together.chunks(CLASSES)) {
            assert_eq!(trainer.logits(input, 1).unwrap(), together);
        }
        assert!(trainer.features(&[], 0).unwrap().is_empty());
    }
}

#[test]
fn a_restored_trainer_goes_on_bit_for_bit() {
    let case = Case::new(&networks::residual(), (0, "all"), large(NormMode::Train));
    for method in METHODS {
        let mut unbroken = case.trainer(Isa::available()[0]);
        steps(&case, &mut unbroken, method, 1..3);
        let state = unbroken.state().unwrap();
        steps(&case, &mut unbroken, method, 3..5);
        let mut resumed = case.trainer(Isa::available()[0]);
        resumed.accumulate(&case.batch(0, 2)).unwrap();
        resumed.restore(&state).unwrap();
        assert!(resumed.state().unwrap() == state);
        steps(&case, &mut resumed, method, 3..5);
        assert!(
            resumed.state().unwrap() == unbroken.state().unwrap(),
            "{method:?}"
        );
    }
}

#[test]
fn what_does_not_train_stays_as_it_was() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        let case = Case::new(&networks::residual(), (2, "b1"), large(norm));
        let mut trainer = case.trainer(Isa::available()[0]);
        steps(&case, &mut trainer, Method::AdamW, 1..3);
        let tensors = trainer.tensors().unwrap();
        let names = |tensors: &Tensors| tensors.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&tensors), names(&case.tensors));
        for (before, after) in case.tensors.iter().zip(&tensors) {
            let follows = norm == NormMode::Train && before.name.starts_with("b1_bn.running");
            let moves = case.tail.trained().contains(&before.name) || follows;
            assert_eq!(before.values != after.values, moves, "{}", before.name);
        }
    }
}

#[test]
fn instruction_sets_agree() {
    let case = Case::new(&networks::inverted(), (0, "all"), large(NormMode::Train));
    let sets = Isa::available();
    let first = gradients(&mut case.accumulated(sets[0]));
    for isa in &sets[1..] {
        for ((name, found), (_, expected)) in
            gradients(&mut case.accumulated(*isa)).iter().zip(&first)
        {
            let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
            assert_close(found, &expected, 1e-4, &format!("{isa}: {name}"));
        }
    }
}

#[test]
fn averages_follow_and_are_exchanged() {
    let case = Case::new(
        &networks::residual(),
        (2, "b0,b1,b2"),
        large(NormMode::Train),
    );
    let mut trainer = case.trainer(Isa::available()[0]);
    trainer.swap_averages();
    assert_eq!(trainer.tensors().unwrap(), case.tensors);
    trainer.average(0.5).unwrap();
    let before = trainer.tensors().unwrap();
    steps(&case, &mut trainer, Method::AdamW, 1..2);
    let after = trainer.tensors().unwrap();
    trainer.swap_averages();
    for (average, (before, after)) in trainer
        .tensors()
        .unwrap()
        .iter()
        .zip(before.iter().zip(&after))
    {
        let pairs = before.values.iter().zip(&after.values);
        let expected: Vec<f64> = pairs.map(|(b, a)| f64::from(0.9 * b + 0.1 * a)).collect();
        assert_close(&average.values, &expected, 1e-6, &average.name);
    }
    trainer.swap_averages();
    assert_eq!(trainer.tensors().unwrap(), after);
}

/// Two threads that play processes.
#[derive(Clone)]
struct Pair {
    rank: usize,
    barrier: Arc<Barrier>,
    parts: Arc<Mutex<[Vec<f32>; 2]>>,
}

impl Collective for Pair {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        2
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), CollectiveError> {
        self.parts.lock().unwrap()[self.rank] = values.to_vec();
        self.barrier.wait();
        let parts = self.parts.lock().unwrap().clone();
        self.barrier.wait();
        for (place, value) in values.iter_mut().enumerate() {
            *value = parts[0][place] + parts[1][place];
        }
        Ok(())
    }
}

#[test]
fn two_processes_equal_one() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        for cut in [4, 9] {
            let case = Case::new(&networks::residual(), (0, "all"), large(norm));
            let mut alone = case.accumulated(Isa::available()[0]);
            let expected = gradients(&mut alone);
            let (barrier, parts) = (Arc::new(Barrier::new(2)), Arc::default());
            let found = std::thread::scope(|scope| {
                let ranks = [(0, 0, cut), (1, cut, case.rows)].map(|(rank, first, end)| {
                    let pair = Pair {
                        rank,
                        barrier: Arc::clone(&barrier),
                        parts: Arc::clone(&parts),
                    };
                    let case = &case;
                    scope.spawn(move || {
                        let mut trainer = case.trainer_with(Isa::available()[0], Box::new(pair));
                        trainer.accumulate(&case.batch(first, end)).unwrap();
                        trainer.reduce().unwrap();
                        (gradients(&mut trainer), trainer.tensors().unwrap())
                    })
                });
                ranks.map(|rank| rank.join().unwrap())
            });
            assert!(found[0] == found[1]);
            for ((name, found), (_, expected)) in found[0].0.iter().zip(expected) {
                let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
                assert_close(found, &expected, 1e-4, name);
            }
            for (found, expected) in found[0].1.iter().zip(&alone.tensors().unwrap()) {
                let expected: Vec<f64> = expected.values.iter().copied().map(f64::from).collect();
                assert_close(&found.values, &expected, 1e-5, &found.name);
            }
        }
    }
}
