//! Image and label of one sample.

use std::path::Path;

use super::index::{self, Entry};
use super::section::Section;
use crate::error::{Error, Result};
use crate::raster::format::{RasterFormat, RasterHeader};
use crate::raster::tiff;

/// Words that the name of a label's file has.
const LABEL_WORDS: [&str; 3] = ["target", "label", "mask"];

/// Position of image and label of a sample.
pub struct Sample {
    pub image: Section,
    pub label: Option<Section>,
    pub header: RasterHeader,
}

impl Sample {
    /// A sample that is a GeoTIFF, whose channels may hold the label; or a tortilla or
    /// a folder, of whose GeoTIFFs the label is the one named so, or else the second,
    /// as in CloudSEN12+, and the image the first that is not the label.
    pub fn find(path: &Path, whole: &Section) -> Result<Self> {
        let is_tiff =
            |section: &Section| RasterFormat::of(section.bytes()) == Some(RasterFormat::Tiff);
        if is_tiff(whole) {
            return Self::of(path, whole.clone(), None);
        }
        let files: Vec<(Entry, Section)> = (index::children(path, whole)?.into_iter())
            .map(|entry| {
                let section = whole.at(entry.range.clone());
                (entry, section)
            })
            .filter(|(_, section)| is_tiff(section))
            .collect();
        let is_label = |name: &str| {
            let name = name.to_ascii_lowercase();
            LABEL_WORDS.iter().any(|word| name.contains(word))
        };
        let label = (files.iter())
            .position(|(entry, _)| is_label(&entry.name))
            .or((files.len() > 1).then_some(1));
        let image = (0..files.len()).find(|position| Some(*position) != label);
        let Some(image) = image else {
            return Err(Error::format(
                path,
                "the sample holds no GeoTIFF but a label",
            ));
        };
        let label = label.map(|label| files[label].1.clone());
        Self::of(path, files[image].1.clone(), label)
    }

    fn of(path: &Path, image: Section, label: Option<Section>) -> Result<Self> {
        let header = tiff::header_of(&image.raster(path)?);
        Ok(Self {
            image,
            label,
            header,
        })
    }
}
