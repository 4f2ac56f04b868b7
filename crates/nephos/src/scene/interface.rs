//! Whole scenes: rasters with a georeference, named bands and a known radiometry.

use std::path::PathBuf;

use ndarray::Array3;

use super::Radiometry;
use crate::band;
use crate::error::{Error, Result};
use crate::raster::{DType, Georeference, Window};
use crate::text::one_line;

/// A satellite scene that is read window by window, whatever its format.
pub trait Scene: Send + Sync {
    /// Metadata of the scene, available without reading a pixel.
    fn info(&self) -> &SceneInfo;

    /// The chosen bands (positions in [`SceneInfo::bands`]) of a window,
    /// `[bands.len(), window.rows, window.cols]`: reflectance (0 to about 1; thermal
    /// bands: brightness temperature / 100 K), NaN where there is no data. A
    /// saturated pixel is valid, see [`Radiometry`].
    ///
    /// May be called from several threads at once. Windows that follow one another
    /// down the scene, each as wide as it and a multiple of [`SceneInfo::block`]
    /// high, decode nothing twice.
    ///
    /// # Errors
    /// A band or window that is not within the scene, or a broken file.
    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>>;

    /// What is taken as no data without being declared as such, one sentence each.
    fn no_data(&self) -> &[String] {
        &[]
    }
}

impl<S: Scene + ?Sized> Scene for Box<S> {
    fn info(&self) -> &SceneInfo {
        (**self).info()
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        (**self).read(bands, window)
    }

    fn no_data(&self) -> &[String] {
        (**self).no_data()
    }
}

/// Metadata of a scene, available without reading a pixel.
#[derive(Debug, Clone)]
pub struct SceneInfo {
    /// Name for output files: a file's stem, or the product's identifier.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// In words, as in `Sentinel-2A L2A, processing baseline 04.00`.
    pub product: String,
    /// Rows and columns.
    pub size: [usize; 2],
    /// Rows and columns that are decoded as one.
    pub block: [usize; 2],
    /// Coordinate system and transform.
    pub georeference: Georeference,
    /// The bands of the scene.
    pub bands: Vec<SceneBand>,
    /// Sun angles, where they are stated.
    pub sun: Option<SunAngles>,
    /// When the scene was taken, ISO 8601 in UTC, where it is stated.
    pub acquired: Option<String>,
    /// Assumptions that the user should read, one sentence each.
    pub notes: Vec<String>,
}

/// One band of a scene.
#[derive(Debug, Clone)]
pub struct SceneBand {
    /// STAC common name where the band has one, else the name in the file.
    pub name: String,
    /// The name in the product, as in `B04` or `SR_B4`.
    pub source: String,
    /// Number format in the file.
    pub dtype: DType,
    /// Size of its own pixels in metres, where it differs from the scene's or is
    /// stated.
    pub resolution: Option<f64>,
    /// How stored numbers become reflectance.
    pub radiometry: Radiometry,
}

/// Position of the sun at the scene's centre, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SunAngles {
    /// Above the horizon.
    pub elevation: f64,
    /// Clockwise from north.
    pub azimuth: f64,
}

/// How a scene is opened, where its own metadata are not to decide.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SceneOptions {
    /// Pixel size in metres of the grid that all bands are brought to; only for
    /// products whose bands have several (Sentinel-2: 10, 20 or 60).
    pub resolution: Option<f64>,
    /// Names of the file's bands in order, in place of its own; `-` for each
    /// that is to be no band of the scene.
    pub bands: Option<Vec<String>>,
    /// Names that `bands` may have beside STAC's common names: the model's.
    pub model_bands: Vec<String>,
    /// Reflectance = (stored + `offset`) / `scale`, in place of the metadata's.
    pub scale: Option<f64>,
    /// See `scale`; stored units.
    pub offset: Option<f64>,
    /// Stored number that means no data, in place of the metadata's and of fills that are
    /// recognised; NaN: no number does.
    pub nodata: Option<f64>,
    /// Accepts numbers that can't be reflectance as they are read; see
    /// [`implausible`](super::implausible).
    pub assume_reflectance: bool,
    /// Only what the file itself declares is no data, and no fill is recognised: for
    /// numbers that are codes, such as labels.
    pub declared_only: bool,
}

impl SceneOptions {
    /// Of numbers that are taken as the file stores them: codes and counts.
    pub(crate) fn stored() -> Self {
        Self {
            scale: Some(1.0),
            offset: Some(0.0),
            declared_only: true,
            ..Self::default()
        }
    }
}

impl SceneBand {
    /// Both names, as in `red (B04)`, on one line whatever they hold.
    pub fn label(&self) -> String {
        let name = one_line(&self.name);
        if self.source == self.name {
            name.into_owned()
        } else {
            format!("{name} ({})", one_line(&self.source))
        }
    }
}

impl SceneInfo {
    /// How the numbers of `bands` become reflectance, one line for each group of bands
    /// that share a radiometry, as in `blue, green: stored × 0.0001 − 0.1`.
    ///
    /// # Panics
    /// A position is no band of the scene.
    pub fn radiometry(&self, bands: &[usize]) -> Vec<String> {
        let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
        for band in bands.iter().map(|band| &self.bands[*band]) {
            let radiometry = band.radiometry.to_string();
            match groups.iter_mut().find(|(known, _)| *known == radiometry) {
                Some((_, names)) => names.push(&band.name),
                None => groups.push((radiometry, vec![&band.name])),
            }
        }
        let line = |(radiometry, names): (String, Vec<&str>)| {
            format!("{}: {radiometry}", names.join(", "))
        };
        groups.into_iter().map(line).collect()
    }

    /// Positions of the bands `requested`, by common or agency name, in their order;
    /// where a sensor lacks one, that of [`band::substitute`].
    ///
    /// # Errors
    /// The first band that the scene lacks, with a list of those it has.
    pub fn positions(&self, requested: &[String]) -> Result<Vec<usize>> {
        let find = |name: &String| self.position(name, true).ok_or_else(|| self.missing(name));
        requested.iter().map(find).collect()
    }

    /// Position of the band `name`, or, where `substitute` holds and there is none, of
    /// its substitute.
    pub(crate) fn position(&self, name: &str, substitute: bool) -> Option<usize> {
        let named = |requested: &str| {
            (self.bands.iter()).position(|band| band::canonical(&band.name) == requested)
        };
        // A known name is a band by itself: `B05` of Sentinel-2 is not Landsat's.
        let is_own = |band: &SceneBand| band.source.eq_ignore_ascii_case(name);
        let own = || self.bands.iter().position(is_own);
        named(&band::canonical(name))
            .or_else(|| own().filter(|_| !band::is_known(name)))
            .or_else(|| named(band::substitute(name).filter(|_| substitute)?))
    }

    /// What [`SceneInfo::positions`] took in place of a band that the sensor lacks, one
    /// sentence each.
    ///
    /// # Panics
    /// `positions` are not those of `requested`.
    pub fn substitutes(&self, requested: &[String], positions: &[usize]) -> Vec<String> {
        assert_eq!(requested.len(), positions.len(), "one position per band");
        let sentence = |(name, position): (&String, &usize)| {
            let band = &self.bands[*position];
            let same = band::canonical(name) == band::canonical(&band.name)
                || band.source.eq_ignore_ascii_case(name);
            (!same).then(|| format!("The model's band {name} is read from {}.", band.label()))
        };
        requested
            .iter()
            .zip(positions)
            .filter_map(sentence)
            .collect()
    }

    pub(crate) fn missing(&self, name: &str) -> Error {
        let have: Vec<String> = self.bands.iter().map(SceneBand::label).collect();
        // Why a band is not there that may be this one.
        let because: String = (self.notes.iter())
            .filter(|note| note.contains("left out") || note.contains("`options.bands`"))
            .map(|note| format!(". {}", note.trim_end_matches('.')))
            .collect();
        Error::usage(format!(
            "{}: the model needs band `{name}`; the scene has {}. Where these names are \
             wrong, say them with `options.bands`{because}",
            self.path.display(),
            have.join(", ")
        ))
    }

    /// Refuses bands and windows that are not within the scene.
    ///
    /// # Errors
    /// The message has the requested and the existing range.
    pub fn check(&self, bands: &[usize], window: Window) -> Result<()> {
        window.check(&self.path, self.size)?;
        crate::raster::check_channels(&self.path, bands, self.bands.len())
    }
}
