//! What the product's metadata (`MTD_MSIL1C.xml`, `MTD_MSIL2A.xml`) say.
//!
//! The radiometry comes only from here: neither the product's
//! name nor its date determines whether an offset was added (ESA, Sentinel-2 Products
//! Specification Document, S2-PDGS-TAS-DI-PSD).

use std::path::Path;

use roxmltree::Node;

use super::bands::{self, COUNT, RESOLUTIONS};
use crate::error::{Error, Result};
use crate::raster::xml;

/// The product's metadata, as far as they are used.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// As in `Sentinel-2A`.
    pub spacecraft: String,
    pub level: Level,
    /// As in `05.09`.
    pub baseline: String,
    /// The product's name as the metadata have it.
    pub uri: Option<String>,
    /// Start of the acquisition, ISO 8601.
    pub start: Option<String>,
    /// Stored numbers per unit of reflectance.
    pub quantification: f64,
    /// Numbers added to the stored ones before, by band; `None` where the product
    /// has no list of them.
    pub offsets: Option<[Option<f64>; COUNT]>,
    pub nodata: Option<f64>,
    pub saturated: Option<f64>,
    /// Pixel size of each band in metres.
    pub resolutions: [u32; COUNT],
    /// Image files, as listed.
    pub images: Vec<String>,
}

/// Processing level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Top of atmosphere.
    L1C,
    /// At the surface.
    L2A,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::L1C => "L1C",
            Self::L2A => "L2A",
        }
    }

    /// Elements of the quantification value, since 2018 and before.
    fn quantification(self) -> [&'static str; 2] {
        match self {
            Self::L1C => ["QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE"],
            Self::L2A => ["BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"],
        }
    }

    /// Element of one band's offset.
    pub fn offset(self) -> &'static str {
        match self {
            Self::L1C => "RADIO_ADD_OFFSET",
            Self::L2A => "BOA_ADD_OFFSET",
        }
    }
}

impl Product {
    /// Of the file `path` with the content `bytes`.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let document = xml::parse(path, bytes)?;
        let root = document.root_element();
        let reader = Fields { path, root };
        let level = match reader.text("PROCESSING_LEVEL")? {
            "Level-1C" => Level::L1C,
            // `Level-2Ap` was the pilot phase of 2017.
            "Level-2A" | "Level-2Ap" => Level::L2A,
            other => {
                let message = format!(
                    "element `PROCESSING_LEVEL` is `{other}`; Level-1C and Level-2A are read"
                );
                return Err(Error::unsupported(path.display(), message));
            }
        };
        let [name, older] = level.quantification();
        let name = if xml::find(root, name).is_some() {
            name
        } else {
            older
        };
        let quantification = reader.number(name, reader.text(name)?)?;
        if quantification <= 0.0 {
            return Err(reader.wrong(name, &quantification.to_string(), "more than 0"));
        }
        let numbers = reader.band_numbers()?;
        Ok(Self {
            spacecraft: reader.text("SPACECRAFT_NAME")?.to_owned(),
            level,
            baseline: reader.text("PROCESSING_BASELINE")?.to_owned(),
            uri: reader.optional("PRODUCT_URI"),
            start: reader.optional("PRODUCT_START_TIME"),
            quantification,
            offsets: reader.offsets(level.offset(), &numbers)?,
            nodata: reader.special("NODATA")?,
            saturated: reader.special("SATURATED")?,
            resolutions: reader.resolutions()?,
            images: ["IMAGE_FILE", "IMAGE_FILE_2A", "IMAGE_ID", "IMAGE_ID_2A"]
                .iter()
                .flat_map(|name| xml::all(root, name))
                .map(|image| xml::text(image).to_owned())
                .collect(),
        })
    }

    /// Of images without metadata: what all products have in common, and no more.
    pub fn unknown() -> Self {
        Self {
            spacecraft: "Sentinel-2".to_owned(),
            level: Level::L2A,
            baseline: String::new(),
            uri: None,
            start: None,
            quantification: 10_000.0,
            offsets: None,
            nodata: Some(0.0),
            saturated: Some(65_535.0),
            resolutions: RESOLUTIONS,
            images: Vec::new(),
        }
    }

    /// Number added to the stored ones of a band before.
    ///
    /// # Errors
    /// The product lists offsets, but not this band's.
    pub fn offset(&self, path: &Path, band: usize) -> Result<f64> {
        match &self.offsets {
            None => Ok(0.0),
            Some(offsets) => offsets[band].ok_or_else(|| {
                let name = self.level.offset();
                let message = format!(
                    "the product lists offsets, but element `{name}` with band_id {band} ({}) is \
                     missing",
                    crate::band::SENTINEL2[band].0
                );
                Error::format(path, message)
            }),
        }
    }

    /// Whether products of this baseline should state offsets: ESA's of 04.00 and later.
    pub fn should_have_offsets(&self) -> bool {
        let baseline = self.baseline.parse::<f64>();
        !is_local(&self.baseline) && baseline.is_ok_and(|baseline| baseline >= 4.0)
    }
}

/// Whether a baseline is one of processing outside ESA's ground segment, as users do with
/// Sen2Cor: 99.xx. It implies nothing about offsets.
pub fn is_local(baseline: &str) -> bool {
    baseline.parse().is_ok_and(|baseline: f64| baseline >= 90.0)
}

/// Reads elements of one file, which messages name.
struct Fields<'a> {
    path: &'a Path,
    root: Node<'a, 'a>,
}

impl<'a> Fields<'a> {
    fn wrong(&self, name: &str, found: &str, expected: &str) -> Error {
        let message = format!("element `{name}` is `{found}`, expected is {expected}");
        Error::format(self.path, message)
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        match xml::text_of(self.root, name) {
            "" => {
                let message = format!("element `{name}` is missing or empty");
                Err(Error::format(self.path, message))
            }
            text => Ok(text),
        }
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.text(name).ok().map(str::to_owned)
    }

    fn number(&self, name: &str, text: &str) -> Result<f64> {
        (text.parse().ok())
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.wrong(name, text, "a number"))
    }

    /// The band that each `band_id` means, as far as the metadata state it.
    fn band_numbers(&self) -> Result<Vec<(usize, usize)>> {
        xml::all(self.root, "Spectral_Information")
            .filter_map(|band| Some((band.attribute("bandId")?, band.attribute("physicalBand")?)))
            .map(|(id, name)| {
                let wrong = || {
                    let found = format!("bandId {id}, physicalBand {name}");
                    self.wrong(
                        "Spectral_Information",
                        &found,
                        "a number and one of B1 to B12",
                    )
                };
                let id = id.parse().map_err(|_| wrong())?;
                Ok((id, bands::number(name).ok_or_else(wrong)?))
            })
            .collect()
    }

    /// The offsets by band; without a table of bands, `band_id` counts B1, …, B8,
    /// B8A, B9, …, B12 from 0.
    fn offsets(
        &self,
        name: &str,
        numbers: &[(usize, usize)],
    ) -> Result<Option<[Option<f64>; COUNT]>> {
        let mut elements = xml::all(self.root, name).peekable();
        if elements.peek().is_none() {
            return Ok(None);
        }
        let mut offsets = [None; COUNT];
        for element in elements {
            let text = element.attribute("band_id").unwrap_or_default();
            let id: Option<usize> = text.parse().ok();
            let band = id.and_then(|id| match numbers.is_empty() {
                true => Some(id).filter(|id| *id < COUNT),
                false => numbers
                    .iter()
                    .find(|(own, _)| *own == id)
                    .map(|(_, band)| *band),
            });
            let Some(band) = band else {
                let found = format!("of band_id `{text}`");
                return Err(self.wrong(name, &found, "the number of a band"));
            };
            if offsets[band].is_some() {
                return Err(self.wrong(name, &format!("there twice for band_id {text}"), "one"));
            }
            offsets[band] = Some(self.number(name, xml::text(element))?);
        }
        Ok(Some(offsets))
    }

    /// A stored number with a meaning of its own.
    fn special(&self, meaning: &str) -> Result<Option<f64>> {
        let name = "SPECIAL_VALUE_INDEX";
        xml::all(self.root, "Special_Values")
            .find(|list| xml::text_of(*list, "SPECIAL_VALUE_TEXT") == meaning)
            .map(|list| self.number(name, xml::text_of(list, name)))
            .transpose()
    }

    fn resolutions(&self) -> Result<[u32; COUNT]> {
        let mut resolutions = RESOLUTIONS;
        for band in xml::all(self.root, "Spectral_Information") {
            let number = band.attribute("physicalBand").and_then(bands::number);
            if let (Some(number), Some(resolution)) = (number, xml::find(band, "RESOLUTION")) {
                let text = xml::text(resolution);
                resolutions[number] = (text.parse().ok())
                    .filter(|resolution| *resolution > 0)
                    .ok_or_else(|| self.wrong("RESOLUTION", text, "a number of metres"))?;
            }
        }
        Ok(resolutions)
    }
}
