//! One round: its trials are trained together, on every seed and fold, and the hopeless
//! ones are ended early.

use common::{exit::Exit, head::PathRecord, interrupt::Interrupt};

use super::{
    candidate::Candidate,
    paths::{self, Solved},
    trial::{Figures, Finished, Objective, Status, summarise},
};
use crate::{
    dataset::Dataset,
    failure::Failure,
    fit::{Ending, Outcome, Task, Training},
    plan::Settings,
    split::Partition,
};

/// Shares of the epochs after which the worse trials of a round are ended (successive
/// halving; Jamieson and Talwalkar, 2016).
pub(crate) const RUNGS: [f64; 3] = [1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0];

/// A seed and a partition that every trial is trained on.
pub(crate) struct Replicate {
    pub(crate) seed: u64,
    pub(crate) partition: Partition,
}

/// What the trials of all rounds are trained on, and how they are compared.
pub(crate) struct Ground<'a> {
    /// The same rows in every one of them.
    pub(crate) datasets: Vec<&'a Dataset>,
    pub(crate) classes: usize,
    pub(crate) replicates: &'a [Replicate],
    pub(crate) objective: Objective,
    /// Share of a round's trials that goes on at each rung.
    pub(crate) survivors: f64,
    pub(crate) epochs: u32,
}

/// A round that is over, or was interrupted.
pub(crate) struct Round {
    /// One entry a candidate.
    pub(crate) trials: Vec<Finished>,
    /// Of every candidate, the head of the first replicate; `None` where a signal came first.
    pub(crate) heads: Vec<Option<Made>>,
    pub(crate) interrupted: Option<Exit>,
}

/// A head, and the point of the path that it is from, if it is from one.
pub(crate) struct Made {
    pub(crate) outcome: Outcome,
    pub(crate) path: Option<PathRecord>,
}

/// Hears how a round goes.
pub(crate) trait Listener {
    /// `running` trials are left after `epoch`; the best figures of the round so far and
    /// whose they are.
    fn epoch(&mut self, epoch: u32, running: usize, best: Option<(usize, Figures)>);
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

/// Trains `candidates`, the first of which is trial `first` of the sweep.
pub(crate) fn run(
    ground: &Ground,
    candidates: &[Candidate],
    (round, first): (u32, u32),
    (listener, stop): (&mut dyn Listener, &Interrupt),
) -> Result<Round, Failure> {
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
            let share = ground.survivors.powi(rung as i32 + 1);
            let kept = (steppers as f64 * share).ceil() as usize;
            running.halve(kept, ground.objective);
        }
        listener.epoch(epoch, running.count(), running.best(ground.objective));
    }
    Ok(running.finish(candidates, (round, first), stop.received()))
}

/// Epochs after which trials are ended.
fn rungs(epochs: u32) -> [u32; 3] {
    RUNGS.map(|share| (f64::from(epochs) * share).floor() as u32)
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
                    self.figures[group.candidates[member]][group.replicate] = Some(Figures {
                        train_loss: line.train_loss,
                        train_accuracy: line.train_accuracy.unwrap_or(f64::NAN),
                        val_loss: line.val_loss,
                        val_accuracy: line.val_accuracy.unwrap_or(f64::NAN),
                    });
                }
            }
        }
    }

    /// The mean over all replicates so far.
    fn mean(&self, candidate: usize) -> Figures {
        let heads: Option<Vec<Figures>> = self.figures[candidate].iter().copied().collect();
        heads.map_or(Figures::NONE, |heads| summarise(&heads).0)
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

    fn ranking(&self, objective: Objective) -> Vec<(usize, Figures)> {
        let mut ranking: Vec<_> = (0..self.figures.len())
            .map(|candidate| (candidate, self.mean(candidate)))
            .collect();
        ranking.sort_by(|(a, first), (b, second)| first.compare(second, objective).then(a.cmp(b)));
        ranking
    }

    fn best(&self, objective: Objective) -> Option<(usize, Figures)> {
        let first = self.ranking(objective).into_iter().next();
        first.filter(|(_, figures)| figures.val_loss.is_finite())
    }

    /// Ends all trials with steps but the best `kept`.
    fn halve(&mut self, kept: usize, objective: Objective) {
        let mut ranking = self.ranking(objective);
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

    fn finish(
        mut self,
        candidates: &[Candidate],
        (round, first): (u32, u32),
        interrupted: Option<Exit>,
    ) -> Round {
        for group in self.groups {
            let outcomes = group.training.into_outcomes();
            for (candidate, outcome) in group.candidates.into_iter().zip(outcomes) {
                let path = None;
                self.made[candidate][group.replicate] = Some(Made { outcome, path });
            }
        }
        let mut trials = Vec::new();
        for (number, candidate) in candidates.iter().enumerate() {
            let ends = self.made[number].iter().flatten();
            let ends: Vec<&Outcome> = ends.map(|made| &made.outcome).collect();
            let heads = self.figures[number].iter();
            let heads: Vec<Figures> = heads
                .map(|figures| figures.unwrap_or(Figures::NONE))
                .collect();
            let (figures, intervals) = summarise(&heads);
            let bests = ends.iter().filter_map(|outcome| outcome.best.as_ref());
            let best_epochs: u32 = bests.map(|best| best.epoch).sum();
            trials.push(Finished {
                trial: first + number as u32,
                round,
                point: candidate.point.clone(),
                status: status(&ends, self.halved[number]),
                epochs: ends.iter().map(|outcome| outcome.epochs).max().unwrap_or(0),
                best_epoch: (f64::from(best_epochs) / heads.len() as f64).round() as u32,
                figures,
                intervals,
            });
        }
        let first_replicate = |mut heads: Vec<Option<Made>>| heads.first_mut()?.take();
        Round {
            trials,
            heads: self.made.into_iter().map(first_replicate).collect(),
            interrupted,
        }
    }
}

fn status(ends: &[&Outcome], halved: bool) -> Status {
    let diverged = |outcome: &&Outcome| matches!(outcome.ending, Ending::NonFinite { .. });
    match (ends.iter().any(diverged), halved) {
        (true, _) => Status::Diverged,
        (false, true) => Status::Halved,
        (false, false) => Status::Done,
    }
}
