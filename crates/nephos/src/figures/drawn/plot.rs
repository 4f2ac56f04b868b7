//! Common parts of line plots.

use std::io::Write;
use std::path::Path;

use kuva::prelude::{Layout, Plot};

use crate::error::{Error, Result};
use crate::output;

/// Dots per unit of a plot: 720 × 450 units become 2160 × 1350 pixels.
const SCALE: f32 = 3.0;

/// Colours of lines, distinguishable by the colour-blind (Okabe & Ito 2008); its yellow is
/// left out, too pale for a line on white.
pub(crate) const COLOURS: [&str; 6] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
];

/// Draws to the PNG `path`.
///
/// # Errors
/// It can't be drawn, or the file can't be written.
pub(crate) fn write(path: &Path, plots: Vec<Plot>, layout: Layout) -> Result<()> {
    let png = kuva::render_to_raster(plots, layout, SCALE)
        .map_err(|message| Error::usage(format!("{}: {message}", path.display())))?;
    let png = output::with_software(&png);
    output::write_atomic(path, |writer| {
        writer.write_all(&png).map_err(|e| Error::io(path, e))
    })
}
