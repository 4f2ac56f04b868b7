//! Which of a job's files exist already.

use nephos::output::may_write;
use nephos::predict::RunRecord;

use super::jobs::Job;

/// State of the outputs of a job.
#[derive(Debug, PartialEq)]
pub enum MaskState {
    /// Its files are to be written.
    ToWrite,
    /// They exist, of the same scene, by the same model and options.
    UpToDate,
    /// Some exist that must not be replaced, and why.
    NotReplaced(String),
}

impl MaskState {
    /// Compares the existing files with `record`, this run's; `unfinished` is the record of
    /// a run that was killed over these files.
    pub fn of(
        job: &Job,
        record: &RunRecord,
        unfinished: Option<&RunRecord>,
        overwrite: bool,
    ) -> Self {
        let files = job.outputs.files();
        let there = |path: &std::path::PathBuf| path.symlink_metadata().is_ok();
        if !files.iter().any(there) {
            return Self::ToWrite;
        }
        if !overwrite {
            let mask = &job.outputs.mask;
            let kept = |why: &str| {
                Self::NotReplaced(format!(
                    "{} is there already, {why}; --overwrite replaces it",
                    mask.display()
                ))
            };
            match RunRecord::beside(&job.outputs) {
                Some(found) => match found.difference(record) {
                    Some(why) => return kept(&why),
                    None if !there(mask) => {}
                    None if !found.vouches_for(mask) => {
                        return kept("and has been changed since it was written");
                    }
                    None if job.outputs.paths().iter().all(there) => return Self::UpToDate,
                    None => {}
                },
                None if unfinished.is_some_and(|run| run.difference(record).is_none()) => {}
                None => {
                    // Names the existing file, and whether nephos wrote it.
                    let refused = files.iter().find_map(|path| may_write(path, false).err());
                    if let Some(error) = refused {
                        return Self::NotReplaced(format!(
                            "{error}. No record beside it states that it is of this scene, model \
                             and options"
                        ));
                    }
                }
            }
        }
        match files.iter().find_map(|path| may_write(path, true).err()) {
            Some(error) => Self::NotReplaced(error.to_string()),
            None => Self::ToWrite,
        }
    }
}
