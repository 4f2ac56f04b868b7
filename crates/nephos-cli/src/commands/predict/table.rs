//! How a batch ended.

use nephos::mask::MaskSummary;

/// How one scene ended.
pub enum Outcome {
    Done {
        summary: MaskSummary,
        seconds: f64,
    },
    /// It was there, by the same model and options.
    Skipped,
    /// Another process is at it.
    Elsewhere,
    Failed(String),
    /// The run was stopped before it.
    Stopped,
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
        let (cloud, seconds, result) = match outcome {
            Outcome::Done { summary, seconds } => {
                let cloud = summary
                    .cloud_cover
                    .map_or("–".to_owned(), |c| format!("{c:.1} %"));
                (cloud, format!("{seconds:.1}"), "done".to_owned())
            }
            Outcome::Skipped => (String::new(), String::new(), "was done already".to_owned()),
            Outcome::Elsewhere => {
                let result = "another process is at it".to_owned();
                (String::new(), String::new(), result)
            }
            Outcome::Failed(why) => (String::new(), String::new(), format!("FAILED: {why}")),
            Outcome::Stopped => (String::new(), String::new(), "not begun".to_owned()),
        };
        text += &format!("{name:width$}  {cloud:>8}  {seconds:>8}  {result}\n");
    }
    let count = |wanted: fn(&Outcome) -> bool| {
        results
            .iter()
            .filter(|(_, outcome)| wanted(outcome))
            .count()
    };
    text += &format!(
        "{} done, {} done before, {} elsewhere, {} failed",
        count(|o| matches!(o, Outcome::Done { .. })),
        count(|o| matches!(o, Outcome::Skipped)),
        count(|o| matches!(o, Outcome::Elsewhere)),
        failed(results)
    );
    text
}

/// Number of scenes that failed.
pub fn failed(results: &[(String, Outcome)]) -> usize {
    let failed = |(_, outcome): &&(String, Outcome)| matches!(outcome, Outcome::Failed(_));
    results.iter().filter(failed).count()
}
