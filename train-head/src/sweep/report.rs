//! The end of a sweep, for people or for scripts.

use std::{fmt::Write as _, time::Duration};

use common::{exit::Exit, head::Bundle};
use serde_json::{Map, Value, json};

use super::{
    Sweep,
    best::folder,
    edges::edges,
    heads::is_refitted,
    progress::figures,
    subject::Subject,
    table::TABLE_FILE,
    trial::{Finished, Status, ranked},
};
use crate::{
    failure::{Failure, OrExit},
    report,
};

/// Trials that are listed.
const LISTED: usize = 5;

/// Prints the best trials, the winner, and what to make of them.
pub(super) fn print<S: Subject>(
    sweep: &Sweep<S>,
    trials: &[Finished],
    best: &Finished,
    elapsed: Duration,
) -> Result<(), Failure> {
    let mut edges = edges(sweep.space, &best.point);
    edges.extend(last_epoch(sweep.subject.epochs(), best));
    let winner = Bundle::load(&folder(&sweep.plan.out)).or_exit(Exit::Input)?;
    let refitted = is_refitted(&winner);
    let refit = if refitted {
        ", refitted on training and validation rows"
    } else {
        ""
    };
    let text = text(sweep, trials, (best, &edges), (refit, elapsed));
    let counts: Map<String, Value> = Status::ALL
        .iter()
        .map(|status| {
            let count = trials
                .iter()
                .filter(|trial| trial.status == *status)
                .count();
            (status.as_str().to_owned(), count.into())
        })
        .collect();
    let names = sweep
        .space
        .0
        .iter()
        .map(|dimension| dimension.name.as_str().to_owned());
    let parameters: Map<String, Value> = names
        .zip(best.point.iter().map(|value| json!(value)))
        .collect();
    let value = json!({
        "sweep": sweep.plan.out.to_string_lossy(),
        "best": {
            "run": folder(&sweep.plan.out).to_string_lossy(),
            "trial": best.trial,
            "parameters": parameters,
            "best_epoch": best.best_epoch,
            "figures": best.figures,
            "intervals": best.intervals,
            "refit": refitted,
        },
        "trials": trials.len(),
        "status": counts,
        "edges": edges,
        "seconds": elapsed.as_secs_f64(),
    });
    report::result(sweep.plan.report.result, &text, &value)
}

/// A share; not a number where there is none, with regression.
fn percent(share: f64) -> String {
    if share.is_nan() {
        "–".to_owned()
    } else {
        format!("{:.2}%", share * 100.0)
    }
}

/// More epochs are beyond the space too.
fn last_epoch(epochs: u32, best: &Finished) -> Option<String> {
    (epochs > 1 && best.best_epoch == epochs).then(|| {
        format!(
            "the best trial's last epoch, {epochs}, is its best one: more --epochs may do better"
        )
    })
}

fn text<S>(
    sweep: &Sweep<S>,
    trials: &[Finished],
    (best, edges): (&Finished, &[String]),
    (refit, elapsed): (&str, Duration),
) -> String {
    let mut text = String::from("trial  accuracy    loss    epochs  status    parameters\n");
    for trial in ranked(trials, sweep.plan.objective)
        .into_iter()
        .take(LISTED)
    {
        let interval = trial.intervals.map_or(String::new(), |intervals| {
            let accuracy = percent(intervals.val_accuracy);
            format!("  (±{accuracy}, ±{:.4})", intervals.val_loss)
        });
        let _ = writeln!(
            text,
            "{:>5}  {:>8}  {:>7.4}  {:>6}  {:<8}  {}{interval}",
            trial.trial,
            percent(trial.figures.val_accuracy),
            trial.figures.val_loss,
            trial.epochs,
            trial.status.as_str(),
            sweep.space.describe(&trial.point),
        );
    }
    let out = &sweep.plan.out;
    let _ = writeln!(
        text,
        "best: trial {} of {}, {} on validation rows; its run is in `{}`{refit}; all trials in `{}`; {:.1} s",
        best.trial,
        trials.len(),
        figures(&best.figures),
        folder(out).display(),
        out.join(TABLE_FILE).display(),
        elapsed.as_secs_f64()
    );
    for edge in edges {
        let _ = writeln!(text, "note: {edge}");
    }
    text
}
