//! A head's numbers do not depend on its neighbours, on threads, or on what diverges
//! beside it.

use common::{
    engine::cpu::Isa,
    head::{
        Head, HeadKind, Loss, Moments, Normalisation,
        stack::{Common, Member, Method, Seen, Stack},
    },
    random,
};
use rand::Rng;

use crate::{Rows, member};

const WIDTH: usize = 37;
const CLASSES: usize = 5;
const BATCH_ROWS: usize = 80;

fn noise() -> Rows {
    let mut stream = random::stream(3, "rows");
    let labels: Vec<u32> = (0..400)
        .map(|_| stream.random_range(0..CLASSES as u32))
        .collect();
    let value = |index: usize| labels[index / WIDTH] as f32 * 0.1 + stream.random_range(-1.0..1.0);
    Rows {
        values: (0..labels.len() * WIDTH).map(value).collect(),
        labels,
    }
}

/// Heads of every sort: linear and MLP, every optimizer and normalisation, with and
/// without dropout.
fn members() -> Vec<Member> {
    let kinds = [
        HeadKind::Linear,
        HeadKind::Linear,
        HeadKind::Mlp { hidden: 20 },
    ];
    let methods = [
        Method::Adam,
        Method::AdamW,
        Method::Sgd {
            momentum: 0.9,
            nesterov: true,
        },
    ];
    let normalisations = [
        Normalisation::None,
        Normalisation::L2,
        Normalisation::Standardise,
    ];
    let mut members = Vec::new();
    for number in 0..27 {
        let head = Head::random(kinds[number % 3], WIDTH, CLASSES, number as u64);
        members.push(Member {
            normalise: normalisations[number / 3 % 3],
            weight_decay: 0.01 * (number % 4) as f32,
            label_smoothing: 0.05 * (number % 3) as f32,
            dropout: [0.0, 0.0, 0.3][number / 2 % 3],
            ..member(head, methods[number / 9])
        });
    }
    members
}

fn rate(member: &Member, step: usize) -> f32 {
    (0.002 + 0.01 * member.weight_decay) / (1.0 + step as f32)
}

fn common(rows: &Rows, isa: Isa) -> Common {
    let mut moments = Moments::new(WIDTH);
    moments.add(&rows.values);
    Common {
        standardise: moments.finish(),
        loss: Loss::CrossEntropy,
        class_weights: vec![1.0, 2.0, 0.5, 1.0, 1.0],
        seed: 7,
        isa,
    }
}

/// Heads after two epochs, and what they saw; `retired` leave after the first.
fn train(
    rows: &Rows,
    members: &[Member],
    isa: Isa,
    retired: &[usize],
) -> Vec<(Option<Head>, Seen)> {
    let mut stack = Stack::new(common(rows, isa), members.to_vec());
    let mut sums = vec![Seen::default(); members.len()];
    for epoch in 0..2 {
        for first in (0..rows.labels.len()).step_by(BATCH_ROWS) {
            let rates: Vec<f32> = members.iter().map(|member| rate(member, epoch)).collect();
            let range = (first, rows.labels.len().min(first + BATCH_ROWS));
            let stepped = rows.step(&mut stack, range, &rates);
            let judged = rows.with_batch(range, |batch| stack.judge(batch).to_vec());
            for seen in [stepped, judged] {
                for (sum, seen) in sums.iter_mut().zip(seen) {
                    sum.loss.add(seen.loss);
                    sum.correct += seen.correct;
                }
            }
        }
        stack.retain(|member| !retired.contains(&member));
    }
    (0..members.len())
        .map(|member| stack.head(member))
        .zip(sums)
        .collect()
}

#[test]
fn a_head_trained_alone_has_the_same_bits_as_in_company() {
    let rows = noise();
    let members = members();
    for isa in Isa::available() {
        let together = train(&rows, &members, isa, &[]);
        for (number, member) in members.iter().enumerate() {
            let alone = train(&rows, std::slice::from_ref(member), isa, &[]);
            assert!(alone[0] == together[number], "member {number}, {isa}");
        }
    }
}

#[test]
fn heads_that_leave_do_not_change_the_others() {
    let rows = noise();
    let members = members();
    let isa = Isa::available()[0];
    let retired = [0, 3, 4, 8, 9, 20];
    let all = train(&rows, &members, isa, &[]);
    let fewer = train(&rows, &members, isa, &retired);
    for (number, (all, fewer)) in all.into_iter().zip(fewer).enumerate() {
        if retired.contains(&number) {
            assert!(fewer.0.is_none());
        } else {
            assert!(all == fewer, "member {number}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let rows = noise();
    let members = members();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| train(&rows, &members, Isa::available()[0], &[]))
    };
    let alone = with(1);
    assert!(alone == with(2));
    assert!(alone == with(5));
}

#[test]
fn instruction_sets_agree_up_to_rounding() {
    let rows = noise();
    let members = members();
    let portable = train(&rows, &members, Isa::named("portable").unwrap(), &[]);
    for isa in Isa::available() {
        let found = train(&rows, &members, isa, &[]);
        for (found, expected) in found.iter().zip(&portable) {
            let (found, expected) = (found.1.loss.mean(), expected.1.loss.mean());
            assert!((found - expected).abs() < 1e-4, "{found} {expected}, {isa}");
        }
    }
}

#[test]
fn loss_that_is_not_finite_stops_one_head_and_no_other() {
    let mut rows = noise();
    rows.values.truncate(100 * WIDTH);
    rows.labels.truncate(100);
    let isa = Isa::available()[0];
    for kind in [HeadKind::Linear, HeadKind::Mlp { hidden: 7 }] {
        let mut wild = Head::random(kind, WIDTH, CLASSES, 1);
        wild.layers_mut()[0].weight.fill(f32::MAX);
        let tame = member(Head::random(kind, WIDTH, CLASSES, 2), Method::AdamW);
        let members = [member(wild.clone(), Method::AdamW), tame];
        let together = train(&rows, &members, isa, &[]);
        assert!(!together[0].1.loss.total.is_finite());
        assert!(together[0].0.as_ref() == Some(&wild), "{kind}");
        let alone = train(&rows, &members[1..], isa, &[]);
        assert!(alone[0] == together[1], "{kind}");
    }
}
