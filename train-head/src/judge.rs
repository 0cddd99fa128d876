//! A head and the rows that judge it.

use common::head::{
    Fitted, Head, MultiLabelRows, Pass, RegressionRows, Tally,
    statistics::{Scaling, Temperature, TemperatureError},
};

use crate::dataset::Dataset;

/// Rows that are looked at together.
pub(crate) const EVALUATION_ROWS: usize = 1024;

/// A head on rows of a dataset, whose features are normalised by `fitted` first.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) head: &'a Head,
    pub(crate) fitted: &'a Fitted,
    pub(crate) rows: &'a [u32],
}

impl Judge<'_> {
    /// Shows `each` the logits `[B, C]` of all rows, in order, and which rows they are.
    fn outputs(&self, mut each: impl FnMut(&[f32], &[u32])) {
        let mut pass = Pass::new(self.head);
        let mut features = Vec::new();
        for rows in self.rows.chunks(EVALUATION_ROWS) {
            self.dataset.features.gather(rows, &mut features);
            self.fitted
                .apply(&mut features, self.dataset.features.width());
            pass.forward(self.head, &features);
            each(pass.logits(), rows);
        }
    }

    /// Shows `each` the logits `[B, C]` and labels `[B]` of all rows, in order.
    pub(crate) fn visit(&self, mut each: impl FnMut(&[f32], &[u32])) {
        let mut labels = Vec::new();
        self.outputs(|logits, rows| {
            self.dataset.gather_labels(rows, &mut labels);
            each(logits, &labels);
        });
    }

    /// As [`Judge::visit`], with targets `[B, C]`.
    fn visit_targets(&self, mut each: impl FnMut(&[f32], &[f32])) {
        let mut targets = Vec::new();
        self.outputs(|outputs, rows| {
            self.dataset.gather_targets(rows, &mut targets);
            each(outputs, &targets);
        });
    }

    /// The rows with any number of classes.
    pub(crate) fn multi_label(&self) -> MultiLabelRows {
        let mut judged = MultiLabelRows::new(self.head.classes());
        self.visit_targets(|logits, targets| judged.add(logits, targets));
        judged
    }

    /// The rows with numbers.
    pub(crate) fn regression(&self) -> RegressionRows {
        let mut judged = RegressionRows::new(self.head.classes());
        self.visit_targets(|outputs, targets| judged.add(outputs, targets));
        judged
    }

    /// Counts the rows.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::new(self.head.classes());
        self.visit(|logits, labels| tally.add(logits, labels));
        tally
    }

    /// Counts the rows, and finds the temperature that fits them best.
    pub(crate) fn tally_and_temperature(&self) -> Result<(Tally, Scaling), TemperatureError> {
        let classes = self.head.classes();
        let (mut tally, mut temperature) = (Tally::new(classes), Temperature::new(classes));
        self.visit(|logits, labels| {
            tally.add(logits, labels);
            temperature.add(logits, labels);
        });
        Ok((tally, temperature.fit()?))
    }
}
