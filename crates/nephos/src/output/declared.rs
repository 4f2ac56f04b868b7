//! Declared inputs and outputs of a run: outputs must not overwrite inputs.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::leftovers::remove_leftovers;
use super::location::{FileId, Location, file_id, real};
use super::ours::is_ours;
use crate::error::{Error, Result};

/// Files beside a raster that are read with it, by what is added to its name.
const SIDECARS: [&str; 3] = [".aux.xml", ".msk", ".ovr"];
/// Most entries of an input folder whose hard links are checked.
const MOST_ENTRIES: usize = 50_000;

/// What a run reads and will write, declared before it computes.
///
/// ```
/// # use nephos::output::Declared;
/// # let folder = tempfile::tempdir().unwrap();
/// # let scene = folder.path().join("scene.tif");
/// # std::fs::write(&scene, "pixels").unwrap();
/// let run = Declared::default().reads(&scene).writes(folder.path().join("./scene.tif"));
/// assert!(run.check(true).is_err(), "an output never replaces an input");
/// ```
#[derive(Debug, Default)]
pub struct Declared {
    inputs: Vec<PathBuf>,
    outputs: Vec<PathBuf>,
}

impl Declared {
    /// With a file or folder that is read. In a folder of samples that are `image/` and
    /// `label/`, in any other all that is there. What is not there, as the name of a model
    /// that comes with nephos, is no input.
    #[must_use]
    pub fn reads(mut self, path: impl AsRef<Path>) -> Self {
        self.inputs.push(path.as_ref().to_owned());
        self
    }

    /// With a file that may be the name of what comes with nephos instead, as of a model or
    /// a configuration: a folder of that name is ignored.
    #[must_use]
    pub fn reads_named(self, path: impl AsRef<Path>) -> Self {
        match path.as_ref().is_dir() {
            true => self,
            false => self.reads(path),
        }
    }

    /// With several inputs.
    #[must_use]
    pub fn reads_all(mut self, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        (self.inputs).extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        self
    }

    /// With a file that will be written.
    #[must_use]
    pub fn writes(mut self, path: impl AsRef<Path>) -> Self {
        self.outputs.push(path.as_ref().to_owned());
        self
    }

    /// With several outputs.
    #[must_use]
    pub fn writes_all(mut self, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        (self.outputs).extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        self
    }

    /// Refuses outputs that are inputs or are among them, and two outputs that are one
    /// file, by whatever names; then removes what killed runs left in the folders of the
    /// outputs.
    ///
    /// # Errors
    /// The first such output, and what it is.
    pub fn check_places(&self) -> Result<()> {
        let inputs = Inputs::of(&self.inputs);
        let mut taken = Known::default();
        let mut folders = HashSet::new();
        for output in &self.outputs {
            let place = Location::of(output);
            inputs.refuse(output, &place)?;
            if let Some(other) = taken.find(&place) {
                return Err(Error::usage(format!(
                    "{} and {} are one file, and both would be written",
                    other.display(),
                    output.display()
                )));
            }
            folders.extend(place.real.parent().map(Path::to_owned));
            taken.add(output, place);
        }
        folders.iter().for_each(|folder| remove_leftovers(folder));
        Ok(())
    }

    /// As [`Self::check_places`]; refuses outputs that are there, too, see [`may_write`].
    ///
    /// # Errors
    /// The first output that is refused, and why.
    pub fn check(&self, overwrite: bool) -> Result<()> {
        self.check_places()?;
        (self.outputs.iter()).try_for_each(|output| may_write(output, overwrite))
    }
}

/// Refuses to write a file that is there already, unless it is to be overwritten and
/// nephos wrote it.
///
/// # Errors
/// The message names the file and a remedy.
pub fn may_write(path: &Path, overwrite: bool) -> Result<()> {
    let refuse = |why: &str| Err(Error::usage(format!("{}: {why}", path.display())));
    if path.is_dir() {
        return refuse("it is a folder; the name of a file is expected");
    }
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    match (is_ours(path), overwrite) {
        (true, true) => Ok(()),
        (true, false) => refuse("it is there already; `options.overwrite` replaces it"),
        (false, true) => refuse(
            "it is there already, and nephos did not write it, so that not even \
             `options.overwrite` replaces it; choose another name, or remove it",
        ),
        (false, false) => refuse(
            "it is there already, and nephos did not write it; choose another name, or remove it",
        ),
    }
}

/// Files by their location, with their names as given.
#[derive(Default)]
struct Known<'a> {
    names: HashMap<PathBuf, &'a Path>,
    ids: HashMap<FileId, &'a Path>,
    /// By names in lower case, as two files in a folder that ignores case can't be called.
    folded: HashMap<String, (&'a Path, Location)>,
}

impl<'a> Known<'a> {
    fn add(&mut self, called: &'a Path, place: Location) {
        if let Some(id) = place.id {
            self.ids.insert(id, called);
        }
        self.names.insert(place.real.clone(), called);
        let folded = place.real.to_string_lossy().to_lowercase();
        self.folded.insert(folded, (called, place));
    }

    /// The file at this location.
    fn find(&self, place: &Location) -> Option<&'a Path> {
        let by_id = || place.id.and_then(|id| self.ids.get(&id)).copied();
        let by_case = || {
            let (called, other) = self
                .folded
                .get(&place.real.to_string_lossy().to_lowercase())?;
            other.is(place).then_some(*called)
        };
        self.names
            .get(&place.real)
            .copied()
            .or_else(by_id)
            .or_else(by_case)
    }
}

/// Locations of the inputs.
struct Inputs<'a> {
    files: Known<'a>,
    /// Folders that are read: all in them is input.
    folders: Vec<(&'a Path, PathBuf, HashSet<FileId>)>,
}

impl<'a> Inputs<'a> {
    fn of(paths: &'a [PathBuf]) -> Self {
        let (mut files, mut folders) = (Known::default(), Vec::new());
        for path in paths {
            if !path.is_dir() {
                let mut known = vec![path.clone()];
                known.extend(SIDECARS.iter().map(|ending| {
                    let mut name = path.as_os_str().to_owned();
                    name.push(ending);
                    PathBuf::from(name)
                }));
                for file in known.iter().filter(|path| path.exists()) {
                    files.add(path, Location::of(file));
                }
            }
            for folder in folders_of(path) {
                let mut ids = HashSet::new();
                gather(&folder, &mut ids, &mut 0);
                folders.push((path.as_path(), real(&folder), ids));
            }
        }
        Self { files, folders }
    }

    fn refuse(&self, output: &Path, place: &Location) -> Result<()> {
        if let Some(input) = self.files.find(place) {
            let own = Location::of(input);
            let what = match input == output {
                true => "this run reads it".to_owned(),
                false if own.real == place.real || own.id.is_some() && own.id == place.id => {
                    format!("it is {}, which this run reads", input.display())
                }
                false => format!("it is part of {}, which this run reads", input.display()),
            };
            return Err(Error::usage(format!(
                "{}: {what}, and an output never replaces an input; choose another name",
                output.display()
            )));
        }
        let holds = |(_, folder, ids): &&(&Path, PathBuf, HashSet<FileId>)| {
            place.real.starts_with(folder) || place.id.is_some_and(|id| ids.contains(&id))
        };
        match self.folders.iter().find(holds) {
            None => Ok(()),
            Some((input, _, _)) => Err(Error::usage(format!(
                "{}: it would be in {}, which this run reads, or replace a file there; choose \
                 another folder",
                output.display(),
                input.display()
            ))),
        }
    }
}

/// The folders that are read with `path`: of a product that is named by its metadata file
/// the one that this is in, of samples those of images and labels.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_dir() {
        let pairs = ["image", "label"].map(|name| path.join(name));
        return match pairs[0].is_dir() {
            true => pairs.into_iter().filter(|folder| folder.is_dir()).collect(),
            false => vec![path.to_owned()],
        };
    }
    let is_metadata = name.starts_with("MTD_MSI") || name.contains("_MTL.");
    if !(is_metadata && path.is_file()) {
        return Vec::new();
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    vec![folder.unwrap_or(Path::new(".")).to_owned()]
}

/// The system's identifiers of the files of a folder.
fn gather(folder: &Path, ids: &mut HashSet<FileId>, seen: &mut usize) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        *seen += 1;
        if *seen > MOST_ENTRIES {
            return;
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => gather(&path, ids, seen),
            _ => ids.extend(fs::metadata(&path).ok().as_ref().and_then(file_id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(declared: &Declared, overwrite: bool) -> String {
        declared.check(overwrite).unwrap_err().to_string()
    }

    #[test]
    fn an_output_is_never_an_input() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("P.SAFE/GRANULE")).unwrap();
        fs::create_dir_all(at("pairs/image")).unwrap();
        for name in [
            "a.tif",
            "a.tif.aux.xml",
            "P.SAFE/GRANULE/B02.jp2",
            "P.SAFE/MTD_MSIL1C.xml",
            "pairs/image/1.tif",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        fs::hard_link(at("P.SAFE/GRANULE/B02.jp2"), at("band.jp2")).unwrap();
        let run = |input: &str, output: &str| {
            Declared::default()
                .reads(at(input))
                .writes(at(output))
                .check(true)
        };
        assert!(run("a.tif", "b.tif").is_ok());
        assert!(run("missing.tif", "missing.tif").is_ok());
        for output in ["a.tif", "./a.tif", "P.SAFE/../a.tif", "a.tif.aux.xml"] {
            let error = run("a.tif", output).unwrap_err().to_string();
            assert!(error.contains("never replaces an input"), "{error}");
        }
        for input in ["P.SAFE", "P.SAFE/MTD_MSIL1C.xml"] {
            for output in ["P.SAFE/new.tif", "P.SAFE/GRANULE/B02.jp2", "band.jp2"] {
                assert!(run(input, output).is_err(), "{input} {output}");
            }
        }
        assert!(run("pairs", "pairs/image/2.tif").is_err());
        assert!(run("pairs", "pairs/masks/2.tif").is_ok());
    }

    #[test]
    fn two_outputs_are_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let twice = Declared::default()
            .writes(at("m.tif"))
            .writes(at("sub/../m.tif"));
        assert!(error(&twice, true).contains("are one file"));
        let two = Declared::default().writes(at("m.tif")).writes(at("n.tif"));
        two.check(false).unwrap();
    }

    #[test]
    fn only_files_that_nephos_wrote_are_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("mine.json"), r#"{"a": 1}"#).unwrap();
        fs::write(at("ours.json"), r#"{"nephos_samples": 1, "parts": []}"#).unwrap();
        let write = |name: &str| Declared::default().writes(at(name));
        for overwrite in [false, true] {
            assert!(error(&write("mine.json"), overwrite).contains("did not write it"));
        }
        assert!(error(&write("ours.json"), false).contains("`options.overwrite` replaces it"));
        write("ours.json").check(true).unwrap();
        write("new.json").check(false).unwrap();
        assert!(error(&write("."), true).contains("folder"));
    }
}
