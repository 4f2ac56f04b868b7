//! Whether a stopped run may go on under a configuration.

use toml::{Table, Value};

use crate::config::Config;
use crate::error::{Error, Result};

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
            "train.epochs is {}, but {finished} epochs are done already",
            now.train.epochs
        )));
    }
    Ok(())
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
