//! From pixels to longitude and latitude.

use proj4rs::Proj;

use crate::scene::Georeference;

/// EPSG code of WGS 84 in degrees.
const WGS84: u16 = 4326;

/// From pixels to degrees of longitude and latitude on WGS 84.
pub(super) struct LonLat {
    place: Georeference,
    from: Proj,
    to: Proj,
}

impl LonLat {
    /// For a raster whose system is given by an EPSG code that is known and whose
    /// transform is there; `None` for others.
    pub(super) fn of(place: &Georeference) -> Option<Self> {
        place.transform?;
        let code = place.keys.as_ref()?.epsg()?;
        Some(Self {
            place: place.clone(),
            from: Proj::from_epsg_code(code).ok()?,
            to: Proj::from_epsg_code(WGS84).ok()?,
        })
    }

    /// Longitude and latitude of a place in pixels, counted from the first pixel's
    /// corner; `None` where the system has none.
    pub(super) fn at(&self, col: f64, row: f64) -> Option<[f64; 2]> {
        let [x, y] = self.place.to_map(col, row)?;
        let mut point = if self.from.is_latlong() {
            (x.to_radians(), y.to_radians(), 0.0)
        } else {
            (x, y, 0.0)
        };
        proj4rs::transform::transform(&self.from, &self.to, &mut point).ok()?;
        let degrees = [point.0.to_degrees(), point.1.to_degrees()];
        degrees.iter().all(|d| d.is_finite()).then_some(degrees)
    }

    /// A line that is closed, in degrees: at each of `corners` and at least every
    /// `step` pixels between, since what is straight in one system is not in the
    /// other. Longitudes do not jump at the 180th meridian but go on past it.
    pub(super) fn ring(&self, corners: &[[f64; 2]], step: f64) -> Option<Vec<[f64; 2]>> {
        let mut ring: Vec<[f64; 2]> = Vec::with_capacity(corners.len() + 1);
        for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            let length = (to[0] - from[0]).abs().max((to[1] - from[1]).abs());
            let parts = (length / step).ceil().max(1.0);
            for part in 0..parts as usize {
                let share = part as f64 / parts;
                let at = |axis: usize| from[axis] + share * (to[axis] - from[axis]);
                let [mut longitude, latitude] = self.at(at(0), at(1))?;
                if let Some(first) = ring.first() {
                    longitude += ((first[0] - longitude) / 360.0).round() * 360.0;
                }
                ring.push([longitude, latitude]);
            }
        }
        ring.push(*ring.first()?);
        Some(ring)
    }
}
