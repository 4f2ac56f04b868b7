//! Coordinate systems that can be computed with.

use proj4rs::Proj;

use crate::raster::GeoKeys;

/// EPSG code of WGS 84 in degrees.
const WGS84: u16 = 4326;
/// EPSG code of Web Mercator (WGS 84 / Pseudo-Mercator).
const WEB_MERCATOR: u16 = 3857;

/// Codes of units of length (EPSG, GeoTIFF 1.1 section 7.4.1.2) in metres.
const UNITS: [(u16, f64); 16] = [
    (9001, 1.0),
    (9002, 0.3048),
    (9003, 1200.0 / 3937.0),
    (9004, 0.304_812_252_984_506),
    (9005, 0.304_797_265_4),
    (9006, 0.304_799_514_135_388_1),
    (9014, 1.8288),
    (9030, 1852.0),
    (9033, 792.0 / 39.37),
    (9034, 7.92 / 39.37),
    (9035, 63_360.0 / 39.37),
    (9036, 1000.0),
    (9093, 1609.344),
    (9094, 0.304_799_710_181_508_8),
    (9095, 0.304_800_749_1),
    (9096, 0.9144),
];

/// GeographicTypeGeoKey, GeogSemiMajorAxisGeoKey, GeogSemiMinorAxisGeoKey.
const GEODETIC: u16 = 2048;
const SEMI_MAJOR: u16 = 2057;
const SEMI_MINOR: u16 = 2058;
/// ProjectionGeoKey, ProjCoordTransGeoKey, ProjLinearUnitsGeoKey and its size.
const PROJECTION: u16 = 3074;
const METHOD: u16 = 3075;
const LINEAR_UNITS: u16 = 3076;
const UNIT_SIZE: u16 = 3077;
/// CT_Mercator.
const MERCATOR: u16 = 7;
const USER_DEFINED: u16 = 32767;

/// A coordinate system whose points have a longitude and latitude.
pub(super) struct System {
    from: Proj,
    to: Proj,
    /// Units of `from` in a unit of the raster's coordinates.
    unit: f64,
    code: Option<u16>,
}

impl System {
    /// The system of these keys: by its EPSG code; Web Mercator also as GDAL writes
    /// it where it has none (ESRI:102100, EPSG:900913), and UTM zones of WGS 84.
    /// `None` where it is not supported.
    pub(super) fn of(keys: &GeoKeys) -> Option<Self> {
        let code = keys.epsg().or_else(|| derived_code(keys))?;
        let from = Proj::from_epsg_code(code).ok()?;
        let unit = match from.is_latlong() {
            true => 1.0,
            false => metres(keys) / from.to_meter(),
        };
        // Rounded as systems define a foot to more or fewer digits.
        let unit = if (unit - 1.0).abs() < 1e-7 { 1.0 } else { unit };
        Some(Self {
            from,
            to: Proj::from_epsg_code(WGS84).ok()?,
            unit,
            code: (unit == 1.0).then_some(code),
        })
    }

    /// EPSG code, where coordinates are in the units that it has.
    pub(super) fn code(&self) -> Option<u16> {
        self.code
    }

    /// Whether coordinates are degrees.
    pub(super) fn is_geographic(&self) -> bool {
        self.from.is_latlong()
    }

    /// Longitude and latitude in degrees on WGS 84; `None` where there are none.
    pub(super) fn lon_lat(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let mut point = match self.is_geographic() {
            true => (x.to_radians(), y.to_radians(), 0.0),
            false => (x * self.unit, y * self.unit, 0.0),
        };
        proj4rs::transform::transform(&self.from, &self.to, &mut point).ok()?;
        let degrees = [point.0.to_degrees(), point.1.to_degrees()];
        degrees.iter().all(|d| d.is_finite()).then_some(degrees)
    }
}

/// Metres in a unit of a projected system: by ProjLinearUnitsGeoKey, else by the
/// system's definition, else one.
pub(super) fn metres(keys: &GeoKeys) -> f64 {
    let unit = keys.short(LINEAR_UNITS);
    if let Some((_, metres)) = UNITS.iter().find(|(code, _)| Some(*code) == unit) {
        return *metres;
    }
    if let (Some(USER_DEFINED), Some(size)) = (unit, keys.double(UNIT_SIZE))
        && size.is_finite()
        && size > 0.0
    {
        return size;
    }
    keys.epsg()
        .and_then(|code| Proj::from_epsg_code(code).ok())
        .map_or(1.0, |system| system.to_meter())
}

/// The code that a user-defined system is the same as.
fn derived_code(keys: &GeoKeys) -> Option<u16> {
    if keys.is_geographic() {
        return None;
    }
    let wgs84 = matches!(keys.short(GEODETIC), Some(WGS84)) || keys.short(2050) == Some(6326);
    match (keys.short(METHOD), keys.short(PROJECTION)) {
        (Some(MERCATOR), _) => {
            let named = [
                "Pseudo-Mercator",
                "Web_Mercator",
                "Mercator_Auxiliary_Sphere",
            ]
            .iter()
            .any(|name| keys.ascii.contains(name))
                || ["900913", "Google", "Popular Visualisation"]
                    .iter()
                    .any(|name| keys.ascii.contains(name));
            let sphere = keys.double(SEMI_MAJOR) == Some(6_378_137.0)
                && keys.double(SEMI_MINOR) == Some(6_378_137.0);
            (named || sphere).then_some(WEB_MERCATOR)
        }
        // Proj_UTM_zone_1N to 60N, 1S to 60S.
        (_, Some(zone @ 16001..=16060)) if wgs84 => Some(32600 + zone - 16000),
        (_, Some(zone @ 16101..=16160)) if wgs84 => Some(32700 + zone - 16100),
        _ => None,
    }
}
