//! Statistics that judge a head: how sure it may be, class by class, and how far a
//! figure can be trusted.
//!
//! Comes in: logits, scores or predictions with labels. Goes out: numbers whose
//! definition each module gives; scikit-learn, SciPy and PyTorch judge them
//! (`data/golden/make_statistics_golden.py`).

mod bootstrap;
mod calibration;
mod confident;
mod mcnemar;
mod per_class;
mod ranking;
mod regression;
mod temperature;
mod threshold;

pub use bootstrap::{DEFAULT_CONFIDENCE, DEFAULT_RESAMPLES, Interval, Resampling, bootstrap};
pub use calibration::{
    Calibration, CalibrationTally, ECE_BINS, negative_log, negative_log_likelihood,
};
pub use confident::{ConfidentJoint, LabelJudgement, SelfConfidence};
pub use mcnemar::{EXACT_BELOW, McNemar, McNemarTest, mcnemar, normal_tails};
pub use per_class::{ClassFigures, class_figures};
pub use ranking::{average_precision, mean_average_precision};
pub use regression::{RegressionFigures, regression_figures};
pub use temperature::{Scaling, TEMPERATURES, Temperature, TemperatureError};
pub use threshold::{DEFAULT_THRESHOLD, best_threshold, sigmoid};
