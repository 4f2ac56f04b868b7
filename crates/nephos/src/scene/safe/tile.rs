//! What the tile's metadata (`MTD_TL.xml`) say.

use std::path::Path;

use roxmltree::Node;

use crate::error::{Error, Result};
use crate::raster::{GeoKeys, Georeference, xml};
use crate::scene::SunAngles;

/// Longest side of a grid in pixels; real ones have 10980.
const LONGEST_SIDE: usize = 1 << 16;

/// The tile's metadata, as far as they are used.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// EPSG code of the coordinate system; `None` where it is not known.
    pub epsg: Option<u16>,
    /// The tile's grids, the finest first.
    pub grids: Vec<TileGrid>,
    pub sun: Option<SunAngles>,
    /// Sensing time of the tile, ISO 8601.
    pub sensed: Option<String>,
}

/// The grid of one pixel size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TileGrid {
    /// Pixel size in metres.
    pub resolution: u32,
    /// Rows and columns.
    pub size: [usize; 2],
    /// In GDAL's order.
    pub transform: [f64; 6],
}

impl Tile {
    /// Of the file `path` with the content `bytes`.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let document = xml::parse(path, bytes)?;
        let root = document.root_element();
        let code = xml::text_of(root, "HORIZONTAL_CS_CODE");
        let digits = code
            .get(..5)
            .filter(|start| start.eq_ignore_ascii_case("EPSG:"));
        let epsg = (digits.and_then(|_| code[5..].parse().ok()))
            .ok_or_else(|| wrong(path, "HORIZONTAL_CS_CODE", code, "as in EPSG:32631"))?;
        let mut grids: Vec<TileGrid> = Vec::new();
        for size in xml::all(root, "Size") {
            let grid = grid(path, root, size)?;
            if grids.iter().any(|own| own.resolution == grid.resolution) {
                let found = format!("there twice for resolution {}", grid.resolution);
                return Err(wrong(path, "Size", &found, "one"));
            }
            grids.push(grid);
        }
        if grids.is_empty() {
            return Err(Error::format(path, "element `Size` is missing"));
        }
        grids.sort_by_key(|grid| grid.resolution);
        Ok(Self {
            epsg: Some(epsg),
            grids,
            sun: sun(path, root)?,
            sensed: Some(xml::text_of(root, "SENSING_TIME").to_owned())
                .filter(|time| !time.is_empty()),
        })
    }

    /// The grid of a pixel size in metres.
    pub fn grid(&self, resolution: u32) -> Option<&TileGrid> {
        self.grids.iter().find(|grid| grid.resolution == resolution)
    }

    /// Georeference of the tile on one of its grids.
    pub fn georeference(&self, grid: &TileGrid) -> Georeference {
        match self.epsg {
            None => Georeference::default(),
            Some(epsg) => Georeference::new(Some(grid.transform), Some(GeoKeys::projected(epsg))),
        }
    }
}

fn wrong(path: &Path, name: &str, found: &str, expected: &str) -> Error {
    let message = format!("element `{name}` is `{found}`, expected is {expected}");
    Error::format(path, message)
}

/// Number in the element `name` within `parent`.
fn number(path: &Path, parent: Node<'_, '_>, name: &str) -> Result<f64> {
    let text = xml::text_of(parent, name);
    (text.parse().ok())
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| wrong(path, name, text, "a number"))
}

/// A grid from its `Size` and the `Geoposition` of the same pixel size.
fn grid(path: &Path, root: Node<'_, '_>, size: Node<'_, '_>) -> Result<TileGrid> {
    let text = size.attribute("resolution").unwrap_or_default();
    let resolution = (text.parse().ok())
        .filter(|resolution| *resolution > 0)
        .ok_or_else(|| wrong(path, "Size", text, "a number of metres as resolution"))?;
    let side = |name| {
        let side = number(path, size, name)?;
        match side.fract() == 0.0 && (1.0..=LONGEST_SIDE as f64).contains(&side) {
            true => Ok(side as usize),
            false => {
                let expected = format!("a whole number of 1 to {LONGEST_SIDE}");
                Err(wrong(path, name, &side.to_string(), &expected))
            }
        }
    };
    let place = xml::all(root, "Geoposition")
        .find(|place| place.attribute("resolution") == Some(text))
        .ok_or_else(|| {
            let message = format!("element `Geoposition` with resolution {text} is missing");
            Error::format(path, message)
        })?;
    let of_place = |name| number(path, place, name);
    let step = |name| match of_place(name)? {
        0.0 => Err(wrong(path, name, "0", "a pixel's size")),
        step => Ok(step),
    };
    Ok(TileGrid {
        resolution,
        size: [side("NROWS")?, side("NCOLS")?],
        transform: [
            of_place("ULX")?,
            step("XDIM")?,
            0.0,
            of_place("ULY")?,
            0.0,
            step("YDIM")?,
        ],
    })
}

/// The mean angles; `None` where they are not there or NaN, as in some products.
fn sun(path: &Path, root: Node<'_, '_>) -> Result<Option<SunAngles>> {
    let Some(mean) = xml::find(root, "Mean_Sun_Angle") else {
        return Ok(None);
    };
    let angle = |name: &str| match xml::text_of(mean, name) {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(angle) => Ok(Some(angle).filter(|angle| angle.is_finite())),
            Err(_) => Err(wrong(path, name, text, "a number of degrees")),
        },
    };
    let (zenith, azimuth) = (angle("ZENITH_ANGLE")?, angle("AZIMUTH_ANGLE")?);
    Ok(zenith.zip(azimuth).map(|(zenith, azimuth)| SunAngles {
        elevation: 90.0 - zenith,
        azimuth,
    }))
}
