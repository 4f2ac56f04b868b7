//! Which run a mask is from: its record shows a later run whether the mask is of the
//! same scene, by the same model and options.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::outputs::{Outputs, SideOutput};
use crate::error::{Error, Result};
use crate::mask::sidecar_record;
use crate::weights::{Identity, hex};

/// Bytes from a file's beginning that go into its digest.
const BEGINNING: u64 = 1 << 20;
/// The same of each file in a folder.
const FOLDER_BEGINNING: u64 = 64 << 10;
/// Files beside a raster that are read with it, by what is added to its name.
const SIDECARS: [&str; 2] = [".aux.xml", ".msk"];
/// Files of a folder that are looked at.
const MOST_FILES: usize = 10_000;

/// The run that made a mask, and its input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of nephos.
    pub nephos: String,
    /// What was segmented.
    pub scene: SourceRecord,
    /// Name of the model.
    pub model: String,
    /// SHA-256 of the model's file, 64 hexadecimal digits.
    pub model_sha256: String,
    /// All options that change what is written.
    pub options: String,
    /// SHA-256 of the mask's file; `None` before it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_sha256: Option<String>,
}

/// The state of a scene's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Absolute path of the file or folder, without links.
    pub path: String,
    /// Name of the sample, of a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Bytes of all its files; of a raster with its `.aux.xml` and `.msk`.
    pub bytes: u64,
    /// When the last of them was changed, ISO 8601 in UTC with nanoseconds.
    pub modified: String,
    /// SHA-256 of the file's first MiB; of a folder, of the names and sizes of its files and
    /// the first 64 KiB of each.
    pub sha256_of_beginning: String,
}

impl SourceRecord {
    /// Of a file, or of all files in a folder; a product named by its metadata file is the
    /// folder that this is in.
    ///
    /// # Errors
    /// It can't be read.
    pub fn of(path: &Path) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let real = path.canonicalize().map_err(fail)?;
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        let root = match real.parent() {
            Some(folder) if name.starts_with("MTD_MSI") || name.contains("_MTL.") => folder,
            _ => &real,
        };
        let mut digest = Sha256::new();
        let (mut bytes, mut modified) = (0, UNIX_EPOCH);
        let mut add = |metadata: &Metadata| {
            bytes += metadata.len();
            modified = modified.max(metadata.modified().unwrap_or(UNIX_EPOCH));
        };
        if root.is_dir() {
            let mut files = Vec::new();
            files_in(root, &mut files).map_err(fail)?;
            files.sort();
            for file in &files {
                let fail = |e| Error::io(file, e);
                let metadata = fs::metadata(file).map_err(fail)?;
                add(&metadata);
                let name = file.strip_prefix(root).unwrap_or(file);
                digest.update(name.to_string_lossy().as_bytes());
                digest.update(metadata.len().to_le_bytes());
                digest.update(beginning(file, FOLDER_BEGINNING).map_err(fail)?);
            }
        } else {
            add(&fs::metadata(root).map_err(fail)?);
            digest.update(beginning(root, BEGINNING).map_err(fail)?);
            // What is read beside it may change what its numbers mean.
            for sidecar in SIDECARS.map(|ending| with_ending(root, ending)) {
                if let Ok(metadata) = fs::metadata(&sidecar) {
                    add(&metadata);
                    digest.update(beginning(&sidecar, BEGINNING).map_err(fail)?);
                }
            }
        }
        Ok(Self {
            path: root.to_string_lossy().into_owned(),
            sample: None,
            bytes,
            modified: iso(modified),
            sha256_of_beginning: hex(&digest.finalize()),
        })
    }

    /// Of a scene in memory, which is in no file.
    pub fn of_memory(name: &str) -> Self {
        Self {
            path: name.to_owned(),
            sample: None,
            bytes: 0,
            modified: iso(UNIX_EPOCH),
            sha256_of_beginning: String::new(),
        }
    }

    /// The path, and the sample where there is one.
    fn name(&self) -> String {
        match &self.sample {
            None => self.path.clone(),
            Some(sample) => format!("{}, sample {sample}", self.path),
        }
    }
}

impl RunRecord {
    /// Of a run that is about to start.
    pub fn new(scene: SourceRecord, model: &Identity, options: String) -> Self {
        Self {
            nephos: env!("CARGO_PKG_VERSION").to_owned(),
            scene,
            model: model.name.clone(),
            model_sha256: model.sha256.clone(),
            options,
            mask_sha256: None,
        }
    }

    /// The record beside a mask: in its summary or, where there is none, in the `.aux.xml`
    /// of a GeoTIFF. `None` where there is none that this version understands.
    pub fn beside(outputs: &Outputs) -> Option<Self> {
        let summary = || -> Option<Self> {
            let text = fs::read(outputs.path(SideOutput::Summary)).ok()?;
            let summary: serde_json::Value = serde_json::from_slice(&text).ok()?;
            // Masks of one stem in two formats have one summary, which is of one of them.
            let files = summary.get("files")?.as_array()?;
            let own = outputs.mask.file_name()?.to_string_lossy();
            (files.first()?.as_str()? == own)
                .then(|| serde_json::from_value(summary.get("run")?.clone()).ok())?
        };
        let sidecar = || serde_json::from_str(&sidecar_record(&outputs.mask)?).ok();
        // Either may be older than the mask.
        let mut records: Vec<Self> = [summary(), sidecar()].into_iter().flatten().collect();
        let own = records
            .iter()
            .position(|record| record.vouches_for(&outputs.mask));
        (!records.is_empty()).then(|| records.swap_remove(own.unwrap_or(0)))
    }

    /// What this record, of a mask that is there, and `run`, of one that is to be made,
    /// differ in; `None` where they are of the same scene, model and options.
    pub fn difference(&self, run: &Self) -> Option<String> {
        let (old, new) = (&self.scene, &run.scene);
        if (&old.path, &old.sample) != (&new.path, &new.sample) {
            return Some(format!("made of {}, not of {}", old.name(), new.name()));
        }
        if old != new {
            return Some(format!(
                "made of {} as it was ({} bytes of {}), which has changed since ({} bytes of {})",
                old.name(),
                old.bytes,
                old.modified,
                new.bytes,
                new.modified
            ));
        }
        if self.model_sha256 != run.model_sha256 {
            let short = |digest: &str| digest.chars().take(8).collect::<String>();
            return Some(format!(
                "made by the model {} ({}…), not by {} ({}…)",
                self.model,
                short(&self.model_sha256),
                run.model,
                short(&run.model_sha256)
            ));
        }
        if self.nephos != run.nephos {
            return Some(format!(
                "made by nephos {}, not {}",
                self.nephos, run.nephos
            ));
        }
        (self.options != run.options).then(|| "made with other options".to_owned())
    }

    /// Whether the mask is still the one that this record is of.
    pub fn vouches_for(&self, mask: &Path) -> bool {
        self.mask_sha256.is_some() && self.mask_sha256 == digest(mask).ok()
    }

    /// With the mask that was written.
    pub(super) fn with_mask(&self, mask: &Path) -> Result<Self> {
        Ok(Self {
            mask_sha256: Some(digest(mask).map_err(|e| Error::io(mask, e))?),
            ..self.clone()
        })
    }
}

/// SHA-256 of a whole file.
fn digest(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn beginning(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All files below a folder but hidden ones.
fn files_in(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') || files.len() >= MOST_FILES {
            continue;
        }
        let path = entry.path();
        // A link to a folder may lead back.
        match entry.file_type()?.is_dir() {
            true => files_in(&path, files)?,
            false if path.is_file() => files.push(path),
            false => {}
        }
    }
    Ok(())
}

/// ISO 8601 in UTC, by the proleptic Gregorian calendar.
fn iso(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days from 1 March of year 0, in eras of 400 years (Hinnant, chrono-compatible
    // low-level date algorithms).
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_nanos()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds, nanos| iso(UNIX_EPOCH + Duration::new(seconds, nanos));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at(951_827_696, 5), "2000-02-29T12:34:56.000000005Z");
        assert_eq!(at(1_735_689_599, 0), "2024-12-31T23:59:59.000000000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000000Z");
    }

    #[test]
    fn a_scene_that_changed_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let model = Identity {
            name: "m".to_owned(),
            sha256: "0".repeat(64),
        };
        let of = |path: &Path| {
            RunRecord::new(
                SourceRecord::of(path).unwrap(),
                &model,
                "options".to_owned(),
            )
        };
        fs::write(at("a.tif"), "first").unwrap();
        let first = of(&at("a.tif"));
        assert_eq!(first.scene.bytes, 5);
        assert_eq!(first.difference(&of(&at("./a.tif"))), None);
        fs::write(at("a.tif"), "other").unwrap();
        let why = first.difference(&of(&at("a.tif"))).unwrap();
        assert!(why.contains("changed since"), "{why}");
        let first = of(&at("a.tif"));
        fs::write(at("a.tif.aux.xml"), "<scale/>").unwrap();
        assert!(first.difference(&of(&at("a.tif"))).is_some());
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/a.tif"), "other").unwrap();
        let why = first.difference(&of(&at("sub/a.tif"))).unwrap();
        assert!(
            why.contains("sub/a.tif") && why.matches("a.tif").count() == 2,
            "{why}"
        );

        // A folder is all its files, a product the folder of its metadata.
        fs::write(at("sub/x_MTL.txt"), "metadata").unwrap();
        let product = of(&at("sub/x_MTL.txt"));
        assert_eq!(product.scene.path, of(&at("sub")).scene.path);
        assert_eq!(product.scene.bytes, 13);
        fs::write(at("sub/a.tif"), "again").unwrap();
        assert!(product.difference(&of(&at("sub"))).is_some());
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mask = folder.path().join("m.tif");
        fs::write(&mask, "mask").unwrap();
        let model = Identity {
            name: "m".to_owned(),
            sha256: "0".repeat(64),
        };
        let source = SourceRecord::of(&mask).unwrap();
        let record = RunRecord::new(source, &model, "a < \"b\" & c".to_owned());
        assert!(!record.vouches_for(&mask));
        let record = record.with_mask(&mask).unwrap();
        crate::mask::write_class_names(&mask, Some(&serde_json::to_string(&record).unwrap()))
            .unwrap();
        let outputs = Outputs {
            mask: mask.clone(),
            side_outputs: std::collections::BTreeSet::new(),
        };
        assert_eq!(RunRecord::beside(&outputs), Some(record.clone()));
        assert!(record.vouches_for(&mask));
        fs::write(&mask, "another").unwrap();
        assert!(!record.vouches_for(&mask));
    }
}
