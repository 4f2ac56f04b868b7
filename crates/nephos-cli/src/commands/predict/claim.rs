//! One process per scene, whatever their number on one output folder.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::output::{abandoned, is_at};
use nephos::predict::{Outputs, RunRecord};

/// An exclusive lock on one mask. The lock is the system's on an open file, so that it is released
/// with its process, however that ends. The file records what the run makes: where it is
/// killed with the mask in place but not all else, a later run of the same kind finishes it.
pub struct Claim {
    path: PathBuf,
    mask: PathBuf,
    lock: File,
    unfinished: Option<RunRecord>,
    finished: bool,
}

impl Claim {
    /// Claims `mask`; `None` where another process or thread has it.
    pub fn take(mask: &Path) -> anyhow::Result<Option<Self>> {
        let path = lock_of(mask);
        let folder = mask.parent().unwrap_or(Path::new("."));
        let context = || format!("{}: the lock of {}", path.display(), mask.display());
        if !folder.as_os_str().is_empty() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        loop {
            let mut lock = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .with_context(context)?;
            let locked = match lock.try_lock() {
                // Without locks two processes may do one scene twice, and break nothing.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(()),
                locked => locked,
            };
            match locked {
                // The previous owner may have removed the file meanwhile.
                Ok(()) if !is_at(&lock, &path) => {}
                Ok(()) => {
                    let Some(note) = Note::of(&mut lock) else {
                        bail!(
                            "{}: it is there already, and no lock of nephos",
                            path.display()
                        );
                    };
                    return Ok(Some(Self {
                        path,
                        mask: mask.to_owned(),
                        lock,
                        unfinished: note.run(),
                        finished: false,
                    }));
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            }
        }
    }

    /// The record of a run that did not finish.
    pub fn unfinished(&self) -> Option<&RunRecord> {
        self.unfinished.as_ref()
    }

    /// Writes the record of this run.
    ///
    /// # Errors
    /// The system's.
    pub fn note(&mut self, record: &RunRecord) -> anyhow::Result<()> {
        let context = || self.path.display().to_string();
        let text = serde_json::to_vec(record)?;
        self.lock.seek(SeekFrom::Start(0)).with_context(context)?;
        self.lock.write_all(&text).with_context(context)?;
        self.lock.set_len(text.len() as u64).with_context(context)?;
        self.unfinished = Some(record.clone());
        Ok(())
    }

    /// All files of the mask are there.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Claim {
    /// The file goes while it is still locked, unless it is needed to identify the run of a
    /// mask that lacks its record.
    fn drop(&mut self) {
        if self.finished || self.unfinished.is_none() || !lacks_record(&self.mask) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the locks that killed runs left in `folder`, but for those that identify the run of
/// a mask that lacks its record.
pub fn remove_abandoned(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let mask = (name.to_str())
            .and_then(|name| name.strip_prefix('.')?.strip_suffix(".lock"))
            .map(|name| folder.join(name));
        let Some(mask) = mask.filter(|mask| nephos::mask::MaskFormat::of(mask).is_ok()) else {
            continue;
        };
        let path = entry.path();
        let Some(mut lock) = abandoned(&path) else {
            continue;
        };
        let Some(note) = Note::of(&mut lock) else {
            continue;
        };
        let is_needed = note.run().is_some() && lacks_record(&mask);
        if !is_needed {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether a mask is there, and nothing beside it identifies its run.
fn lacks_record(mask: &Path) -> bool {
    let outputs = Outputs {
        mask: mask.to_owned(),
        side_outputs: BTreeSet::new(),
    };
    mask.exists() && !RunRecord::beside(&outputs).is_some_and(|run| run.vouches_for(mask))
}

fn lock_of(mask: &Path) -> PathBuf {
    let name = mask.file_name().unwrap_or_default().to_string_lossy();
    mask.with_file_name(format!(".{name}.lock"))
}

/// First line of the record of a run.
const START: &[u8] = b"{\"nephos\":";

/// The content of a lock file.
struct Note(Vec<u8>);

impl Note {
    /// `None` where another program wrote the file.
    fn of(lock: &mut File) -> Option<Self> {
        let mut text = Vec::new();
        lock.read_to_end(&mut text).ok()?;
        // A run may have been killed as it wrote.
        (text.starts_with(START) || START.starts_with(&text)).then_some(Self(text))
    }

    /// The record of the run that was to make the mask, if it was written.
    fn run(&self) -> Option<RunRecord> {
        serde_json::from_slice(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use nephos::predict::SourceRecord;
    use nephos::weights::Identity;

    use super::*;

    fn record(scene: &Path) -> RunRecord {
        let model = Identity {
            name: "m".to_owned(),
            sha256: "0".repeat(64),
        };
        RunRecord::new(
            SourceRecord::of(scene).unwrap(),
            &model,
            "options".to_owned(),
        )
    }

    #[test]
    fn a_claimed_mask_is_not_claimed_again() {
        let folder = tempfile::tempdir().unwrap();
        let mask = folder.path().join("out/a.tif");
        let claim = Claim::take(&mask).unwrap();
        assert!(claim.is_some());
        assert!(Claim::take(&mask).unwrap().is_none());
        assert!(
            Claim::take(&mask.with_file_name("b.tif"))
                .unwrap()
                .is_some()
        );
        drop(claim);
        assert!(Claim::take(&mask).unwrap().is_some());
        assert_eq!(mask.parent().unwrap().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn an_unfinished_run_is_identified_by_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let mask = folder.path().join("a.tif");
        fs::write(folder.path().join("scene.tif"), "scene").unwrap();
        let record = record(&folder.path().join("scene.tif"));
        let mut claim = Claim::take(&mask).unwrap().unwrap();
        claim.note(&record).unwrap();
        fs::write(&mask, "mask").unwrap();
        drop(claim);
        // Other runs keep it as long as the mask has no record.
        remove_abandoned(folder.path());
        let claim = Claim::take(&mask).unwrap().unwrap();
        assert_eq!(claim.unfinished(), Some(&record));
        remove_abandoned(folder.path());
        assert!(lock_of(&mask).exists(), "a living process holds it");
        claim.finish();
        assert!(!lock_of(&mask).exists());

        fs::write(lock_of(&mask), "").unwrap();
        fs::write(folder.path().join(".other.tif.lock"), "of another program").unwrap();
        remove_abandoned(folder.path());
        assert!(!lock_of(&mask).exists());
        assert!(folder.path().join(".other.tif.lock").exists());
    }
}
