//! One round: its trials are trained together, on every seed and fold, and the hopeless
//! ones are ended early.

use common::{exit::Exit, head::PathRecord, interrupt::Interrupt};

use super::{
    super::{
        rungs::{kept, rungs},
        subject::{Company, Replicate, Round, Watch},
        trial::{Ended, Figures, Finished, Objective, Status, ahead, ranking},
    },
    candidate::Candidate,
    paths::{self, Solved},
};
use crate::{
    dataset::Dataset,
    failure::Failure,
    fit::{Ending, Outcome, Task, Training},
    plan::Settings,
};

/// What the trials of all rounds are trained on, and how they are compared.
pub(super) struct Ground<'a> {
    /// The same rows in every one of them.
    pub(crate) datasets: Vec<&'a Dataset>,
    pub(crate) classes: usize,
    pub(crate) replicates: &'a [Replicate],
    pub(crate) objective: Objective,
    /// Share of a round's trials that goes on at each rung.
    pub(crate) survivors: f64,
    pub(crate) epochs: u32,
}

/// A head, and the point of the path that it is from, if it is from one.
pub(crate) struct Made {
    pub(crate) outcome: Outcome,
    pub(crate) path: Option<PathRecord>,
}

/// Trials that are trained in one stack.
struct Group<'a> {
    replicate: usize,
    /// Which candidates they are.
    candidates: Vec<usize>,
    training: Training<'a>,
}

impl Group<'_> {
    /// Which of its trials `candidate` is.
    fn member(&self, candidate: usize) -> Option<usize> {
        self.candidates.iter().position(|&own| own == candidate)
    }
}

struct Running<'a> {
    groups: Vec<Group<'a>>,
    /// `[candidate][replicate]`, in the best epoch so far.
    figures: Vec<Vec<Option<Figures>>>,
    /// `[candidate][replicate]`, those that are over.
    made: Vec<Vec<Option<Made>>>,
    halved: Vec<bool>,
}

/// Trains `candidates`, those of the points of `company`.
pub(super) fn run(
    ground: &Ground,
    candidates: &[Candidate],
    company: &Company,
    (listener, stop): Watch,
) -> Result<Round<Made>, Failure> {
    let settings: Vec<Vec<Settings>> = candidates
        .iter()
        .map(|candidate| {
            ground
                .replicates
                .iter()
                .map(|replicate| seeded(&candidate.settings, replicate.seed))
                .collect()
        })
        .collect();
    let mut running = Running {
        groups: groups(ground, candidates, &settings)?,
        figures: vec![vec![None; ground.replicates.len()]; candidates.len()],
        made: candidates
            .iter()
            .map(|_| ground.replicates.iter().map(|_| None).collect())
            .collect(),
        halved: vec![false; candidates.len()],
    };
    for solved in paths::solve(ground, candidates, &settings, stop)? {
        running.keep(solved);
    }
    let steppers = candidates.iter().filter(|one| one.convex.is_none()).count();
    for epoch in 1..=ground.epochs {
        running.run_epoch(stop);
        if stop.received().is_some() || running.groups.iter().all(|group| group.training.is_over())
        {
            break;
        }
        if let Some(rung) = rungs(ground.epochs).iter().position(|rung| *rung == epoch) {
            let kept = kept(steppers, ground.survivors, rung);
            running.halve(kept, ground.objective);
        }
        listener.advance(f64::from(epoch));
        let best = ahead(&running.figures, ground.objective);
        listener.epoch(epoch, running.count(), best);
    }
    Ok(running.finish(company, stop.received()))
}

fn seeded(settings: &Settings, seed: u64) -> Settings {
    Settings {
        seed,
        ..settings.clone()
    }
}

/// Candidates with steps, the same features and the same batch size share a stack.
fn groups<'a>(
    ground: &Ground<'a>,
    candidates: &[Candidate],
    settings: &'a [Vec<Settings>],
) -> Result<Vec<Group<'a>>, Failure> {
    let key = |candidate: &Candidate| (candidate.source, candidate.settings.batch_size);
    let steppers = candidates.iter().filter(|one| one.convex.is_none());
    let mut keys: Vec<_> = steppers.map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut groups = Vec::new();
    for (replicate, rows) in ground.replicates.iter().enumerate() {
        for wanted in &keys {
            let members: Vec<usize> = (0..candidates.len())
                .filter(|&candidate| candidates[candidate].convex.is_none())
                .filter(|&candidate| key(&candidates[candidate]) == *wanted)
                .collect();
            let task = |&candidate: &usize| Task {
                dataset: ground.datasets[wanted.0],
                partition: &rows.partition,
                classes: ground.classes,
                head: candidates[candidate].head,
                settings: &settings[candidate][replicate],
            };
            groups.push(Group {
                replicate,
                training: Training::new(members.iter().map(task).collect())?,
                candidates: members,
            });
        }
    }
    Ok(groups)
}

impl Running<'_> {
    /// Notes a trial that needs no epochs.
    fn keep(&mut self, solved: Solved) {
        self.figures[solved.candidate][solved.replicate] = solved.figures;
        self.made[solved.candidate][solved.replicate] = Some(solved.made);
    }

    fn run_epoch(&mut self, stop: &Interrupt) {
        for group in &mut self.groups {
            if group.training.is_over() {
                continue;
            }
            for (member, line) in group.training.run_epoch(stop) {
                if line.best {
                    let figures = &mut self.figures[group.candidates[member]];
                    figures[group.replicate] = Some(Figures::from(&line));
                }
            }
        }
    }

    fn is_running(&self, candidate: usize) -> bool {
        self.groups.iter().any(|group| {
            let member = group.member(candidate);
            member.is_some_and(|member| group.training.is_running(member))
        })
    }

    fn count(&self) -> usize {
        (0..self.figures.len())
            .filter(|&candidate| self.is_running(candidate))
            .count()
    }

    /// Ends all trials with steps but the best `kept`.
    fn halve(&mut self, kept: usize, objective: Objective) {
        let mut ranking = ranking(&self.figures, objective);
        ranking.retain(|(candidate, _)| self.made[*candidate].iter().all(Option::is_none));
        for (candidate, _) in ranking.into_iter().skip(kept) {
            if !self.is_running(candidate) {
                continue;
            }
            self.halved[candidate] = true;
            for group in &mut self.groups {
                if let Some(member) = group.member(candidate) {
                    group.training.end(member, Ending::Halved);
                }
            }
        }
    }

    fn finish(mut self, company: &Company, interrupted: Option<Exit>) -> Round<Made> {
        for group in self.groups {
            let outcomes = group.training.into_outcomes();
            for (candidate, outcome) in group.candidates.into_iter().zip(outcomes) {
                let path = None;
                self.made[candidate][group.replicate] = Some(Made { outcome, path });
            }
        }
        let mut trials = Vec::new();
        for number in 0..company.points.len() {
            let made = self.made[number].iter().zip(&self.figures[number]);
            let ends: Vec<Ended> = made
                .map(|(made, figures)| {
                    let outcome = made.as_ref().map(|made| &made.outcome);
                    let best = outcome.and_then(|outcome| outcome.best.as_ref());
                    Ended {
                        figures: *figures,
                        epochs: outcome.map_or(0, |outcome| outcome.epochs),
                        best_epoch: best.map_or(0, |best| best.epoch),
                    }
                })
                .collect();
            let outcomes = self.made[number].iter().flatten();
            let diverged = outcomes
                .map(|made| made.outcome.ending)
                .any(|ending| matches!(ending, Ending::NonFinite { .. }));
            let status = Status::of(diverged, self.halved[number]);
            trials.push(Finished::new(company, number, status, &ends));
        }
        let first_replicate = |mut heads: Vec<Option<Made>>| heads.first_mut()?.take();
        Round {
            trials,
            made: self.made.into_iter().map(first_replicate).collect(),
            interrupted,
        }
    }
}
