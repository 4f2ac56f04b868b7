//! The outline of a mask's valid pixels.

use std::path::Path;

use super::meridian::{contains, twice_area};
use super::reader::MaskReader;
use super::regions::{Corner, Region, Tracer};
use crate::class::IGNORE;
use crate::error::Result;

/// Longest side of the mask that the outline is drawn from, in pixels.
const SIDE: usize = 1024;
/// Most corners of an outline.
const MOST_CORNERS: usize = 200;
/// Most regions of an outline; of more, small ones are left out.
const MOST_REGIONS: usize = 16;
/// Share of the valid pixels that a region or a gap must have to count.
const LEAST_SHARE: f64 = 0.005;

/// Polygons in pixels (column, row), each an outer ring and then its holes, the first
/// point not repeated; empty where no pixel is valid. Rings turn as those of regions do:
/// the valid pixels are on the left on a screen, rows downwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint(pub(super) Vec<Vec<Vec<[f64; 2]>>>);

impl Footprint {
    /// That of a raster all of whose pixels are valid.
    pub fn whole([rows, cols]: [usize; 2]) -> Self {
        let [bottom, right] = [rows as f64, cols as f64];
        let ring = vec![[0.0, 0.0], [0.0, bottom], [right, bottom], [right, 0.0]];
        Self(vec![vec![ring]])
    }
}

/// The outline of the pixels of the mask in the GeoTIFF `mask` that are not 255,
/// simplified: off by less than a thousandth of the mask's longer side, or by a pixel.
///
/// # Errors
/// A broken mask.
pub fn footprint(mask: &Path) -> Result<Footprint> {
    let reader = MaskReader::open(mask)?;
    let size = reader.size();
    let reduced = reader.reduced(SIDE)?;
    if reduced.iter().all(|code| *code != IGNORE) {
        return Ok(Footprint::whole(size));
    }
    let mut tracer = Tracer::default();
    let mut regions: Vec<Region> = Vec::new();
    for row in reduced.rows() {
        regions.extend(tracer.push(row.iter().map(|code| *code != IGNORE), 1.0));
    }
    regions.extend(tracer.finish());
    let valid: u64 = regions.iter().map(|region| region.pixels).sum();
    let least = LEAST_SHARE * valid as f64;
    if regions.len() > MOST_REGIONS {
        regions.retain(|region| region.pixels as f64 >= least);
        regions.sort_by_key(|region| std::cmp::Reverse(region.pixels));
        regions.truncate(MOST_REGIONS);
    }
    let polygons: Vec<Vec<Vec<[f64; 2]>>> = regions
        .iter()
        .map(|region| {
            (region.rings.iter().enumerate())
                .filter(|(index, ring)| *index == 0 || area(ring) >= least)
                .map(|(_, ring)| simplified(ring))
                .filter(|ring| ring.len() > 2)
                .collect::<Vec<_>>()
        })
        .filter(|rings| !rings.is_empty())
        .collect();
    let polygons = match are_apart(&polygons) {
        true => polygons,
        // Rings that simplifying has made to cross: what surrounds them all.
        false => vec![vec![hull(&regions)]],
    };
    // From pixels of the reduced mask to its own.
    let (rows, cols) = reduced.dim();
    let [down, across] = [size[0] as f64 / rows as f64, size[1] as f64 / cols as f64];
    let scaled = |point: [f64; 2]| [point[0] * across, point[1] * down];
    let rings = |rings: Vec<Vec<[f64; 2]>>| -> Vec<Vec<[f64; 2]>> {
        (rings.into_iter())
            .map(|ring| ring.into_iter().map(scaled).collect())
            .collect()
    };
    Ok(Footprint(polygons.into_iter().map(rings).collect()))
}

/// Area in pixels, in either orientation.
fn area(ring: &[Corner]) -> f64 {
    super::regions::signed_area(ring).unsigned_abs() as f64
}

/// A ring with few corners, none of the old ones farther from it than a pixel, or than
/// twice that as often as there are still too many.
fn simplified(ring: &[Corner]) -> Vec<[f64; 2]> {
    let points: Vec<[f64; 2]> = (ring.iter())
        .map(|(col, row)| [f64::from(*col), f64::from(*row)])
        .collect();
    let mut tolerance = 1.0;
    loop {
        let fewer = ring_of(&points, tolerance);
        match fewer.len() {
            // A single pixel or a line of them.
            0..3 => return points,
            3..=MOST_CORNERS => return fewer,
            _ => {}
        }
        tolerance *= 2.0;
    }
}

/// The corners of a closed ring that Douglas and Peucker's rule keeps, of two halves
/// between the two most distant corners.
fn ring_of(points: &[[f64; 2]], tolerance: f64) -> Vec<[f64; 2]> {
    let farthest = |from: usize| {
        let distance = |index: &usize| {
            let [a, b] = [points[from], points[*index]];
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        (0..points.len())
            .max_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap_or(0)
    };
    // Not of any corner: a corner in the midst of a side would stay.
    let start = farthest(0);
    let turned: Vec<[f64; 2]> = (points[start..].iter())
        .chain(&points[..=start])
        .copied()
        .collect();
    let half = (farthest(start) + points.len() - start) % points.len();
    let mut keep = vec![false; turned.len()];
    let mut open = vec![(0, half), (half, turned.len() - 1)];
    for index in [0, half] {
        keep[index] = true;
    }
    while let Some((first, last)) = open.pop() {
        let middle = (first + 1..last)
            .map(|index| (index, distance(turned[index], turned[first], turned[last])))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((index, far)) = middle
            && far > tolerance
        {
            keep[index] = true;
            open.extend([(first, index), (index, last)]);
        }
    }
    (turned.into_iter().zip(keep))
        .filter_map(|(point, keep)| keep.then_some(point))
        .collect()
}

/// Distance of a point from the piece of a line between two others.
fn distance(point: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let square = dx * dx + dy * dy;
    let share = match square > 0.0 {
        true => ((point[0] - from[0]) * dx + (point[1] - from[1]) * dy) / square,
        false => 0.0,
    }
    .clamp(0.0, 1.0);
    (point[0] - from[0] - share * dx).hypot(point[1] - from[1] - share * dy)
}

/// Whether no two sides of all rings cross, holes are within their outer rings, and
/// outer rings not within one another.
fn are_apart(polygons: &[Vec<Vec<[f64; 2]>>]) -> bool {
    let rings: Vec<&Vec<[f64; 2]>> = polygons.iter().flatten().collect();
    let sides: Vec<([f64; 2], [f64; 2])> = (rings.iter())
        .flat_map(|ring| (0..ring.len()).map(|index| (ring[index], ring[(index + 1) % ring.len()])))
        .collect();
    for (index, one) in sides.iter().enumerate() {
        if sides[index + 1..].iter().any(|other| cross(*one, *other)) {
            return false;
        }
    }
    let closed = |ring: &Vec<[f64; 2]>| {
        let mut closed = ring.clone();
        closed.extend(ring.first());
        closed
    };
    // An outer ring turns one way in each polygon, holes the other, also in the end.
    let sense = |ring: &Vec<[f64; 2]>| twice_area(&closed(ring)) < 0.0;
    polygons.iter().enumerate().all(|(index, polygon)| {
        let outer = closed(&polygon[0]);
        let holes = polygon[1..].iter();
        sense(&polygon[0])
            && holes
                .clone()
                .all(|hole| !sense(hole) && contains(&outer, hole[0]))
            && (polygons.iter().enumerate())
                .filter(|(other, _)| *other != index)
                .all(|(_, other)| {
                    let within = contains(&outer, other[0][0]);
                    !within
                        || holes
                            .clone()
                            .any(|hole| contains(&closed(hole), other[0][0]))
                })
    })
}

/// Whether two pieces of lines meet anywhere but at a common end.
fn cross(one: ([f64; 2], [f64; 2]), other: ([f64; 2], [f64; 2])) -> bool {
    let side = |a: [f64; 2], b: [f64; 2], p: [f64; 2]| {
        (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    };
    let ends = [one.0, one.1];
    let common = ends.contains(&other.0) as u8 + ends.contains(&other.1) as u8;
    let [a, b] = [side(one.0, one.1, other.0), side(one.0, one.1, other.1)];
    let [c, d] = [side(other.0, other.1, one.0), side(other.0, other.1, one.1)];
    if common > 0 {
        // They share a corner: only lying on one another is wrong.
        let dot = |s: ([f64; 2], [f64; 2])| [s.1[0] - s.0[0], s.1[1] - s.0[1]];
        let (u, v) = (dot(one), dot(other));
        let along = u[0] * v[0] + u[1] * v[1];
        let away = one.0 == other.0 || one.1 == other.1;
        return common == 2 || (a == 0.0 && b == 0.0 && (along > 0.0) == away);
    }
    a * b <= 0.0 && c * d <= 0.0 && !(a == 0.0 && b == 0.0 && !overlap(one, other))
}

/// Whether the boxes around two pieces of lines overlap.
fn overlap(one: ([f64; 2], [f64; 2]), other: ([f64; 2], [f64; 2])) -> bool {
    (0..2).all(|axis| {
        let [a, b] = [one.0[axis].min(one.1[axis]), one.0[axis].max(one.1[axis])];
        let [c, d] = [
            other.0[axis].min(other.1[axis]),
            other.0[axis].max(other.1[axis]),
        ];
        a <= d && c <= b
    })
}

/// The convex hull of regions (Andrew's monotone chain), turning as outer rings do.
fn hull(regions: &[Region]) -> Vec<[f64; 2]> {
    let mut points: Vec<Corner> = (regions.iter())
        .flat_map(|region| region.rings.iter().flatten().copied())
        .collect();
    points.sort_unstable();
    points.dedup();
    let turns = |chain: &[Corner], point: Corner| {
        let [a, b] = [chain[chain.len() - 2], chain[chain.len() - 1]];
        let d = |p: Corner, q: Corner| {
            [
                i64::from(q.0) - i64::from(p.0),
                i64::from(q.1) - i64::from(p.1),
            ]
        };
        let (u, v) = (d(a, b), d(b, point));
        u[0] * v[1] - u[1] * v[0] > 0
    };
    let chain = |points: &mut dyn Iterator<Item = Corner>| {
        let mut chain: Vec<Corner> = Vec::new();
        for point in points {
            while chain.len() > 1 && !turns(&chain, point) {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut ring = chain(&mut points.iter().copied());
    ring.extend(chain(&mut points.iter().rev().copied()));
    // With rows downwards these turn the other way on a screen.
    ring.reverse();
    ring.iter()
        .map(|(col, row)| [f64::from(*col), f64::from(*row)])
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::mask;

    fn of(codes: &Array2<u8>) -> Footprint {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.tif");
        mask::write(&path, codes, None).unwrap();
        footprint(&path).unwrap()
    }

    fn area(footprint: &Footprint) -> f64 {
        (footprint.0.iter().flatten())
            .map(|ring| {
                let mut closed = ring.clone();
                closed.push(ring[0]);
                // Rows point down.
                -twice_area(&closed) / 2.0
            })
            .sum()
    }

    #[test]
    fn a_swath_has_its_edge() {
        let codes = Array2::from_shape_fn((1500, 1300), |(row, col)| match row / 3 + col < 500 {
            true => 255,
            false => 0,
        });
        let found = of(&codes);
        let valid = codes.iter().filter(|code| **code == 0).count() as f64;
        assert!(
            (area(&found) / valid - 1.0).abs() < 3e-3,
            "{}",
            area(&found)
        );
        assert!(found.0.len() == 1 && found.0[0][0].len() < 8, "{found:?}");
    }

    #[test]
    fn gaps_and_islands_are_kept_where_they_are_large() {
        let mut codes = Array2::zeros((100, 80));
        codes.slice_mut(ndarray::s![40..60, 20..50]).fill(255);
        codes[[5, 5]] = 255;
        let found = of(&codes);
        assert_eq!((found.0.len(), found.0[0].len()), (1, 2));
        assert_eq!(area(&found), 8000.0 - 600.0);
        codes.slice_mut(ndarray::s![.., 50..60]).fill(255);
        let found = of(&codes);
        assert_eq!(found.0.len(), 2);
        assert_eq!(area(&found), 7000.0 - 600.0);
        codes.fill(255);
        assert!(of(&codes).0.is_empty());
        codes.fill(1);
        assert_eq!(of(&codes), Footprint::whole([100, 80]));
    }

    /// Noise at an edge: rings stay simple, or become their hull.
    #[test]
    fn ragged_outlines_never_cross() {
        for seed in 0..20u64 {
            let codes = Array2::from_shape_fn((60, 60), |(row, col)| {
                let mixed = (seed ^ (row * 977 + col) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let edge = 30 + (mixed >> 59) as usize;
                if col + row / 2 < edge { 255 } else { 0 }
            });
            let found = of(&codes);
            assert!(are_apart(&found.0), "{seed}: {found:?}");
            let valid = codes.iter().filter(|code| **code == 0).count() as f64;
            assert!(area(&found) > 0.6 * valid, "{seed}");
        }
    }
}
