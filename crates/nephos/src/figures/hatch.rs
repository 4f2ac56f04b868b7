//! The hatching of pixels that don't count, so that none looks like clear land.

/// Light and dark of the stripes.
const GREYS: [[u8; 3]; 2] = [[205; 3], [150; 3]];

/// Width of a stripe and its gap for a picture with this longer side, in pixels.
pub(crate) fn period(side: u32) -> u32 {
    (side / 32).max(6)
}

/// Colour of the hatching at a pixel: stripes that rise to the right.
pub(crate) fn colour(row: u32, col: u32, period: u32) -> [u8; 3] {
    GREYS[usize::from((row + col) % period < period / 3)]
}
