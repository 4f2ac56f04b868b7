//! Colour maps for numbers drawn as pictures.

use kuva::plot::ColorMap;

/// From a number in [0, 1] to a colour; lightness changes evenly along each map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMap {
    /// Dark blue, green, yellow (van der Walt & Smith 2015).
    Viridis,
    /// White to dark blue (Brewer 2003), for numbers that are also printed.
    Blues,
}

impl ColourMap {
    /// The colour of `share`, 8 bits per channel; numbers outside [0, 1] get the
    /// colour of the nearer end, NaN that of 0.
    pub fn rgb(self, share: f64) -> [u8; 3] {
        let map = match self {
            Self::Viridis => ColorMap::Viridis,
            Self::Blues => ColorMap::Blues,
        };
        let share = if share.is_nan() { 0.0 } else { share };
        let (red, green, blue) = map.map_rgb(share).unwrap_or_default();
        [red, green, blue]
    }
}

/// Whether black reads better than white on this colour (Rec. 709 luma).
pub(crate) fn is_light([red, green, blue]: [u8; 3]) -> bool {
    0.2126 * f64::from(red) + 0.7152 * f64::from(green) + 0.0722 * f64::from(blue) > 125.0
}

/// The middle between two colours, weighted: `weight` of `over`, the rest of
/// `under`, rounded to the nearest of 256 levels.
pub(crate) fn mix(under: [u8; 3], over: [u8; 3], weight: f32) -> [u8; 3] {
    std::array::from_fn(|i| {
        let mixed = f32::from(under[i]) * (1.0 - weight) + f32::from(over[i]) * weight;
        mixed.round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_brighten_from_end_to_end() {
        let light = |map: ColourMap, x: f64| map.rgb(x).map(u32::from).iter().sum::<u32>();
        let map = ColourMap::Viridis;
        for step in 1..=10 {
            let (before, after) = (f64::from(step - 1) / 10.0, f64::from(step) / 10.0);
            assert!(light(map, after) > light(map, before), "{map:?} at {after}");
        }
        assert_eq!(map.rgb(-1.0), map.rgb(0.0));
        assert_eq!(map.rgb(7.0), map.rgb(1.0));
        assert_eq!(map.rgb(f64::NAN), map.rgb(0.0));
        assert!(is_light(ColourMap::Blues.rgb(0.0)) && !is_light(ColourMap::Blues.rgb(1.0)));
    }

    #[test]
    fn halves_are_exact() {
        assert_eq!(mix([0, 100, 255], [200, 101, 255], 0.5), [100, 101, 255]);
        assert_eq!(mix([9, 9, 9], [200, 0, 0], 0.0), [9, 9, 9]);
    }
}
