//! Heads of which each has not seen a fold, and what they say of it.

use common::{
    exit::Exit,
    head::{
        Fitted, Head, HeadKind,
        logistic::{Continue, DEFAULT_TOLERANCE},
        statistics::negative_log,
    },
    interrupt::Interrupt,
};

use super::Audited;
use crate::{
    convex::{FEW_STRENGTHS, fit_logistic},
    failure::{Failure, OrExit},
    fit::{Task, normalisation},
    plan::AuditPlan,
    split::Partition,
};

/// A row and what a head that has not seen it says.
pub(super) struct OutOfFold<'a> {
    pub(super) row: u32,
    pub(super) fold: u32,
    pub(super) label: u32,
    /// `[C]`
    pub(super) probabilities: &'a [f64],
}

/// A head for every fold.
pub(super) struct Judges<'a> {
    audited: &'a Audited,
    plan: &'a AuditPlan,
    classes: usize,
    partitions: &'a [Partition],
    heads: Vec<(Head, Fitted)>,
    /// C of the heads.
    pub(super) strength: f64,
}

impl<'a> Judges<'a> {
    /// The C that the first fold's rows are likeliest under is every fold's.
    pub(super) fn fit(
        audited: &'a Audited,
        (plan, classes): (&'a AuditPlan, usize),
        partitions: &'a [Partition],
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut judges = Self {
            audited,
            plan,
            classes,
            partitions,
            heads: Vec::new(),
            strength: 0.0,
        };
        let mut strengths = FEW_STRENGTHS.to_vec();
        for partition in partitions {
            let task = judges.task(partition);
            let fitted = normalisation(&task);
            let mut best: Option<(f64, f64, Head)> = None;
            let found = fit_logistic((&task, &fitted), &strengths, DEFAULT_TOLERANCE, |fit| {
                let loss = task
                    .judge(&fit.head, &fitted, &partition.validation)
                    .tally()
                    .loss();
                if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                    best = Some((loss, fit.strength, fit.head));
                }
                stop.received().map_or(Continue::Yes, |_| Continue::No)
            });
            found.or_exit(Exit::Failure)?;
            stop.check().map_err(Failure::of)?;
            let Some((_, strength, head)) = best else {
                let message = "logistic regression found nothing to judge labels with (look at the features with `train-head probe`)";
                return Err(Failure::new(Exit::Failure, message));
            };
            strengths = vec![strength];
            judges.strength = strength;
            judges.heads.push((head, fitted));
        }
        Ok(judges)
    }

    fn task(&self, partition: &'a Partition) -> Task<'a> {
        Task {
            dataset: &self.audited.dataset,
            partition,
            classes: self.classes,
            head: HeadKind::Linear,
            settings: &self.plan.settings,
        }
    }

    /// Shows `each` all rows, fold by fold.
    pub(super) fn visit(
        &self,
        stop: &Interrupt,
        mut each: impl FnMut(OutOfFold) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut probabilities = vec![0.0; self.classes];
        for (fold, (partition, (head, fitted))) in
            (0..).zip(self.partitions.iter().zip(&self.heads))
        {
            stop.check().map_err(Failure::of)?;
            let task = self.task(partition);
            let mut rows = partition.validation.iter();
            let mut result = Ok(());
            task.judge(head, fitted, &partition.validation)
                .visit(|logits, labels| {
                    for (logits, &label) in logits.chunks_exact(self.classes).zip(labels) {
                        negative_log(logits, label as usize, 1.0, &mut probabilities);
                        let row = rows.next();
                        if let Some(&row) = row.filter(|_| result.is_ok()) {
                            let probabilities = &probabilities;
                            result = each(OutOfFold {
                                row,
                                fold,
                                label,
                                probabilities,
                            });
                        }
                    }
                });
            result?;
        }
        Ok(())
    }
}
