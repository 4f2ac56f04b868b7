//! Whether a stopped run may resume under a configuration.

use toml::{Table, Value};

use super::schedule::learning_rate;
use crate::config::{Config, ScheduleKind, TrainConfig};
use crate::error::{Error, Result};
use crate::text;

/// Keys that may change between a run and its continuation. More epochs stretch a
/// schedule that is not constant; the steps already done keep theirs.
const FREE: [&str; 4] = [
    "train.epochs",
    "train.patience",
    "train.prefetch",
    "train.checkpointing",
];

/// Checks that `now` differs from `then`, the configuration of the stopped run,
/// in nothing that would change what was trained so far.
///
/// # Errors
/// The keys that differ, or fewer epochs than are finished.
pub(super) fn check(then: &Config, now: &Config, finished: usize) -> Result<()> {
    let mut changes = Vec::new();
    compare("", &table(then)?, &table(now)?, &mut changes);
    changes.retain(|(key, _)| !FREE.contains(&key.as_str()));
    if !changes.is_empty() {
        let list: Vec<String> = changes
            .into_iter()
            .map(|(k, v)| format!("{k} ({v})"))
            .collect();
        return Err(Error::usage(format!(
            "the run can't be resumed with another configuration; these keys differ: {}",
            list.join(", ")
        )));
    }
    if now.train.epochs < finished {
        return Err(Error::usage(format!(
            "train.epochs is {}, but {} already",
            now.train.epochs,
            match finished {
                1 => "1 epoch is done".to_owned(),
                number => format!("{number} epochs are done"),
            }
        )));
    }
    Ok(())
}

/// How the learning rate changes where a run of `then`, `steps` steps per epoch, continues after
/// `done` steps with another number of epochs; `None` where that is the same.
pub(super) fn learning_rates(
    then: &Config,
    now: &Config,
    done: usize,
    steps: usize,
) -> Option<String> {
    let (before, after) = (then.train.epochs, now.train.epochs);
    if before == after {
        return None;
    }
    let rate = |train: &TrainConfig, step: usize| {
        learning_rate(
            &train.schedule,
            train.optimizer.lr,
            step,
            steps * train.epochs,
        )
    };
    let last_done = rate(&then.train, done.saturating_sub(1));
    let next = rate(&now.train, done);
    let last = rate(&now.train, (steps * after).saturating_sub(1));
    let epochs = format!("train.epochs goes from {before} to {after}");
    let number = |rate: f64| format!("{rate:.3e}");
    let what = match now.train.schedule.kind {
        ScheduleKind::Constant if next == last && (done == 0 || last_done == next) => {
            format!("the learning rate stays at {}", number(next))
        }
        kind => {
            let name = match kind {
                ScheduleKind::Constant => "constant",
                ScheduleKind::Cosine => "cosine",
                ScheduleKind::OneCycle => "one-cycle",
            };
            let from = match done {
                0 => format!("the learning rate starts at {}", number(next)),
                _ => format!(
                    "the learning rate goes from {} at the last step to {} at the next",
                    number(last_done),
                    number(next)
                ),
            };
            format!(
                "the {name} schedule now spans {}: {from}, and ends at {}",
                text::count(steps * after, "step"),
                number(last)
            )
        }
    };
    Some(format!("{epochs}; {what}"))
}

fn table(config: &Config) -> Result<Table> {
    Table::try_from(config).map_err(|e| Error::usage(format!("configuration: {e}")))
}

/// Collects the dotted keys whose values differ, with both values.
fn compare(prefix: &str, then: &Table, now: &Table, changes: &mut Vec<(String, String)>) {
    let keys: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    for key in keys {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match (then.get(key), now.get(key)) {
            (Some(Value::Table(then)), Some(Value::Table(now))) => {
                compare(&path, then, now, changes);
            }
            (a, b) if a == b => {}
            (a, b) => {
                let show = |v: Option<&Value>| v.map_or("absent".to_owned(), Value::to_string);
                changes.push((path, format!("was {}, now {}", show(a), show(b))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_learning_rate_is_reported() {
        let mut then = Config::default();
        (then.train.epochs, then.train.optimizer.lr) = (2, 0.01);
        let mut now = then.clone();
        assert_eq!(learning_rates(&then, &now, 20, 10), None);
        now.train.epochs = 4;
        let message = learning_rates(&then, &now, 20, 10).unwrap();
        assert_eq!(
            message,
            "train.epochs goes from 2 to 4; the learning rate stays at 1.000e-2"
        );
        then.train.schedule.kind = ScheduleKind::Cosine;
        now.train.schedule.kind = ScheduleKind::Cosine;
        // After 20 of 40 steps (from 0 to 39) half a cosine is at its middle.
        let message = learning_rates(&then, &now, 20, 10).unwrap();
        assert!(
            message.contains("the cosine schedule now spans 40 steps")
                && message.contains("from 0.000e0 at the last step to 4.799e-3 at the next")
                && message.ends_with("ends at 0.000e0"),
            "{message}"
        );
        now.train.epochs = 1;
        let message = learning_rates(&then, &now, 3, 10).unwrap();
        assert!(
            message.starts_with("train.epochs goes from 2 to 1;"),
            "{message}"
        );
    }

    #[test]
    fn more_epochs_are_fine_and_other_changes_are_named() {
        let then = Config::default();
        let mut now = then.clone();
        now.train.epochs = 40;
        now.train.patience = Some(3);
        check(&then, &now, 20).unwrap();
        now.train.optimizer.lr = 0.5;
        now.data.nodata = Some(0.0);
        let message = check(&then, &now, 20).unwrap_err().to_string();
        assert!(
            message.contains("train.optimizer.lr (was 0.0001, now 0.5)"),
            "{message}"
        );
        assert!(message.contains("data.nodata (was absent"), "{message}");
        assert!(!message.contains("epochs"), "{message}");
        let mut fewer = then.clone();
        fewer.train.epochs = 3;
        assert!(check(&then, &fewer, 5).is_err());
    }
}
