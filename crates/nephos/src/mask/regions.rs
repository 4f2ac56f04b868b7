//! Connected regions of a raster and their outlines, traced row by row.
//!
//! Regions are of pixels that share sides. Outlines run along pixel edges and have
//! a corner wherever they turn. Only regions that the last row still touches are in
//! memory; complete ones are returned.
//!
//! Outlines are directed with the region on their left, rows downwards: down along
//! the left side of a run of pixels, to the right along its lower side, up along
//! its right side. So below a run there are two ends of chains: the head of the one
//! along its left side, and the tail of the one along its right side.

use std::collections::HashMap;

use super::chains::{Chains, End};

/// A corner of pixels: column and row, counted from the raster's outer corner.
pub(super) type Corner = (u32, u32);

/// A connected region.
#[derive(Debug, Default)]
pub(super) struct Region {
    /// Closed outlines, the first corner not repeated. Until the region is
    /// complete they may pass a corner twice.
    pub(super) rings: Vec<Vec<Corner>>,
    /// Number of pixels.
    pub(super) pixels: u64,
    /// Sum of the pixels' areas.
    pub(super) area: f64,
}

/// Pixels side by side in a row: first column, and the one after the last.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
    /// Position in [`Tracer::regions`].
    region: usize,
    /// The open ends below its left and right sides.
    ends: [End; 2],
}

/// Traces the pixels of one kind.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    /// Of the last row.
    runs: Vec<Run>,
    /// Those that `runs` belong to.
    regions: Vec<Region>,
    chains: Chains,
    row: u32,
}

impl Tracer {
    /// Takes the next row: `is` returns whether a pixel is of the kind,
    /// `area` is that of one pixel. Gives the regions that are complete.
    pub(super) fn push(&mut self, is: impl Iterator<Item = bool>, area: f64) -> Vec<Region> {
        let mut spans: Vec<(u32, u32)> = Vec::new();
        for (col, _) in (0u32..).zip(is).filter(|(_, is)| *is) {
            match spans.last_mut() {
                Some((_, end)) if *end == col => *end += 1,
                _ => spans.push((col, col + 1)),
            }
        }
        self.advance(&spans, area)
    }

    /// The regions that are left when there are no more rows.
    pub(super) fn finish(mut self) -> Vec<Region> {
        self.advance(&[], 0.0)
    }

    fn advance(&mut self, spans: &[(u32, u32)], area: f64) -> Vec<Region> {
        let mut sets = Sets((0..self.regions.len()).collect());
        let mut runs = self.connect(spans, area, &mut sets);
        self.trace(&mut runs, &mut sets);
        self.runs = runs;
        self.row += 1;
        self.complete(&mut sets)
    }

    /// The new row's runs, each in the region of the runs above that it shares a
    /// side with, or in a new one. Regions that meet so become one set.
    fn connect(&mut self, spans: &[(u32, u32)], area: f64, sets: &mut Sets) -> Vec<Run> {
        let mut first = 0;
        let mut runs = Vec::with_capacity(spans.len());
        for &(start, end) in spans {
            while self.runs.get(first).is_some_and(|run| run.end <= start) {
                first += 1;
            }
            let touching = self.runs[first..].iter().take_while(|run| run.start < end);
            let region = touching
                .map(|run| run.region)
                .reduce(|one, other| sets.join(one, other))
                .unwrap_or_else(|| {
                    self.regions.push(Region::default());
                    sets.add()
                });
            let pixels = u64::from(end - start);
            self.regions[region].pixels += pixels;
            self.regions[region].area += pixels as f64 * area;
            runs.push(Run {
                start,
                end,
                region,
                ends: [End::default(); 2],
            });
        }
        runs
    }

    /// Goes along the line between the last row and the new one, corner by corner,
    /// and ties up the sides that meet there. Where two pixels of the kind touch
    /// only at a corner, each keeps an outline of its own.
    fn trace(&mut self, below: &mut [Run], sets: &mut Sets) {
        let above = std::mem::take(&mut self.runs);
        let (mut next_above, mut next_below) = (0, 0);
        // The end that continues to the right along the line.
        let mut along: Option<End> = None;
        loop {
            let up = side(&above, next_above);
            let down = side(below, next_below);
            let col = match (up, down) {
                (Some(up), Some(down)) => up.min(down),
                (Some(col), None) | (None, Some(col)) => col,
                (None, None) => break,
            };
            let corner = (col, self.row);
            let up = (up == Some(col)).then(|| {
                next_above += 1;
                // Which run, and whether it is its right side.
                ((next_above - 1) / 2, (next_above - 1) % 2)
            });
            let down = (down == Some(col)).then(|| {
                next_below += 1;
                ((next_below - 1) / 2, (next_below - 1) % 2)
            });
            match (up, down) {
                (Some((run, right)), None) => {
                    let end = above[run].ends[right];
                    along = match along {
                        None => Some(self.chains.extend(end, corner)),
                        Some(other) => {
                            self.tie(end, other, corner, sets.root(above[run].region));
                            None
                        }
                    };
                }
                (None, Some((run, right))) => {
                    (below[run].ends[right], along) = match along {
                        Some(other) => (self.chains.extend(other, corner), None),
                        None => self.begin(corner, right),
                    };
                }
                (Some((run, right)), Some((lower, lower_right))) => {
                    let end = above[run].ends[right];
                    (below[lower].ends[lower_right], along) = match (along, right) {
                        // Straight down.
                        (None, _) => (end, None),
                        (Some(other), 1) => {
                            self.tie(end, other, corner, sets.root(above[run].region));
                            self.begin(corner, lower_right)
                        }
                        (Some(other), _) => (
                            self.chains.extend(other, corner),
                            Some(self.chains.extend(end, corner)),
                        ),
                    };
                }
                (None, None) => break,
            }
        }
    }

    /// A new chain at the upper corner of a run's left or right side: the end that
    /// goes down the side, and the one that continues to the right.
    fn begin(&mut self, corner: Corner, right: usize) -> (End, Option<End>) {
        let [head, tail] = self.chains.begin(corner);
        match right {
            0 => (head, Some(tail)),
            _ => (tail, Some(head)),
        }
    }

    /// Ties two ends at a corner; a chain that closes is a ring of `region`.
    fn tie(&mut self, one: End, other: End, corner: Corner, region: usize) {
        if let Some(ring) = self.chains.tie(one, other, corner) {
            self.regions[region].rings.push(ring);
        }
    }

    /// Brings regions that are one together, hands out those that no run of the
    /// new row belongs to, and numbers the others afresh.
    fn complete(&mut self, sets: &mut Sets) -> Vec<Region> {
        let mut whole: Vec<Option<Region>> = Vec::new();
        whole.resize_with(self.regions.len(), || None);
        for (index, region) in std::mem::take(&mut self.regions).into_iter().enumerate() {
            let slot = &mut whole[sets.root(index)];
            *slot = Some(match slot.take() {
                None => region,
                Some(other) => other.joined(region),
            });
        }
        let mut numbers = HashMap::new();
        for run in &mut self.runs {
            let root = sets.root(run.region);
            run.region = *numbers.entry(root).or_insert_with(|| {
                self.regions.extend(whole[root].take());
                self.regions.len() - 1
            });
        }
        let complete = whole.into_iter().flatten();
        complete.map(Region::with_simple_rings).collect()
    }
}

/// Column of the `index`th side of a row's runs: left, right, left, right, …
fn side(runs: &[Run], index: usize) -> Option<u32> {
    let run = runs.get(index / 2)?;
    Some(if index.is_multiple_of(2) {
        run.start
    } else {
        run.end
    })
}

/// Sets of numbers that are joined.
struct Sets(Vec<usize>);

impl Sets {
    fn add(&mut self) -> usize {
        self.0.push(self.0.len());
        self.0.len() - 1
    }

    fn root(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    /// The root of the set that both are in from now on.
    fn join(&mut self, one: usize, other: usize) -> usize {
        let (one, other) = (self.root(one), self.root(other));
        self.0[other] = one;
        one
    }
}

impl Region {
    fn joined(mut self, mut other: Self) -> Self {
        if other.rings.len() > self.rings.len() {
            std::mem::swap(&mut self, &mut other);
        }
        self.rings.append(&mut other.rings);
        self.pixels += other.pixels;
        self.area += other.area;
        self
    }

    /// The outer ring first, then the holes, none with a corner twice: where an
    /// outline comes back to a corner, the part between is a ring of its own.
    fn with_simple_rings(mut self) -> Self {
        self.rings = self.rings.into_iter().flat_map(simple).collect();
        // There is one outer ring: a second would not be connected by sides.
        if let Some(outer) = self.rings.iter().position(|ring| signed_area(ring) > 0) {
            self.rings.swap(0, outer);
        }
        self
    }
}

/// The ring cut at corners that it passes twice.
fn simple(ring: Vec<Corner>) -> Vec<Vec<Corner>> {
    let mut rings = Vec::new();
    let mut path: Vec<Corner> = Vec::with_capacity(ring.len());
    let mut places = HashMap::with_capacity(ring.len());
    for corner in ring {
        if let Some(&place) = places.get(&corner) {
            let closed = path.split_off(place);
            for corner in &closed {
                places.remove(corner);
            }
            rings.push(closed);
        }
        places.insert(corner, path.len());
        path.push(corner);
    }
    rings.push(path);
    rings
}

/// Area in pixels: positive of an outer ring, negative of a hole.
pub(super) fn signed_area(ring: &[Corner]) -> i64 {
    let next = ring.iter().cycle().skip(1);
    let twice: i64 = (ring.iter().zip(next))
        .map(|(a, b)| i64::from(b.0) * i64::from(a.1) - i64::from(a.0) * i64::from(b.1))
        .sum();
    twice / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn regions(rows: &[Vec<bool>]) -> Vec<Region> {
        let mut tracer = Tracer::default();
        let mut found = Vec::new();
        for row in rows {
            found.extend(tracer.push(row.iter().copied(), 2.0));
        }
        found.extend(tracer.finish());
        found
    }

    fn picture(text: &[&str]) -> Vec<Vec<bool>> {
        let row = |line: &&str| line.chars().map(|c| c == '#').collect();
        text.iter().map(row).collect()
    }

    #[test]
    fn a_ring_has_a_hole() {
        let found = regions(&picture(&["####", "#..#", "####"]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].pixels, found[0].area), (10, 20.0));
        let areas: Vec<i64> = found[0].rings.iter().map(|r| signed_area(r)).collect();
        assert_eq!(areas, [12, -2]);
        assert!(found[0].rings.iter().all(|ring| ring.len() == 4));
    }

    #[test]
    fn pixels_that_touch_at_a_corner_are_separate_regions() {
        let found = regions(&picture(&["#.", ".#"]));
        assert_eq!(found.len(), 2);
        // A ring that touches itself at a corner: one outer ring and one hole.
        let found = regions(&picture(&["##.", "#.#", "###"]));
        assert_eq!(found.len(), 1);
        let areas: Vec<i64> = found[0].rings.iter().map(|r| signed_area(r)).collect();
        assert_eq!(areas, [8, -1]);
    }

    proptest! {
        #[test]
        fn outlines_enclose_their_pixels(
            bits in proptest::collection::vec(any::<u16>(), 1..24),
            dense in any::<bool>(),
        ) {
            let rows: Vec<Vec<bool>> = (bits.windows(2).map(|w| if dense { w[0] | w[1] } else { w[0] }))
                .map(|bits| (0..16).map(|col| bits >> col & 1 == 1).collect())
                .collect();
            let pixels: usize = rows.iter().flatten().filter(|is| **is).count();
            let found = regions(&rows);
            prop_assert_eq!(found.iter().map(|r| r.pixels).sum::<u64>(), pixels as u64);
            for region in &found {
                let areas: Vec<i64> = region.rings.iter().map(|r| signed_area(r)).collect();
                prop_assert_eq!(areas.iter().sum::<i64>(), region.pixels as i64);
                prop_assert!(areas[0] > 0 && areas[1..].iter().all(|area| *area < 0));
                for ring in &region.rings {
                    let mut corners = ring.clone();
                    corners.sort_unstable();
                    corners.dedup();
                    prop_assert_eq!(corners.len(), ring.len(), "a corner twice");
                }
            }
        }
    }
}
