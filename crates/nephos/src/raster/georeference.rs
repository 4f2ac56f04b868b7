//! Georeferences: coordinate system and transform of a raster.

/// Coordinate system and transform of a raster, as a GeoTIFF has them; either may
/// be absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Georeference {
    /// From pixels to coordinates in GDAL's order: x = t₀ + column·t₁ + row·t₂,
    /// y = t₃ + column·t₄ + row·t₅. Column and row 0 are the outer corner of the
    /// first pixel, also where the file's raster type is PixelIsPoint.
    pub transform: Option<[f64; 6]>,
    /// The coordinate system.
    pub keys: Option<GeoKeys>,
    /// Ground control points, as ModelTiepointTag has them: column, row, 0, x, y, z.
    /// Only where there is no transform.
    pub points: Vec<[f64; 6]>,
    /// Rational polynomial coefficients, the 92 numbers of RPCCoefficientTag; empty
    /// where there are none.
    pub rpc: Vec<f64>,
}

/// A coordinate system as GeoTIFF keys (OGC 19-008r4), kept unchanged so that
/// they are copied exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoKeys {
    /// GeoKeyDirectoryTag (34735): a header of four numbers, then four per key.
    pub directory: Vec<u16>,
    /// GeoDoubleParamsTag (34736).
    pub doubles: Vec<f64>,
    /// GeoAsciiParamsTag (34737).
    pub ascii: String,
}

/// Numbers of RPCCoefficientTag.
pub(crate) const RPC_NUMBERS: usize = 92;

/// GTModelTypeGeoKey: 1 projected, 2 geographic.
const MODEL_TYPE: u16 = 1024;
/// GTRasterTypeGeoKey: 1 PixelIsArea, 2 PixelIsPoint.
const RASTER_TYPE: u16 = 1025;
/// GeodeticCRSGeoKey: EPSG code of a geographic system.
const GEODETIC: u16 = 2048;
/// ProjectedCRSGeoKey: EPSG code of a projected system.
const PROJECTED: u16 = 3072;
/// ProjLinearUnitsGeoKey.
const LINEAR_UNITS: u16 = 3076;
/// Keys with names in words: citations.
const CITATIONS: [u16; 3] = [1026, 2049, 3073];
/// Code of the metre.
const METRE: u16 = 9001;
/// Codes of the international and of the US survey foot.
const FOOT: u16 = 9002;
const US_FOOT: u16 = 9003;
/// Code that means user-defined.
const USER_DEFINED: u16 = 32767;

impl GeoKeys {
    /// The keys of a projected system in metres, as UTM zones are.
    pub fn projected(epsg: u16) -> Self {
        let keys = [
            (MODEL_TYPE, 1),
            (RASTER_TYPE, 1),
            (PROJECTED, epsg),
            (LINEAR_UNITS, METRE),
        ];
        let mut directory = vec![1, 1, 0, keys.len() as u16];
        for (key, value) in keys {
            directory.extend([key, 0, 1, value]);
        }
        Self {
            directory,
            doubles: Vec::new(),
            ascii: String::new(),
        }
    }

    /// The keys of a geographic system in degrees, as 4326 is.
    pub fn geographic(epsg: u16) -> Self {
        let keys = [(MODEL_TYPE, 2), (RASTER_TYPE, 1), (GEODETIC, epsg)];
        let mut directory = vec![1, 1, 0, keys.len() as u16];
        for (key, value) in keys {
            directory.extend([key, 0, 1, value]);
        }
        Self {
            directory,
            doubles: Vec::new(),
            ascii: String::new(),
        }
    }

    /// The keys of the system with this EPSG code, in its own unit of length.
    pub(crate) fn of_epsg(epsg: u16, geographic: bool) -> Self {
        if geographic {
            return Self::geographic(epsg);
        }
        let mut keys = Self::projected(epsg);
        let unit = proj4rs::Proj::from_epsg_code(epsg).map_or(1.0, |system| system.to_meter());
        let codes = [(METRE, 1.0), (FOOT, 0.3048), (US_FOOT, 1200.0 / 3937.0)];
        let code = codes
            .iter()
            .find(|(_, metres)| (metres / unit - 1.0).abs() < 1e-9);
        // A system's own unit applies where the key is missing.
        match (code, keys.directory.last_mut()) {
            (Some((code, _)), Some(last)) => *last = *code,
            _ => {
                keys.directory
                    .truncate(keys.directory.len().saturating_sub(4));
                keys.directory[3] -= 1;
            }
        }
        keys
    }

    /// The value of a key that is a short number.
    pub fn short(&self, key: u16) -> Option<u16> {
        (self.directory.get(4..)?.chunks_exact(4))
            .find(|entry| entry[0] == key && entry[1] == 0)
            .map(|entry| entry[3])
    }

    /// The value of a key that is a number of GeoDoubleParamsTag.
    pub fn double(&self, key: u16) -> Option<f64> {
        let entry = (self.directory.get(4..)?.chunks_exact(4))
            .find(|entry| entry[0] == key && entry[1] == 34736)?;
        self.doubles.get(usize::from(entry[3])).copied()
    }

    /// EPSG code of the system, where it is given by one.
    pub fn epsg(&self) -> Option<u16> {
        let key = match self.short(MODEL_TYPE)? {
            1 => PROJECTED,
            2 => GEODETIC,
            _ => return None,
        };
        self.short(key)
            .filter(|code| !matches!(*code, 0 | USER_DEFINED))
    }

    /// Whether both are one system: of one EPSG code, or where it has none the same but
    /// for citations and for the raster type (pixel is area or point).
    pub fn is_same_system(&self, other: &Self) -> bool {
        match (self.epsg(), other.epsg()) {
            (None, None) => self.parameters() == other.parameters(),
            (one, other) => one == other,
        }
    }

    /// The keys that define the system, each with its numbers, in order.
    fn parameters(&self) -> Vec<(u16, Vec<f64>)> {
        /// Location of numbers in GeoDoubleParamsTag.
        const DOUBLES: u16 = 34736;
        let mut keys: Vec<(u16, Vec<f64>)> = (self.directory.get(4..).unwrap_or_default())
            .chunks_exact(4)
            .filter(|entry| entry[0] != RASTER_TYPE && !CITATIONS.contains(&entry[0]))
            .map(|entry| {
                let (first, count) = (usize::from(entry[3]), usize::from(entry[2]));
                let numbers = match entry[1] {
                    0 => vec![f64::from(entry[3])],
                    DOUBLES => {
                        let numbers = self.doubles.get(first..first + count);
                        numbers.unwrap_or_default().to_vec()
                    }
                    _ => Vec::new(),
                };
                (entry[0], numbers)
            })
            .collect();
        keys.sort_by_key(|(key, _)| *key);
        keys
    }

    /// Whether coordinates are degrees of longitude and latitude.
    pub fn is_geographic(&self) -> bool {
        self.short(MODEL_TYPE) == Some(2)
    }

    /// Whether the file's transform refers to pixel centres.
    pub fn is_point(&self) -> bool {
        self.short(RASTER_TYPE) == Some(2)
    }
}

impl Georeference {
    /// A place of which only the size of its square pixels is known: a projected system in
    /// metres that has no code.
    pub(crate) fn of_pixels(metres: f64) -> Self {
        Self {
            transform: Some([0.0, metres, 0.0, 0.0, 0.0, -metres]),
            keys: Some(GeoKeys::projected(USER_DEFINED)),
            ..Self::default()
        }
    }

    /// A georeference of a transform and a coordinate system, either of which may be
    /// absent.
    pub fn new(transform: Option<[f64; 6]>, keys: Option<GeoKeys>) -> Self {
        Self {
            transform,
            keys,
            ..Self::default()
        }
    }

    /// What a mask of this place keeps and what it means, where there is no transform:
    /// a sentence for the user. `None` where there is one.
    pub fn note(&self) -> Option<String> {
        if self.transform.is_some() {
            return None;
        }
        let kept = match (self.points.len(), self.rpc.is_empty()) {
            (0, true) => {
                return Some(
                    "The scene has no georeference (no transform, control points or RPCs), so its \
                     mask has none either."
                        .to_owned(),
                );
            }
            (0, false) => "rational polynomial coefficients (RPCs)".to_owned(),
            (1, true) => "1 ground control point".to_owned(),
            (count, true) => format!("{count} ground control points"),
            (count, false) => format!("{count} ground control points and RPCs"),
        };
        Some(format!(
            "The scene is placed by {kept}, which a GeoTIFF or PNG mask keeps as they are: \
             neither is rectified. What needs metres or longitudes (`options.dilate`, polygons, \
             stac) needs a scene that gdalwarp has rectified."
        ))
    }

    /// Coordinates of a place in pixels, counted from the first pixel's corner.
    pub fn to_map(&self, col: f64, row: f64) -> Option<[f64; 2]> {
        let t = self.transform?;
        Some([
            t[0] + col * t[1] + row * t[2],
            t[3] + col * t[4] + row * t[5],
        ])
    }

    /// Width and height of a pixel in units of the coordinate system.
    pub fn pixel_size(&self) -> Option<[f64; 2]> {
        let t = self.transform?;
        Some([t[1].hypot(t[4]), t[2].hypot(t[5])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_utm_zone() {
        let keys = GeoKeys::projected(32629);
        assert_eq!(keys.epsg(), Some(32629));
        assert!(!keys.is_geographic() && !keys.is_point());
        let place = Georeference::new(
            Some([499980.0, 60.0, 0.0, 5900040.0, 0.0, -60.0]),
            Some(keys),
        );
        assert_eq!(place.to_map(2.0, 1.0), Some([500100.0, 5899980.0]));
        assert_eq!(place.pixel_size(), Some([60.0, 60.0]));
    }

    #[test]
    fn keys_of_a_code_have_its_own_unit() {
        assert_eq!(GeoKeys::of_epsg(32629, false), GeoKeys::projected(32629));
        assert_eq!(
            GeoKeys::of_epsg(2263, false).short(LINEAR_UNITS),
            Some(US_FOOT)
        );
        assert_eq!(GeoKeys::of_epsg(4326, true), GeoKeys::geographic(4326));
    }
}
