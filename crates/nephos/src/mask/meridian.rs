//! Polygons cut at the 180th meridian (RFC 7946, section 3.1.9).

use super::lonlat::near;

/// Points in degrees of longitude and latitude, the first repeated as the last.
pub(super) type Ring = Vec<[f64; 2]>;
/// An outer ring, counter-clockwise, then holes, clockwise.
pub(super) type Polygon = Vec<Ring>;

/// Longitude of the meridian.
const MERIDIAN: f64 = 180.0;
/// Degrees below which a point counts as on the meridian.
const NEAR: f64 = 1e-9;

/// A polygon whose longitudes continue past the 180th meridian as polygons none of which
/// crosses it, all within −180 to 180 degrees.
pub(super) fn split(mut polygon: Polygon) -> Vec<Polygon> {
    let Some(outer) = polygon.first() else {
        return Vec::new();
    };
    let [low, high] = range(outer);
    // The turn of the Earth that the polygon begins in.
    let turn = ((low + NEAR + MERIDIAN) / 360.0).floor() * 360.0;
    let middle = 0.5 * (low + high);
    for ring in &mut polygon {
        let [first, last] = range(ring);
        let own = 0.5 * (first + last);
        let shift = near(own, middle) - own - turn;
        for point in ring.iter_mut() {
            point[0] += shift;
            if (point[0] - MERIDIAN).abs() < NEAR {
                point[0] = MERIDIAN;
            }
        }
    }
    if high - turn <= MERIDIAN + NEAR {
        for point in polygon.iter_mut().flatten() {
            point[0] = point[0].clamp(-MERIDIAN, MERIDIAN);
        }
        return vec![polygon];
    }
    let (Some(west), Some(mut east)) = (half(&polygon, true), half(&polygon, false)) else {
        return vec![polygon];
    };
    for point in east.iter_mut().flatten().flatten() {
        point[0] -= 360.0;
    }
    [west, east].concat()
}

/// Least and greatest longitude.
pub(super) fn range(ring: &[[f64; 2]]) -> [f64; 2] {
    ring.iter()
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], point| {
            [low.min(point[0]), high.max(point[0])]
        })
}

/// Twice the area of a closed ring in square degrees: positive counter-clockwise.
pub(super) fn twice_area(ring: &[[f64; 2]]) -> f64 {
    (ring.windows(2))
        .map(|pair| pair[0][0] * pair[1][1] - pair[1][0] * pair[0][1])
        .sum()
}

/// A part of a ring on one side of the meridian, from where it comes in to where it
/// goes out.
struct Chain(Vec<[f64; 2]>);

/// An end of a chain on the meridian.
#[derive(Clone, Copy)]
struct End {
    latitude: f64,
    chain: usize,
    is_entry: bool,
}

/// The part on one side of the meridian. `None` where the rings cross one another.
fn half(polygon: &[Ring], west: bool) -> Option<Vec<Polygon>> {
    // Points on the meridian are on neither side: lines along it are no part of a half,
    // the ends of its chains are tied along it.
    let within = |point: &[f64; 2]| match west {
        true => point[0] < MERIDIAN,
        false => point[0] > MERIDIAN,
    };
    let mut rings: Vec<Ring> = Vec::new();
    let mut chains: Vec<Chain> = Vec::new();
    for ring in polygon {
        let open = ring.split_last()?.1;
        if open.iter().all(within) {
            rings.push(ring.clone());
        } else {
            cut(open, within, &mut chains);
        }
    }
    rings.extend(tied(&chains)?);
    rings.retain(|ring| twice_area(ring).abs() > 1e-14);
    let (outer, holes): (Vec<Ring>, Vec<Ring>) =
        rings.into_iter().partition(|ring| twice_area(ring) > 0.0);
    let mut polygons: Vec<Polygon> = outer.into_iter().map(|ring| vec![ring]).collect();
    for hole in holes {
        let owner = (polygons.iter()).position(|polygon| contains(&polygon[0], hole[0]));
        if let Some(polygon) = polygons.get_mut(owner.unwrap_or(0)) {
            polygon.push(hole);
        }
    }
    Some(polygons)
}

/// The parts of an open ring that are within.
fn cut(open: &[[f64; 2]], within: impl Fn(&[f64; 2]) -> bool, chains: &mut Vec<Chain>) {
    let count = open.len();
    let before = |index: usize| open[(index + count - 1) % count];
    let Some(start) = (0..count).find(|index| within(&open[*index]) && !within(&before(*index)))
    else {
        return;
    };
    let mut chain: Option<Vec<[f64; 2]>> = None;
    for step in 0..=count {
        let index = (start + step) % count;
        let (last, point) = (before(index), open[index]);
        match (within(&last), within(&point)) {
            (false, true) if step < count => chain = Some(vec![crossing(last, point), point]),
            (true, true) => chain.iter_mut().for_each(|chain| chain.push(point)),
            (true, false) => {
                if let Some(mut points) = chain.take() {
                    points.push(crossing(last, point));
                    chains.push(Chain(points));
                }
            }
            _ => {}
        }
    }
}

/// Where the line from one point to the other crosses the meridian.
fn crossing(from: [f64; 2], to: [f64; 2]) -> [f64; 2] {
    let share = (MERIDIAN - from[0]) / (to[0] - from[0]);
    [MERIDIAN, from[1] + share * (to[1] - from[1])]
}

/// Chains tied along the meridian to rings: in the order of latitude, every second
/// piece of the meridian is within.
fn tied(chains: &[Chain]) -> Option<Vec<Ring>> {
    let mut ends = Vec::with_capacity(2 * chains.len());
    for (chain, Chain(points)) in chains.iter().enumerate() {
        for (point, is_entry) in [(points.first()?, true), (points.last()?, false)] {
            ends.push(End {
                latitude: point[1],
                chain,
                is_entry,
            });
        }
    }
    ends.sort_by(|a, b| a.latitude.total_cmp(&b.latitude));
    // The chain that continues where one ends.
    let mut next = vec![None; chains.len()];
    for first in (0..ends.len()).step_by(2) {
        let one = ends[first];
        // Of ends at one place, one of the other kind.
        let at = ends[first + 1].latitude;
        let other = (first + 1..ends.len())
            .take_while(|index| ends[*index].latitude - at <= NEAR)
            .find(|index| ends[*index].is_entry != one.is_entry)?;
        ends.swap(first + 1, other);
        let other = ends[first + 1];
        let (exit, entry) = if one.is_entry {
            (other, one)
        } else {
            (one, other)
        };
        next[exit.chain] = Some(entry.chain);
    }
    let mut done = vec![false; chains.len()];
    let mut rings = Vec::new();
    for start in 0..chains.len() {
        let mut ring: Ring = Vec::new();
        let mut chain = start;
        while !done[chain] {
            done[chain] = true;
            for point in &chains[chain].0 {
                if ring.last() != Some(point) {
                    ring.push(*point);
                }
            }
            chain = next[chain]?;
        }
        if let Some(first) = ring.first().copied() {
            if ring.last() != Some(&first) {
                ring.push(first);
            }
            rings.push(ring);
        }
    }
    Some(rings)
}

/// Whether a point is within a ring (even-odd).
pub(super) fn contains(ring: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    ring.windows(2)
        .filter(|pair| {
            let [[x0, y0], [x1, y1]] = [pair[0], pair[1]];
            (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
        })
        .count()
        % 2
        == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(points: &[[f64; 2]]) -> Ring {
        let mut ring = points.to_vec();
        ring.push(points[0]);
        ring
    }

    fn area(polygons: &[Polygon]) -> f64 {
        (polygons.iter().flatten())
            .map(|ring| twice_area(ring) / 2.0)
            .sum()
    }

    #[test]
    fn polygons_that_do_not_cross_are_unchanged() {
        let square = vec![closed(&[[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]])];
        assert_eq!(split(square.clone()), std::slice::from_ref(&square));
        let mut beyond = square.clone();
        beyond[0].iter_mut().for_each(|point| point[0] += 720.0);
        assert_eq!(split(beyond), [square]);
        // Up to the meridian, from either side.
        for (west, east) in [(179.0, 180.0), (180.0, 181.0), (-181.0, -180.0)] {
            let ring = closed(&[[west, 0.0], [east, 0.0], [east, 1.0], [west, 1.0]]);
            let parts = split(vec![ring]);
            assert_eq!(parts.len(), 1, "{west}");
            assert!(parts[0][0].iter().all(|point| point[0].abs() <= 180.0));
        }
    }

    #[test]
    fn a_square_is_cut_in_two() {
        let parts = split(vec![closed(&[
            [178.0, 0.0],
            [183.0, 0.0],
            [183.0, 2.0],
            [178.0, 2.0],
        ])]);
        assert_eq!(parts.len(), 2);
        assert_eq!(range(&parts[0][0]), [178.0, 180.0]);
        assert_eq!(range(&parts[1][0]), [-180.0, -177.0]);
        assert!(parts.iter().all(|part| twice_area(&part[0]) > 0.0));
        assert!((area(&parts) - 10.0).abs() < 1e-9);
    }

    /// A comb with its back in the east and three teeth to the west, and a hole that
    /// the meridian cuts.
    #[test]
    fn teeth_become_polygons_and_holes_bays() {
        let mut comb = vec![[184.0, 0.0], [184.0, 5.0]];
        for tooth in [4.0, 2.0, 0.0] {
            comb.extend([[177.0, tooth + 1.0], [177.0, tooth]]);
            if tooth > 0.0 {
                comb.extend([[181.0, tooth], [181.0, tooth - 1.0]]);
            }
        }
        let parts = split(vec![closed(&comb)]);
        assert_eq!(parts.len(), 4);
        assert!((area(&parts) - (5.0 * 7.0 - 8.0)).abs() < 1e-9);
        let outer = closed(&[[178.0, 0.0], [182.0, 0.0], [182.0, 4.0], [178.0, 4.0]]);
        let across = closed(&[[179.0, 1.0], [179.0, 2.0], [181.0, 2.0], [181.0, 1.0]]);
        let beyond = closed(&[[181.2, 3.0], [181.2, 3.5], [181.5, 3.5], [181.5, 3.0]]);
        let parts = split(vec![outer, across, beyond]);
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].len(), parts[1].len()), (1, 2));
        assert!((area(&parts) - (16.0 - 2.0 - 0.15)).abs() < 1e-9);
    }

    /// Corners on the meridian itself, as pixels of whole degrees have them.
    #[test]
    fn corners_on_the_meridian() {
        let steps = closed(&[
            [179.0, 0.0],
            [180.0, 0.0],
            [180.0, 1.0],
            [181.0, 1.0],
            [181.0, 2.0],
            [180.0, 2.0],
            [180.0, 3.0],
            [179.0, 3.0],
        ]);
        let parts = split(vec![steps]);
        assert_eq!(parts.len(), 2);
        assert!((area(&parts) - 4.0).abs() < 1e-9, "{parts:?}");
    }
}
