//! Results of a batch.

use nephos::mask::MaskSummary;

/// Result of one scene.
pub enum Outcome {
    Done {
        summary: MaskSummary,
        seconds: f64,
    },
    /// Its mask existed, of the same scene, by the same model and options.
    Skipped,
    /// Another process has locked it, and did not finish in time.
    Locked,
    Failed(String),
    /// The run was stopped before it.
    NotStarted,
}

impl Outcome {
    /// The text in the table.
    fn result(&self) -> String {
        match self {
            Self::Done { .. } => "done".to_owned(),
            Self::Skipped => "skipped (up to date)".to_owned(),
            Self::Locked => "locked by another process".to_owned(),
            Self::Failed(why) => format!("FAILED: {why}"),
            Self::NotStarted => "not started".to_owned(),
        }
    }
}

/// A table of all scenes, and a line that counts them.
pub fn table(results: &[(String, Outcome)]) -> String {
    let width = results.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0).max("scene".len());
    let mut text = format!(
        "{:width$}  {:>8}  {:>8}  result\n",
        "scene", "cloud", "seconds"
    );
    for (name, outcome) in results {
        let (cloud, seconds) = match outcome {
            Outcome::Done { summary, seconds } => {
                let cloud = summary
                    .cloud_cover
                    .map_or("–".to_owned(), |c| format!("{c:.1} %"));
                (cloud, format!("{seconds:.1}"))
            }
            _ => (String::new(), String::new()),
        };
        let result = outcome.result();
        text += &format!("{name:width$}  {cloud:>8}  {seconds:>8}  {result}\n");
    }
    text + &counts(results)
}

/// Counts of scenes by result, as in `2 done, 1 skipped (up to date), 1 failed`.
fn counts(results: &[(String, Outcome)]) -> String {
    type Kind = (&'static str, fn(&Outcome) -> bool);
    let kinds: [Kind; 5] = [
        ("done", |o| matches!(o, Outcome::Done { .. })),
        ("skipped (up to date)", |o| matches!(o, Outcome::Skipped)),
        ("locked by another process", |o| {
            matches!(o, Outcome::Locked)
        }),
        ("failed", |o| matches!(o, Outcome::Failed(_))),
        ("not started", |o| matches!(o, Outcome::NotStarted)),
    ];
    let counts: Vec<String> = (kinds.iter())
        .filter_map(|(name, is)| match count(results, *is) {
            0 => None,
            count => Some(format!("{count} {name}")),
        })
        .collect();
    counts.join(", ")
}

fn count(results: &[(String, Outcome)], is: fn(&Outcome) -> bool) -> usize {
    results.iter().filter(|(_, outcome)| is(outcome)).count()
}

/// An error for masks that are missing in the end; `None` where none is.
pub fn missing(results: &[(String, Outcome)]) -> Option<String> {
    let made = |outcome: &Outcome| matches!(outcome, Outcome::Done { .. } | Outcome::Skipped);
    let failed = count(results, |outcome| matches!(outcome, Outcome::Failed(_)));
    let left = results.len() - count(results, made) - failed;
    let all = nephos::text::count(results.len(), "scene");
    match (failed, left) {
        (0, 0) => None,
        (failed, 0) => Some(format!("{failed} of {all} failed")),
        (0, left) => Some(format!("{left} of {all} have no mask yet")),
        (failed, left) => Some(format!(
            "{failed} of {all} failed, and {left} more have no mask yet"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_results_are_counted_and_named() {
        let results = [
            ("scène ☁".to_owned(), Outcome::Skipped),
            ("b".to_owned(), Outcome::Locked),
            ("c".to_owned(), Outcome::Failed("a broken file".to_owned())),
        ];
        let text = table(&results);
        assert!(
            text.contains("scène ☁                      skipped (up to date)\n"),
            "{text}"
        );
        let last = "1 skipped (up to date), 1 locked by another process, 1 failed";
        assert_eq!(text.lines().last(), Some(last));
        let what = "1 of 3 scenes failed, and 1 more have no mask yet";
        assert_eq!(missing(&results).as_deref(), Some(what));
        assert_eq!(missing(&results[..1]), None);
        assert_eq!(
            missing(&results[2..]).as_deref(),
            Some("1 of 1 scene failed")
        );
    }
}
