//! What of a job's files is there already.

use nephos::output::may_write;
use nephos::predict::RunRecord;

use super::jobs::Job;

/// What is to be done with a job.
#[derive(Debug, PartialEq)]
pub enum Standing {
    /// Its files are to be written.
    Open,
    /// They are there, of the same scene, by the same model and options.
    UpToDate,
    /// Some are there that are not to be replaced, and why.
    Kept(String),
}

impl Standing {
    /// Compares what is there with what `record` says is to be made; `unfinished` is what
    /// a run that was killed over these files was to make.
    pub fn of(
        job: &Job,
        record: &RunRecord,
        unfinished: Option<&RunRecord>,
        overwrite: bool,
    ) -> Self {
        let files = job.outputs.files();
        let there = |path: &std::path::PathBuf| path.symlink_metadata().is_ok();
        if !files.iter().any(there) {
            return Self::Open;
        }
        if !overwrite {
            let mask = &job.outputs.mask;
            let kept = |why: &str| {
                Self::Kept(format!(
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
                    // Names the file that is there, and whether nephos wrote it.
                    let refused = files.iter().find_map(|path| may_write(path, false).err());
                    if let Some(error) = refused {
                        return Self::Kept(format!(
                            "{error}. Nothing beside it says that it is of this scene, model and \
                             options"
                        ));
                    }
                }
            }
        }
        match files.iter().find_map(|path| may_write(path, true).err()) {
            Some(error) => Self::Kept(error.to_string()),
            None => Self::Open,
        }
    }
}
