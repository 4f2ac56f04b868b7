//! How large a window is.

use crate::config::ModelConfig;

/// Images up to this many times the model's size on each side go through the
/// network whole, so that its graph sees all of them; larger ones in windows.
const WHOLE: usize = 2;

/// Rows and columns of the windows in which a model takes a scene of `height` ×
/// `width` pixels.
///
/// Without `asked`, a scene of up to twice the model's size on each side is one
/// window of its own size, a larger one is cut into windows of the model's size.
/// With it, windows have `asked` pixels a side, and no more than the scene has. A side is
/// rounded up to what the network takes as it is ([`ModelConfig::padded`]: whole patches
/// before a stem), and to the least it takes: what then lies outside the scene is filled
/// with the scene's reflection when the window is cut.
pub fn window_for(
    config: &ModelConfig,
    asked: Option<usize>,
    height: usize,
    width: usize,
) -> [usize; 2] {
    let whole = WHOLE * config.image_size;
    let side = match asked {
        Some(asked) => asked,
        None if height <= whole && width <= whole => whole,
        None => config.image_size,
    };
    let least = config.least_side();
    let [rows, cols] = [height, width].map(|length| length.min(side).max(least));
    config.padded(rows, cols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn windows_follow_the_model_and_the_scene() {
        let config = ModelConfig::default();
        assert_eq!(window_for(&config, None, 1018, 700), [1018, 700]);
        assert_eq!(window_for(&config, None, 1019, 700), [509, 509]);
        assert_eq!(window_for(&config, None, 5000, 100), [509, 100]);
        // A patch of 19 with a border of 5 needs 9 pixels.
        assert_eq!(window_for(&config, None, 1, 4), [9, 9]);
        assert_eq!(window_for(&config, Some(256), 700, 100), [256, 100]);
        assert_eq!(window_for(&config, Some(1), 700, 100), [9, 9]);
    }

    #[test]
    fn windows_of_a_model_with_a_stem_are_whole_patches() {
        let config = Config::preset("tiny", &[]).unwrap().model;
        for (asked, size, window) in [
            (None, [256, 384], [256, 384]),
            (None, [250, 101], [256, 104]),
            (None, [1, 1], [8, 8]),
            (None, [7, 9], [8, 16]),
            (None, [1, 500], [8, 504]),
            (None, [1, 800], [8, 384]),
            (None, [769, 100], [384, 104]),
            (Some(100), [250, 60], [104, 64]),
            (Some(1), [250, 3], [8, 8]),
        ] {
            assert_eq!(window_for(&config, asked, size[0], size[1]), window);
        }
        let unet = Config::preset("unet", &[]).unwrap().model;
        assert_eq!(window_for(&unet, None, 33, 500), [64, 512]);
    }
}
