//! From pixels to longitude and latitude.

use super::system::System;
use crate::raster::Georeference;

/// Largest step in degrees between points of a ring in a geographic system: longitudes
/// are distinguished from those on the other side of the Earth.
const STEP_DEGREES: f64 = 45.0;

/// From pixels to degrees of longitude and latitude on WGS 84.
pub(super) struct LonLat {
    place: Georeference,
    system: System,
}

impl LonLat {
    /// For a raster whose system is known and whose transform is there; `None` for
    /// others.
    pub(super) fn of(place: &Georeference) -> Option<Self> {
        place.transform?;
        Some(Self {
            system: System::of(place.keys.as_ref()?)?,
            place: place.clone(),
        })
    }

    /// EPSG code of the system.
    pub(super) fn code(&self) -> Option<u16> {
        self.system.code()
    }

    /// Longitude and latitude of a point in pixels, counted from the first pixel's
    /// corner; `None` where the system has none.
    pub(super) fn at(&self, col: f64, row: f64) -> Option<[f64; 2]> {
        self.system.lon_lat(self.place.to_map(col, row)?)
    }

    /// A line that is closed, in degrees: at each of `corners` and at least every
    /// `step` pixels between, since what is straight in one system is not in the
    /// other. Longitudes do not jump at the 180th meridian but continue past it. A line
    /// around a pole is closed along the pole, as RFC 7946 has it.
    pub(super) fn ring(&self, corners: &[[f64; 2]], step: f64) -> Option<Vec<[f64; 2]>> {
        let step = match self.system.is_geographic() {
            true => {
                let [width, height] = self.place.pixel_size()?;
                step.min(STEP_DEGREES / width.max(height))
            }
            false => step,
        };
        let mut ring: Vec<[f64; 2]> = Vec::with_capacity(corners.len() + 1);
        for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            let length = (to[0] - from[0]).abs().max((to[1] - from[1]).abs());
            let parts = (length / step).ceil().max(1.0);
            for part in 0..parts as usize {
                let share = part as f64 / parts;
                let at = |axis: usize| from[axis] + share * (to[axis] - from[axis]);
                let mut point = self.at(at(0), at(1))?;
                if let Some(last) = ring.last() {
                    point[0] = near(point[0], last[0]);
                }
                ring.push(point);
            }
        }
        let (first, last) = (*ring.first()?, *ring.last()?);
        let end = near(first[0], last[0]);
        if (end - first[0]).abs() > 180.0 {
            return Some(around_pole(ring, end - first[0]));
        }
        ring.push(first);
        Some(ring)
    }
}

/// A line that goes once around the Earth, in all by `turn` degrees, closed along the
/// pole. It begins where it crosses the 180th meridian.
fn around_pole(open: Vec<[f64; 2]>, turn: f64) -> Vec<[f64; 2]> {
    let mean = open.iter().map(|point| point[1]).sum::<f64>() / open.len() as f64;
    let pole = 90f64.copysign(mean);
    let side = |point: [f64; 2]| ((point[0] + 180.0) / 360.0).floor();
    let after = |index: usize| match open.get(index + 1) {
        Some(next) => *next,
        None => [open[0][0] + turn, open[0][1]],
    };
    let crosses = |index: &usize| (side(after(*index)) - side(open[*index])) * turn > 0.0;
    let index = (0..open.len()).find(crosses).unwrap_or(0);
    let (from, to) = (open[index], after(index));
    let meridian = side(from).max(side(to)) * 360.0 - 180.0;
    let share = ((meridian - from[0]) / (to[0] - from[0])).clamp(0.0, 1.0);
    let start = [meridian, from[1] + share * (to[1] - from[1])];
    let mut ring = vec![start];
    ring.extend(&open[index + 1..]);
    let rest = open[..=index].iter();
    ring.extend(rest.map(|point| [point[0] + turn, point[1]]));
    let end = meridian + turn;
    ring.extend([[end, start[1]], [end, pole], [meridian, pole], start]);
    ring.dedup();
    ring
}

/// A longitude as the one that is nearest to `other` of those that are the same.
pub(super) fn near(longitude: f64, other: f64) -> f64 {
    longitude + ((other - longitude) / 360.0).round() * 360.0
}

#[cfg(test)]
mod tests {
    use super::super::meridian::{range, split, twice_area};
    use super::*;
    use crate::raster::GeoKeys;

    /// A raster over a pole is a cap from −180 to 180 degrees up to the pole.
    #[test]
    fn rasters_over_a_pole_reach_it() {
        for (code, pole) in [(3413, 90.0), (3031, -90.0)] {
            let place = Georeference::new(
                Some([-9e5, 1e4, 0.0, 8e5, 0.0, -1e4]),
                Some(GeoKeys::projected(code)),
            );
            let projection = LonLat::of(&place).unwrap();
            let corners = [[0.0, 0.0], [0.0, 160.0], [180.0, 160.0], [180.0, 0.0]];
            let ring = projection.ring(&corners, 10.0).unwrap();
            assert_eq!(ring.first(), ring.last());
            let parts = split(vec![ring]);
            assert_eq!(parts.len(), 1, "{code}");
            let ring = &parts[0][0];
            assert_eq!(range(ring), [-180.0, 180.0]);
            assert!(ring.iter().any(|point| point[1] == pole));
            // Counter-clockwise, some 8 degrees of latitude high.
            let area = twice_area(ring) / 2.0;
            assert!((360.0 * 6.0..360.0 * 10.0).contains(&area), "{area}");
        }
    }
}
