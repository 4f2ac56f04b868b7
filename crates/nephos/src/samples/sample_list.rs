//! Samples of other containers, by name: a JSON file.
//!
//! ```json
//! {"nephos_samples": 1, "parts": [{"container": "l1c.0000.part.taco", "names": ["a", "b"]}]}
//! ```
//!
//! So a split of a data set in several large files is a list, not a copy. A relative
//! path is relative to the folder of the file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::open::open_as;
use super::table::Table;
use super::{SampleSource, SubsetOf, check_sample};
use crate::error::{Error, Result};
use crate::output::write_atomic;
use crate::scene::{Kind, detect};

/// Version of the layout, and the key that identifies such a file.
const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    nephos_samples: u32,
    parts: Vec<Part>,
}

/// Samples of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Where it is.
    pub container: PathBuf,
    /// Names of the samples, in the order in which they are to come.
    pub names: Vec<String>,
}

/// Samples of other containers, one part after the other.
pub struct SampleList {
    path: PathBuf,
    parts: Vec<Box<dyn SampleSource>>,
    /// Part, position in it, and name of each sample.
    samples: Vec<(usize, usize, String)>,
    metadata: Option<Table>,
}

impl SampleList {
    /// Writes a list of samples to `path`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(path: &Path, parts: &[Part]) -> Result<()> {
        let list = ListFile {
            nephos_samples: VERSION,
            parts: parts.to_vec(),
        };
        write_atomic(path, |out| {
            serde_json::to_writer_pretty(&mut *out, &list)
                .map_err(|e| Error::io(path, std::io::Error::other(e)))?;
            out.write_all(b"\n").map_err(|e| Error::io(path, e))
        })
    }

    /// Opens a list and the containers it names, with arrays as [`open_as`] reads them.
    ///
    /// # Errors
    /// The file is no such list; a container that can't be opened, lacks one of the
    /// samples or is a list itself; two samples of one name.
    pub(crate) fn open_as(path: &Path, channels_last: bool) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let list: ListFile =
            serde_json::from_str(&text).map_err(|e| Error::format(path, e.to_string()))?;
        if list.nephos_samples != VERSION {
            let version = list.nephos_samples;
            let what = format!("layout {version} of another nephos; this one reads {VERSION}");
            return Err(Error::unsupported(path.display(), what));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut parts = Vec::new();
        let mut samples = Vec::new();
        for part in &list.parts {
            let container = folder.join(&part.container);
            if detect(&container)? == Kind::SampleList {
                let what = format!("it lists {}, which is a list itself", container.display());
                return Err(Error::format(path, what));
            }
            let source = open_as(&container, channels_last)?;
            let places: BTreeMap<String, usize> = (0..source.len())
                .map(|index| (source.name(index), index))
                .collect();
            for name in &part.names {
                let index = places.get(name).ok_or_else(|| {
                    let what = format!("{} has no sample `{name}`", container.display());
                    Error::format(path, what)
                })?;
                samples.push((parts.len(), *index, name.clone()));
            }
            parts.push(source);
        }
        let mut names: Vec<&str> = samples.iter().map(|(_, _, name)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let what = format!("it lists a sample `{}` twice", pair[0]);
            return Err(Error::format(path, what));
        }
        Ok(Self {
            path: path.to_owned(),
            metadata: metadata(&parts, &samples),
            parts,
            samples,
        })
    }
}

/// What the parts say of the samples in columns that all of them have; `None` where
/// one says nothing.
fn metadata(parts: &[Box<dyn SampleSource>], samples: &[(usize, usize, String)]) -> Option<Table> {
    let tables: Vec<&Table> = (parts.iter())
        .map(|part| part.metadata().filter(|table| table.len() == part.len()))
        .collect::<Option<_>>()?;
    let columns: Vec<String> = (tables.first()?.columns().iter())
        .filter(|column| tables.iter().all(|table| table.columns().contains(column)))
        .cloned()
        .collect();
    let places: Vec<Vec<usize>> = (tables.iter())
        .map(|table| columns.iter().filter_map(|c| table.position(c)).collect())
        .collect();
    let row = |(part, index, _): &(usize, usize, String)| {
        let value = |column: &usize| tables[*part].value(*index, *column).to_owned();
        places[*part].iter().map(value).collect()
    };
    Table::new(columns.clone(), samples.iter().map(row).collect()).ok()
}

impl SubsetOf for SampleList {
    fn count(&self) -> usize {
        self.samples.len()
    }

    fn route(&self, index: usize) -> Result<(&dyn SampleSource, usize)> {
        check_sample(&self.path, index, self.samples.len())?;
        let (part, place, _) = &self.samples[index];
        Ok((self.parts[*part].as_ref(), *place))
    }

    fn called(&self, index: usize) -> String {
        match self.samples.get(index) {
            Some((_, _, name)) => name.clone(),
            None => index.to_string(),
        }
    }

    fn table(&self) -> Option<&Table> {
        self.metadata.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/taco");
        folder.join(name).canonicalize().unwrap()
    }

    fn part(container: PathBuf, names: &[&str]) -> Part {
        Part {
            container,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn samples_and_metadata_are_those_of_the_parts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(fixture("v1.taco"), folder.path().join("near.taco")).unwrap();
        let [first, second] = ["ROI_00002__20200104", "ROI_00000__20200101"];
        let path = folder.path().join("list.json");
        let parts = [
            part("near.taco".into(), &[first]),
            part(fixture("v1.tortilla"), &[second]),
        ];
        SampleList::write(&path, &parts).unwrap();
        let list = open(&path).unwrap();
        let whole = open(&fixture("v1.taco")).unwrap();
        let table = list.metadata().unwrap();
        let roi = table.position("roi_id").unwrap();
        for (index, (name, place)) in [(first, 4), (second, 1)].into_iter().enumerate() {
            assert_eq!(list.name(index), name);
            assert_eq!(whole.name(place), name);
            let read = |source: &dyn SampleSource, index| {
                (
                    source.read(index, &[2]).unwrap(),
                    source.read_label(index).unwrap(),
                )
            };
            assert_eq!(read(list.as_ref(), index), read(whole.as_ref(), place));
            assert!(name.starts_with(table.value(index, roi)));
        }
        assert!(list.shape(2).is_err());
    }

    #[test]
    fn errors_of_lists_name_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.json");
        let fails = |parts: &[Part], expected: &str| {
            SampleList::write(&path, parts).unwrap();
            let error = open(&path).err().unwrap().to_string();
            assert!(
                error.contains("list.json") && error.contains(expected),
                "{error}"
            );
        };
        let name = "ROI_00000__20200101";
        let taco = || fixture("v1.taco");
        fails(&[part(taco(), &["nobody"])], "no sample `nobody`");
        fails(&[part(taco(), &[name, name])], "twice");
        fails(&[part("list.json".into(), &[])], "a list itself");
        std::fs::write(&path, "{\"nephos_samples\": 9, \"parts\": []}").unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("layout 9"));
        std::fs::write(&path, "{\"samples\": []}").unwrap();
        assert!(detect(&path).is_err());
    }
}
