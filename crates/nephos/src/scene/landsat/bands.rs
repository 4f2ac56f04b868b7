//! The bands of the Landsat sensors.

use crate::band;
use crate::error::{Error, Result};
use crate::scene::raster_names::MSS;

use super::mtl::{CONTENTS, IMAGE, Mtl};

/// What a band measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Reflected sunlight.
    Reflectance,
    /// Emitted thermal radiation.
    Temperature,
}

/// One band of a sensor, as its keys and files name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// As in `REFLECTANCE_MULT_BAND_4` or `FILE_NAME_BAND_6_VCID_1`.
    pub key: &'static str,
    pub quantity: Quantity,
}

const fn reflective(key: &'static str) -> Band {
    let quantity = Quantity::Reflectance;
    Band { key, quantity }
}

const fn thermal(key: &'static str) -> Band {
    let quantity = Quantity::Temperature;
    Band { key, quantity }
}

/// Operational Land Imager and Thermal Infrared Sensor, Landsat 8 and 9. The
/// panchromatic band 8 is on a grid of its own, of 15 m, and left out.
const OLI_TIRS: [Band; 10] = [
    reflective("1"),
    reflective("2"),
    reflective("3"),
    reflective("4"),
    reflective("5"),
    reflective("6"),
    reflective("7"),
    reflective("9"),
    thermal("10"),
    thermal("11"),
];

/// Thematic Mapper, Landsat 4 and 5.
const TM: [Band; 7] = [
    reflective("1"),
    reflective("2"),
    reflective("3"),
    reflective("4"),
    reflective("5"),
    reflective("7"),
    thermal("6"),
];

/// Enhanced Thematic Mapper Plus, Landsat 7. Level-1 has the thermal band twice, with
/// low gain, which does not saturate over hot ground, and with high gain, which is
/// read where the other is not there.
const ETM: [Band; 9] = [
    reflective("1"),
    reflective("2"),
    reflective("3"),
    reflective("4"),
    reflective("5"),
    reflective("7"),
    thermal("6"),
    thermal("6_VCID_1"),
    thermal("6_VCID_2"),
];

/// The product's platform, level and bands.
#[derive(Debug, Clone, Copy)]
pub struct Sensor {
    /// Number of the satellite, 4 to 9.
    pub satellite: u8,
    /// 1: top of the atmosphere; 2: surface.
    pub level: u8,
    pub bands: &'static [Band],
}

impl Sensor {
    /// The sensor that a metadata file names.
    pub fn of(mtl: &Mtl) -> Result<Self> {
        let either = |key: &str| match mtl.get(IMAGE, key) {
            Some(text) => Ok(text),
            None => mtl.text(CONTENTS, key),
        };
        let unsupported = |what: String| {
            let message = format!("{what}; nephos reads TM, ETM+ and OLI of Landsat 4 to 9");
            Error::unsupported(mtl.path().display(), message)
        };
        if either("SENSOR_ID")? == "MSS" {
            return Err(Error::unsupported(mtl.path().display(), MSS));
        }
        let craft = either("SPACECRAFT_ID")?;
        let satellite = (craft.strip_prefix("LANDSAT_"))
            .or(craft.strip_prefix("Landsat"))
            .and_then(|number| number.parse().ok())
            .filter(|number| (4..=9).contains(number))
            .ok_or_else(|| unsupported(format!("SPACECRAFT_ID is `{craft}`")))?;
        let sensor = either("SENSOR_ID")?;
        let bands: &[Band] = match sensor {
            "OLI_TIRS" | "OLI" | "TIRS" => &OLI_TIRS,
            "TM" => &TM,
            "ETM" | "ETM+" => &ETM,
            other => return Err(unsupported(format!("SENSOR_ID is `{other}`"))),
        };
        let level = if processing(mtl)?.starts_with("L2") {
            2
        } else {
            1
        };
        Ok(Self {
            satellite,
            level,
            bands,
        })
    }

    /// Name of a band in the product, as in `B4`, `SR_B4` or `ST_B10`.
    pub fn source(&self, band: Band) -> String {
        match (self.level, band.quantity) {
            (2, Quantity::Reflectance) => format!("SR_B{}", band.key),
            (2, Quantity::Temperature) => format!("ST_B{}", band.key),
            _ => format!("B{}", band.key),
        }
    }

    /// STAC common name of a band.
    pub fn name(&self, band: Band) -> String {
        let source = self.source(band);
        band::landsat(self.satellite, &source).map_or(source, str::to_owned)
    }

    /// The end of a band's keys in the metadata: Level-2 temperatures have the key
    /// `…_BAND_ST_B10`, all else `…_BAND_4`.
    pub fn suffix(&self, band: Band) -> String {
        match (self.level, band.quantity) {
            (2, Quantity::Temperature) => format!("ST_B{}", band.key),
            _ => band.key.to_owned(),
        }
    }
}

/// Processing level, as in `L1TP` or `L2SP`.
pub fn processing(mtl: &Mtl) -> Result<&str> {
    match mtl.get(CONTENTS, "PROCESSING_LEVEL") {
        Some(level) => Ok(level),
        // Before Collection 2.
        None => mtl
            .get(CONTENTS, "DATA_TYPE")
            .map_or_else(|| mtl.text(CONTENTS, "PROCESSING_LEVEL"), Ok),
    }
}
