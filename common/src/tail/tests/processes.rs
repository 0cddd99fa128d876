//! Several processes that share every batch, against one that sees all of it.

use super::{threads::ranks, *};

/// Most that a tensor may differ, relative to its largest value: sums in another order.
const TOLERANCE: f64 = 2e-5;

const STEPS: i32 = 3;

/// Losses of the steps, and all tensors at the end.
type Outcome = (Vec<f64>, Tensors);

/// Trains on the rows from `first` to before `end` of every batch.
fn train(
    mut trainer: Box<dyn Trainer>,
    problem: &Problem,
    (first, end): (usize, usize),
) -> Outcome {
    let method = Method::Sgd {
        momentum: 0.9,
        nesterov: false,
    };
    let groups = problem.groups(0.05, 1e-3);
    let mut losses = Vec::new();
    for number in 1..=STEPS {
        let seen = trainer.accumulate(&problem.batch(first, end)).unwrap();
        trainer.reduce().unwrap();
        trainer.step(&step(method, number, &groups)).unwrap();
        losses.push(seen.loss.total);
    }
    (losses, trainer.tensors().unwrap())
}

fn assert_two_equal_one(executor: Executor, norm: NormMode) {
    let options = TailOptions {
        dropout: 0.25,
        ..options([23, 29], norm, HeadKind::Mlp { hidden: 5 })
    };
    let problem = Problem::new(every_operation(same), None, &["all"], options);
    let whole = (0, problem.rows);
    let alone = problem.trainer(executor, Box::new(Alone));
    let (losses, alone) = train(alone, &problem, whole);
    // Shares of different sizes, as the last batch of an epoch may have.
    let shares = [(0, 4), (4, problem.rows)];
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = ranks(2)
            .into_iter()
            .zip(shares)
            .map(|(rank, share)| {
                let problem = &problem;
                scope
                    .spawn(move || train(problem.trainer(executor, Box::new(rank)), problem, share))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let what = format!("{executor:?} {norm:?}");
    assert_eq!(outcomes[0].1, outcomes[1].1, "{what}: processes differ");
    for (step, loss) in losses.iter().enumerate() {
        let sum: f64 = outcomes.iter().map(|(losses, _)| losses[step]).sum();
        assert!((sum / loss - 1.0).abs() < TOLERANCE, "{what}: {sum} {loss}");
    }
    for (found, expected) in outcomes[0].1.iter().zip(&alone) {
        let difference = difference(&found.values, &expected.values);
        let name = &found.name;
        assert!(difference < TOLERANCE, "{what} {name}: {difference:e}");
    }
}

#[test]
fn two_processes_equal_one_with_the_same_batch() {
    for executor in EXECUTORS {
        for norm in [NormMode::Frozen, NormMode::Train] {
            assert_two_equal_one(executor, norm);
        }
    }
}

#[test]
fn a_process_that_ends_fails_the_others() {
    let options = options([23, 29], NormMode::Train, HeadKind::Linear);
    let problem = Problem::new(every_operation(same), None, &["all"], options);
    for executor in EXECUTORS {
        let mut ranks = ranks(2);
        let first = ranks.remove(0);
        drop(ranks);
        let mut trainer = problem.trainer(executor, Box::new(first));
        let error = trainer.accumulate(&problem.batch(0, 3)).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let message = format!("{error} {source:?}");
        assert!(
            message.contains("resume from the last checkpoint"),
            "{message}"
        );
    }
}
