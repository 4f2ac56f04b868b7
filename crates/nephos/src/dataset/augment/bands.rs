//! Optional bands that a sample pretends not to have.

use super::draw::Dice;
use crate::band;
use crate::dataset::Example;

/// Bands that sensors have or lack together.
const FAMILIES: [&[&str]; 6] = [
    &["nir", "nir08"],
    &["rededge071", "rededge075", "rededge078"],
    &["swir16", "swir22"],
    &["coastal", "nir09"],
    &["cirrus"],
    &["lwir", "lwir11", "lwir12"],
];

/// Drops optional bands, in a third of the cases each: all of them; whole families, each
/// with probability one half; single bands, each with probability one half. Required
/// bands stay.
pub(super) fn drop_out(
    example: &mut Example,
    names: &[String],
    optional: &[usize],
    dice: &mut Dice,
) {
    let way = dice.below(3);
    // All numbers are drawn, whatever the way: one a family, then one a band.
    let families = FAMILIES.map(|_| dice.chance(0.5));
    let family = |name: &str| {
        let name = band::canonical(name);
        FAMILIES
            .iter()
            .position(|members| members.contains(&name.as_str()))
    };
    for place in optional {
        let alone = dice.chance(0.5);
        let dropped = match (way, family(&names[*place])) {
            (0, _) => true,
            (1, Some(family)) => families[family],
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
