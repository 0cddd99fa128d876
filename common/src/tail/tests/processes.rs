//! Several processes that share every batch, against one that sees all of it.

use super::{threads::ranks, *};

/// Most that a tensor may differ, relative to its largest value: sums in another order.
const TOLERANCE: f64 = 2e-5;

const STEPS: i32 = 3;

/// Losses of the steps, and all tensors at the end.
type Outcome = (Vec<f64>, Tensors);

/// Trains on the rows from `first` to before `end` of every batch.
fn train(
    problem: &Problem,
    (first, end): (usize, usize),
    collective: Box<dyn Collective>,
) -> Outcome {
    let method = Method::Sgd {
        momentum: 0.9,
        nesterov: false,
    };
    let groups = problem.groups(0.05, 1e-3);
    let mut trainer = problem.reference(collective);
    let mut losses = Vec::new();
    for number in 1..=STEPS {
        let seen = trainer.accumulate(&problem.batch(first, end)).unwrap();
        trainer.reduce().unwrap();
        trainer.step(&step(method, number, &groups)).unwrap();
        losses.push(seen.loss.total);
    }
    (losses, trainer.tensors().unwrap())
}

#[test]
fn two_processes_equal_one_with_the_same_batch() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        let options = TailOptions {
            dropout: 0.25,
            ..options([23, 29], norm, HeadKind::Mlp { hidden: 5 })
        };
        let problem = Problem::new(every_operation(same), None, &["all"], options);
        let (losses, alone) = train(&problem, (0, problem.rows), Box::new(Alone));
        // Shares of different sizes, as the last batch of an epoch may have.
        let shares = [(0, 4), (4, problem.rows)];
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let threads: Vec<_> = ranks(2)
                .into_iter()
                .zip(shares)
                .map(|(rank, share)| {
                    let problem = &problem;
                    scope.spawn(move || train(problem, share, Box::new(rank)))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(outcomes[0].1, outcomes[1].1, "{norm:?}: processes differ");
        for (step, loss) in losses.iter().enumerate() {
            let sum: f64 = outcomes.iter().map(|(losses, _)| losses[step]).sum();
            assert!(
                (sum / loss - 1.0).abs() < TOLERANCE,
                "{norm:?}: {sum} {loss}"
            );
        }
        for (found, expected) in outcomes[0].1.iter().zip(&alone) {
            let difference = difference(&found.values, &expected.values);
            let name = &found.name;
            assert!(difference < TOLERANCE, "{norm:?} {name}: {difference:e}");
        }
    }
}

#[test]
fn a_process_that_ends_fails_the_others() {
    let options = options([23, 29], NormMode::Train, HeadKind::Linear);
    let problem = Problem::new(every_operation(same), None, &["all"], options);
    let mut ranks = ranks(2).into_iter();
    let (first, second) = (ranks.next().unwrap(), ranks.next().unwrap());
    drop(second);
    let mut trainer = problem.reference(Box::new(first));
    let error = trainer.accumulate(&problem.batch(0, 3)).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("resume from the last checkpoint"),
        "{source}"
    );
}
