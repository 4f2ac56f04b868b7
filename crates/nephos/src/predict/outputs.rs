//! Which files a scene becomes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::mask::{self, MaskFormat};
use crate::scene::SceneInfo;

/// A file that is written beside the mask on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SideOutput {
    /// Class probabilities, `MASK_probabilities.tif`.
    Probabilities,
    /// Cloud or no cloud, `MASK_cloud.tif`.
    Cloud,
    /// Cloud and shadow as polygons, `MASK.geojson`.
    Polygons,
    /// A STAC item, `MASK.stac.json`.
    Stac,
    /// A picture with a legend, `MASK_quicklook.png`.
    Quicklook,
    /// A page to look at in a browser, `MASK.html`.
    Page,
    /// A style for QGIS in which clear is transparent, `MASK.qml`.
    Style,
    /// The shares of the classes, `MASK.json`.
    Summary,
}

impl SideOutput {
    /// All of them, in the order in which they are written: the summary last, so
    /// that it marks the outputs as complete.
    pub const ALL: [Self; 8] = [
        Self::Probabilities,
        Self::Cloud,
        Self::Polygons,
        Self::Stac,
        Self::Quicklook,
        Self::Page,
        Self::Style,
        Self::Summary,
    ];

    /// Name in options and in a STAC item's assets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Cloud => "cloud",
            Self::Polygons => "polygons",
            Self::Stac => "stac",
            Self::Quicklook => "quicklook",
            Self::Page => "html",
            Self::Style => "style",
            Self::Summary => "summary",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Probabilities => "_probabilities.tif",
            Self::Cloud => "_cloud.tif",
            Self::Polygons => ".geojson",
            Self::Stac => ".stac.json",
            Self::Quicklook => "_quicklook.png",
            Self::Page => ".html",
            Self::Style => ".qml",
            Self::Summary => ".json",
        }
    }
}

/// The mask of a scene, and what is written beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// The mask.
    pub mask: PathBuf,
    /// What is written beside it.
    pub side_outputs: BTreeSet<SideOutput>,
}

impl Outputs {
    /// The file of `output`: the mask's name with another ending.
    pub fn path(&self, output: SideOutput) -> PathBuf {
        let stem = self.mask.file_stem().unwrap_or_default();
        let mut name = stem.to_owned();
        name.push(output.suffix());
        self.mask.with_file_name(name)
    }

    /// Refuses files that are made of a GeoTIFF mask beside one of another format, and
    /// quick-looks without the feature `figures`.
    ///
    /// # Errors
    /// Which file, and what its mask must be; a mask of an unknown format.
    pub fn check(&self) -> Result<()> {
        if cfg!(not(feature = "figures")) && self.side_outputs.contains(&SideOutput::Quicklook) {
            let message = "a quick-look needs nephos built with the feature `figures`";
            let path = self.path(SideOutput::Quicklook);
            return Err(Error::unsupported(path.display(), message));
        }
        let free = [
            SideOutput::Probabilities,
            SideOutput::Quicklook,
            SideOutput::Page,
            SideOutput::Summary,
        ];
        let bound = self
            .side_outputs
            .iter()
            .find(|output| !free.contains(output));
        match (MaskFormat::of(&self.mask)?, bound) {
            (MaskFormat::Png | MaskFormat::Numpy, Some(output)) => Err(Error::usage(format!(
                "`options.side_outputs = {}`: it is made of a mask as .tif, and the mask is {}",
                output.name(),
                self.mask.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses files that can't be made of a scene at this place, before anything is
    /// computed for it: polygons need its pixels' size, a STAC item its location.
    ///
    /// # Errors
    /// Which file, and what the scene lacks; as [`Self::check`].
    pub fn check_scene(&self, info: &SceneInfo) -> Result<()> {
        self.check()?;
        if self.side_outputs.contains(&SideOutput::Polygons) {
            mask::check_polygons(&info.georeference)?;
        }
        if self.side_outputs.contains(&SideOutput::Stac) {
            mask::check_stac(&info.georeference)?;
        }
        Ok(())
    }

    /// All files that are written: [`Self::paths`], and what always goes with a mask of this
    /// format.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = self.paths();
        if let Ok(format) = MaskFormat::of(&self.mask) {
            files.splice(1..1, format.side_files(&self.mask));
        }
        files
    }

    /// Removes the records of a mask that is about to be replaced: they describe that mask
    /// alone.
    ///
    /// # Errors
    /// One is there and can't be removed.
    pub(super) fn remove_records(&self) -> Result<()> {
        let records = [
            self.path(SideOutput::Summary),
            mask::class_names_path(&self.mask),
        ];
        for path in self.files().iter().filter(|path| records.contains(path)) {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All requested files, the mask first, the summary last.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.mask.clone()];
        paths.extend(self.side_outputs.iter().map(|output| self.path(*output)));
        paths
    }

    /// The file of `output`, where it is requested.
    pub(super) fn requested(&self, output: SideOutput) -> Option<PathBuf> {
        self.side_outputs
            .contains(&output)
            .then(|| self.path(output))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn files_are_named_after_the_mask() {
        let outputs = Outputs {
            mask: PathBuf::from("out/T29UNU.60m.tif"),
            side_outputs: BTreeSet::from(SideOutput::ALL),
        };
        let paths = outputs.paths();
        assert_eq!(paths[0], Path::new("out/T29UNU.60m.tif"));
        assert_eq!(paths[1], Path::new("out/T29UNU.60m_probabilities.tif"));
        assert_eq!(paths[6], Path::new("out/T29UNU.60m.html"));
        assert_eq!(paths[8], Path::new("out/T29UNU.60m.json"));
        assert!(outputs.requested(SideOutput::Stac).is_some());
    }
}
