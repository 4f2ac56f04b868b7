//! Where a raster lies.

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
}

/// A coordinate system as GeoTIFF keys (OGC 19-008r4), kept as they stand so that
/// they are copied exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoKeys {
    /// GeoKeyDirectoryTag (34735): a header of four numbers, then four a key.
    pub directory: Vec<u16>,
    /// GeoDoubleParamsTag (34736).
    pub doubles: Vec<f64>,
    /// GeoAsciiParamsTag (34737).
    pub ascii: String,
}

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
/// Code of the metre.
const METRE: u16 = 9001;
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

    /// The value of a key that is a short number.
    pub fn short(&self, key: u16) -> Option<u16> {
        (self.directory.get(4..)?.chunks_exact(4))
            .find(|entry| entry[0] == key && entry[1] == 0)
            .map(|entry| entry[3])
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

    /// Whether coordinates are degrees of longitude and latitude.
    pub fn is_geographic(&self) -> bool {
        self.short(MODEL_TYPE) == Some(2)
    }

    /// Whether the file's transform speaks of pixel centres.
    pub fn is_point(&self) -> bool {
        self.short(RASTER_TYPE) == Some(2)
    }
}

impl Georeference {
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
        let place = Georeference {
            transform: Some([499980.0, 60.0, 0.0, 5900040.0, 0.0, -60.0]),
            keys: Some(keys),
        };
        assert_eq!(place.to_map(2.0, 1.0), Some([500100.0, 5899980.0]));
        assert_eq!(place.pixel_size(), Some([60.0, 60.0]));
    }
}
