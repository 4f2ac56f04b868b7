//! Spatial leakage between splits: shared regions, and neighbours on the ground.
//!
//! Scores on regions that were trained on are optimistic, whatever the date.

use std::collections::{BTreeMap, BTreeSet};

use super::Metadata;
use super::by_column::Neighbourhood;

/// Columns with the centre of a sample, as `POINT (longitude latitude)` in degrees.
const CENTRES: [&str; 2] = ["proj_centroid", "centroid"];

/// Mean radius of the earth in kilometres.
const EARTH: f64 = 6371.0;

/// A sample of a split, and its location where its metadata state it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub name: String,
    /// Its region.
    pub group: Option<String>,
    /// Longitude and latitude of its centre in degrees.
    pub centre: Option<[f64; 2]>,
}

/// Leakage between splits.
#[derive(Debug, Clone, PartialEq)]
pub struct Leakage {
    /// Samples of all splits.
    pub samples: usize,
    /// Of those, how many state their region.
    pub grouped: usize,
    /// Regions.
    pub groups: usize,
    /// Regions in two or more splits, with the names of these splits.
    pub shared: Vec<(String, Vec<String>)>,
    /// Samples that state their location.
    pub placed: usize,
    /// Pairs of samples of two splits that are near each other, but for those of one
    /// region; the closest first.
    pub neighbours: Vec<Neighbours>,
}

/// Two samples of two splits that are near each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// The names of both samples.
    pub samples: [String; 2],
    /// The names of their splits.
    pub splits: [String; 2],
    /// Distance of their centres in kilometres.
    pub distance: f64,
}

impl Leakage {
    /// Whether a region is in two splits, or samples of two splits are neighbours.
    pub fn is_any(&self) -> bool {
        !self.shared.is_empty() || !self.neighbours.is_empty()
    }
}

impl Member {
    pub fn new(name: String, metadata: &Metadata, row: usize, near: &Neighbourhood) -> Self {
        let value = |column: &str| {
            let column = metadata.column(column).ok()?;
            Some(metadata.value(row, column)).filter(|value| !value.is_empty())
        };
        Self {
            name,
            group: value(&near.group_by).map(str::to_owned),
            centre: CENTRES.iter().find_map(|column| point(value(column)?)),
        }
    }
}

/// Longitude and latitude of `POINT (x y)`, in degrees.
fn point(text: &str) -> Option<[f64; 2]> {
    let text = text.trim().strip_prefix("POINT")?.trim();
    let text = text.strip_prefix('(')?.strip_suffix(')')?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let point = [numbers.next()?.ok()?, numbers.next()?.ok()?];
    let within = point[0].abs() <= 360.0 && point[1].abs() <= 90.0;
    (numbers.next().is_none() && within).then_some(point)
}

/// Distance on the sphere in kilometres (haversine formula).
fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [[x1, y1], [x2, y2]] = [a, b].map(|point| point.map(f64::to_radians));
    let square = |angle: f64| (angle / 2.0).sin().powi(2);
    let chord = square(y2 - y1) + y1.cos() * y2.cos() * square(x2 - x1);
    2.0 * EARTH * chord.sqrt().min(1.0).asin()
}

/// Leakage between `splits`, by name.
pub(crate) fn leakage(splits: &[(&str, &[Member])], near: &Neighbourhood) -> Leakage {
    let all: Vec<(&str, &Member)> = (splits.iter())
        .flat_map(|(name, members)| members.iter().map(|member| (*name, member)))
        .collect();
    let mut homes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (split, member) in &all {
        if let Some(group) = &member.group {
            homes.entry(group).or_default().insert(split);
        }
    }
    // By latitude, so that only a strip has to be looked through for each.
    let mut placed: Vec<(f64, &str, &Member, [f64; 2])> = (all.iter())
        .filter_map(|(split, member)| Some((member.centre?[1], *split, *member, member.centre?)))
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.2.name.cmp(&b.2.name)));
    let strip = (near.distance / EARTH).to_degrees();
    let mut neighbours = Vec::new();
    for (index, (latitude, split, member, centre)) in placed.iter().enumerate() {
        let above = placed[index + 1..].iter();
        for (_, other_split, other, other_centre) in above.take_while(|o| o.0 - latitude <= strip) {
            let one_region = member.group.is_some() && member.group == other.group;
            let apart = distance(*centre, *other_centre);
            if split == other_split || one_region || apart > near.distance {
                continue;
            }
            neighbours.push(Neighbours {
                samples: [member.name.clone(), other.name.clone()],
                splits: [(*split).to_owned(), (*other_split).to_owned()],
                distance: apart,
            });
        }
    }
    neighbours.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    Leakage {
        samples: all.len(),
        grouped: all.iter().filter(|(_, m)| m.group.is_some()).count(),
        groups: homes.len(),
        shared: (homes.into_iter())
            .filter(|(_, splits)| splits.len() > 1)
            .map(|(group, splits)| {
                let splits = splits.into_iter().map(str::to_owned).collect();
                (group.to_owned(), splits)
            })
            .collect(),
        placed: placed.len(),
        neighbours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, group: &str, centre: Option<[f64; 2]>) -> Member {
        Member {
            name: name.to_owned(),
            group: (!group.is_empty()).then(|| group.to_owned()),
            centre,
        }
    }

    #[test]
    fn a_degree_of_latitude_is_111_km() {
        let equator = distance([3.0, 0.0], [3.0, 1.0]);
        assert!((equator - EARTH * std::f64::consts::PI / 180.0).abs() < 1e-9);
        // Across the date line, and where meridians are half as far apart.
        assert!((distance([-179.5, 60.0], [179.5, 60.0]) - equator / 2.0).abs() < 0.01);
        assert_eq!(
            point("POINT (-69.9609 -42.91051)"),
            Some([-69.9609, -42.91051])
        );
        assert_eq!(point("POINT(1 2)"), Some([1.0, 2.0]));
        for text in [
            "",
            "POINT (1)",
            "POINT (1 91)",
            "POINT (1 2 3)",
            "LINE (1 2)",
        ] {
            assert_eq!(point(text), None, "{text}");
        }
    }

    #[test]
    fn shared_regions_and_neighbours_are_found() {
        let near = Neighbourhood::default();
        let train = [
            member("a", "r1", Some([10.0, 50.0])),
            member("b", "r2", Some([10.0, 0.0])),
            member("c", "r3", None),
        ];
        let val = [
            // Of a region of train, some metres away.
            member("d", "r1", Some([10.0001, 50.0])),
            // 5.6 km from b, of another region; 11.1 km from b.
            member("e", "r4", Some([10.0, 0.05])),
            member("f", "r5", Some([10.1, 0.0])),
        ];
        let test = [member("g", "", Some([10.1, 0.01]))];
        let splits: [(&str, &[Member]); 3] = [("train", &train), ("val", &val), ("test", &test)];
        let found = leakage(&splits, &near);
        assert_eq!([found.samples, found.grouped, found.groups], [7, 6, 5]);
        assert_eq!(found.placed, 6);
        let both = ["train", "val"].map(str::to_owned).to_vec();
        assert_eq!(found.shared, [("r1".to_owned(), both)]);
        let pairs: Vec<[&str; 2]> = (found.neighbours.iter())
            .map(|pair| [pair.samples[0].as_str(), pair.samples[1].as_str()])
            .collect();
        assert_eq!(pairs, [["f", "g"], ["b", "e"]]);
        assert!((found.neighbours[1].distance - 5.56).abs() < 0.01);
        assert!(found.is_any());
        let apart: [(&str, &[Member]); 2] = [("train", &train), ("test", &test)];
        assert!(!leakage(&apart, &near).is_any());
    }
}
