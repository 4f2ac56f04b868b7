//! Band dropout: optional bands declared absent.

use super::random::AugmentRng;
use crate::band;
use crate::data::Example;

/// Bands that sensors have or lack together.
const FAMILIES: [&[&str]; 6] = [
    &["nir", "nir08"],
    &["rededge071", "rededge075", "rededge078"],
    &["swir16", "swir22"],
    &["coastal", "nir09"],
    &["cirrus"],
    &["lwir", "lwir11", "lwir12"],
];

/// Drops optional bands: in half of the cases all from one on, in the order in which the
/// configuration lists them (for which sensors come with more and more of them); in a
/// quarter whole families, each with probability one half; in a quarter single bands,
/// each with probability one half. Required bands stay.
pub(crate) fn drop_out(
    example: &mut Example,
    names: &[String],
    optional: &[usize],
    rng: &mut AugmentRng,
) {
    let way = rng.below(4);
    // All numbers are drawn, whatever the way: one for the order, one per family, then one
    // per band.
    let kept = rng.below(optional.len().max(1));
    let families = FAMILIES.map(|_| rng.chance(0.5));
    let family = |name: &str| {
        let name = band::canonical(name);
        FAMILIES
            .iter()
            .position(|members| members.contains(&name.as_str()))
    };
    for (rank, place) in optional.iter().enumerate() {
        let alone = rng.chance(0.5);
        let dropped = match (way, family(&names[*place])) {
            (0 | 1, _) => rank >= kept,
            (2, Some(family)) => families[family],
            _ => alone,
        };
        if dropped {
            example.absent[*place] = true;
            example
                .image
                .slice_mut(ndarray::s![*place, .., ..])
                .fill(0.0);
        }
    }
}
