//! The figures of a head that is about to be exported, and what is chosen on the
//! validation rows: a temperature, or thresholds.

use common::head::{TaskKind, TaskMetrics, TaskRecord, statistics::TemperatureError};

use crate::judge::Judge;

/// Logits of other tasks than of one label are left as they are.
const NO_TEMPERATURE: f64 = 1.0;

/// What a run says of its head.
pub(crate) struct Measured {
    pub(crate) task: TaskRecord,
    pub(crate) temperature: f64,
    pub(crate) train: TaskMetrics,
    pub(crate) validation: TaskMetrics,
}

/// Measures one head of `task` on its training and its validation rows.
pub(crate) fn measure(
    task: TaskKind,
    train: &Judge,
    validation: &Judge,
) -> Result<Measured, TemperatureError> {
    Ok(match task {
        TaskKind::SingleLabel => {
            let (tally, scaling) = validation.tally_and_temperature()?;
            Measured {
                task: TaskRecord::SingleLabel,
                temperature: scaling.temperature,
                train: TaskMetrics::SingleLabel(train.tally().finish()),
                validation: TaskMetrics::SingleLabel(tally.finish()),
            }
        }
        TaskKind::MultiLabel => {
            let judged = validation.multi_label();
            let thresholds = judged.thresholds();
            let train = train.multi_label().metrics(&thresholds);
            Measured {
                train: TaskMetrics::MultiLabel(train),
                validation: TaskMetrics::MultiLabel(judged.metrics(&thresholds)),
                task: TaskRecord::MultiLabel { thresholds },
                temperature: NO_TEMPERATURE,
            }
        }
        TaskKind::Regression => Measured {
            task: TaskRecord::Regression,
            temperature: NO_TEMPERATURE,
            train: TaskMetrics::Regression(train.regression().metrics()),
            validation: TaskMetrics::Regression(validation.regression().metrics()),
        },
    })
}
