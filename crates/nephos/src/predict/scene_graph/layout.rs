//! Positions of the windows and patches of a scene.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::predict::stream::RunOptions;
use crate::scene::Plan;

/// Windows on the scene's one grid of patches, in tokens and in pixels.
pub(super) struct Layout {
    /// Windows in units of tokens, over the grid of the whole scene.
    pub tokens: Plan,
    /// The same windows in pixels; the last may reach past the scene.
    pub pixels: Plan,
    /// Pixels from one patch to the next.
    pub stride: usize,
    /// Pixels by which the first patch reaches out of the scene.
    pub padding: usize,
}

impl Layout {
    /// Windows by `options`, each of whole patches.
    ///
    /// # Errors
    /// What [`Plan::new`] refuses.
    pub fn new(config: &ModelConfig, size: [usize; 2], options: &RunOptions) -> Result<Self> {
        let grid = |[height, width]: [usize; 2]| {
            let (rows, cols) = config.grid(height, width).ok_or_else(|| {
                Error::usage(format!(
                    "{height} × {width} pixels are smaller than one patch of the model"
                ))
            })?;
            Ok::<_, Error>([rows, cols])
        };
        let window = config.padded(options.window[0], options.window[1]);
        let (whole, part) = (grid(at_least_a_patch(config, size))?, grid(window)?);
        let part = [part[0].min(whole[0]), part[1].min(whole[1])];
        let tokens = Plan::new(whole, part, options.overlap, 1, 0)?;
        let stride = config.patch.stride;
        let place = |starts: &[isize]| starts.iter().map(|s| s * stride as isize).collect();
        let pixels = Plan {
            size,
            window,
            tops: place(&tokens.tops),
            lefts: place(&tokens.lefts),
        };
        Ok(Self {
            tokens,
            pixels,
            stride,
            padding: config.patch.padding,
        })
    }

    /// The row, or column, of patches on which a pixel falls; the last where pixels
    /// are left over.
    pub fn patch_of(&self, pixel: usize, patches: usize) -> usize {
        ((pixel + self.padding) / self.stride).min(patches - 1)
    }
}

/// The size of a scene, or the least that the network takes where that is more.
pub(super) fn at_least_a_patch(config: &ModelConfig, size: [usize; 2]) -> [usize; 2] {
    size.map(|side| side.max(config.least_side()))
}
