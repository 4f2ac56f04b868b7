//! External masks: one file per sample in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::class::{CLASS_COUNT, Class, IGNORE};
use crate::error::{Error, Result};
use crate::mask;
use crate::text;

/// What a mask's name may end in; the first that is there counts.
const ENDINGS: [&str; 4] = ["tif", "tiff", "png", "npy"];

/// Class masks of samples, `FOLDER/SAMPLE.tif` (or .png, .npy), and what their codes mean.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskFolder {
    folder: PathBuf,
    /// Class, or 255, of each code; codes that are not listed are errors.
    classes: BTreeMap<u8, u8>,
}

impl MaskFolder {
    /// The masks in `folder`. Codes mean what they do in masks of nephos, unless `map` redefines
    /// them.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn open(folder: &Path, map: &BTreeMap<u8, u8>) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::usage(format!(
                "{}: a folder with one mask per sample, SAMPLE.tif, .png or .npy, is expected",
                folder.display()
            )));
        }
        let mut classes: BTreeMap<u8, u8> =
            (0..CLASS_COUNT as u8).map(|code| (code, code)).collect();
        classes.insert(IGNORE, IGNORE);
        classes.extend(map);
        Ok(Self {
            folder: folder.to_owned(),
            classes,
        })
    }

    /// The mask of the sample called by the first of `names` that there is a file of, in
    /// classes, 255 where not predicted.
    ///
    /// # Errors
    /// No such file, one that can't be read, of another size than `[rows, cols]`, or with a
    /// code that is not mapped.
    pub fn read(&self, names: &[String], [rows, cols]: [usize; 2]) -> Result<Array2<u8>> {
        let path = self.find(names)?;
        let mut classes = mask::read(&path)?;
        if classes.dim() != (rows, cols) {
            return Err(Error::format(
                &path,
                format!(
                    "a mask of {} × {} pixels for a sample of {rows} × {cols}",
                    classes.nrows(),
                    classes.ncols()
                ),
            ));
        }
        let mut unknown = BTreeMap::new();
        classes.mapv_inplace(|code| match self.classes.get(&code) {
            Some(class) => *class,
            None => {
                *unknown.entry(code).or_insert(0u64) += 1;
                IGNORE
            }
        });
        match unknown.into_iter().next() {
            None => Ok(classes),
            Some((code, pixels)) => {
                let known: Vec<String> = self.classes.keys().map(u8::to_string).collect();
                Err(Error::format(
                    &path,
                    format!(
                        "code {code} in {}; known are {}. `options.map` says what it means",
                        text::count(pixels, "pixel"),
                        known.join(", ")
                    ),
                ))
            }
        }
    }

    fn find(&self, names: &[String]) -> Result<PathBuf> {
        for name in names {
            let found = ENDINGS
                .map(|ending| self.folder.join(format!("{name}.{ending}")))
                .into_iter()
                .find(|path| path.is_file());
            if let Some(path) = found {
                return Ok(path);
            }
        }
        Err(Error::usage(format!(
            "{}: no mask of the sample {}: {}.tif, .png or .npy is expected",
            self.folder.display(),
            names.first().map_or("", String::as_str),
            names.join(".tif, .png or .npy, or ")
        )))
    }
}

/// The class, or 255, that a word of a map of codes names: a class's name or its code;
/// cloud alone counts as thick.
pub fn class_of(word: &str) -> Option<u8> {
    match word {
        "cloud" => Some(Class::Thick as u8),
        "none" => Some(IGNORE),
        _ => match Class::ALL.into_iter().find(|class| class.short() == word) {
            Some(class) => Some(class as u8),
            None => (word.parse().ok())
                .filter(|code| *code == IGNORE || usize::from(*code) < CLASS_COUNT),
        },
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn codes_become_classes_and_unmapped_ones_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a", "b", "c"].map(str::to_owned);
        mask::write(
            &folder.path().join("a.tif"),
            &array![[0, 1], [2, 255]],
            None,
        )
        .unwrap();
        mask::write(&folder.path().join("b.png"), &array![[0, 7]], None).unwrap();
        let map = [(1, 1), (2, 3)].into();
        let masks = MaskFolder::open(folder.path(), &map).unwrap();
        let read = |at: usize, size| masks.read(&names[at..=at], size);
        assert_eq!(read(0, [2, 2]).unwrap(), array![[0, 1], [3, 255]]);
        let size = read(0, [2, 3]).unwrap_err().to_string();
        assert!(
            size.contains("a.tif") && size.contains("2 × 2") && size.contains("2 × 3"),
            "{size}"
        );
        let code = read(1, [1, 2]).unwrap_err().to_string();
        assert!(
            code.contains("b.png") && code.contains("code 7 in 1 pixel;"),
            "{code}"
        );
        let missing = read(2, [1, 2]).unwrap_err().to_string();
        assert!(
            missing.contains("sample c") && missing.contains("c.tif"),
            "{missing}"
        );
        // The first name of which there is a file.
        assert!(
            masks
                .read(&[names[2].clone(), names[0].clone()], [2, 2])
                .is_ok()
        );
        assert!(MaskFolder::open(&folder.path().join("a.tif"), &map).is_err());
    }

    #[test]
    fn words_are_classes() {
        let words = [
            "clear", "cloud", "thick", "thin", "shadow", "none", "3", "255",
        ];
        assert_eq!(
            words.map(|w| class_of(w).unwrap()),
            [0, 1, 1, 2, 3, 255, 3, 255]
        );
        assert_eq!((class_of("4"), class_of("snow")), (None, None));
    }
}
