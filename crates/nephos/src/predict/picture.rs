//! The quick-look: a scene in true colour and its mask, reduced to fit a page.

use std::path::Path;

use super::reduced::true_colour_of;
use crate::error::Result;
use crate::figures::quicklook;
use crate::mask::{self, MaskSummary};
use crate::scene::Scene;

/// Longest side of the pictures in a quick-look, in pixels.
const QUICKLOOK_SIDE: usize = 900;

/// Writes the quick-look of a scene and its `mask`.
pub(super) fn write_quicklook(
    scene: &dyn Scene,
    mask: &Path,
    summary: &MaskSummary,
    path: &Path,
) -> Result<()> {
    let reduced = mask::reduced(mask, QUICKLOOK_SIDE)?;
    let image = true_colour_of(scene, reduced.dim().into())?;
    quicklook(image, &reduced, summary)?.save(path)
}
