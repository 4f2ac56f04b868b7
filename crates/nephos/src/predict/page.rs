//! The page beside a mask.

use std::io::Write;
use std::path::Path;

use super::outputs::{Outputs, SideOutput};
use super::reduced::true_colour_of;
use crate::error::{Error, Result};
use crate::figures::page::Page;
use crate::mask::{self, MaskSummary};
use crate::output;
use crate::scene::Scene;

/// Longest side of the image and the mask in a page, in pixels.
const SIDE: usize = 2048;
/// The same of the probabilities, of which there are as many as classes.
const PROBABILITY_SIDE: usize = 1024;

/// Writes the page of a scene and its mask, with the probabilities where they are written
/// beside it.
pub(super) fn write(
    scene: &dyn Scene,
    outputs: &Outputs,
    summary: &MaskSummary,
    record: &[(String, String)],
    path: &Path,
) -> Result<()> {
    let info = scene.info();
    let codes = mask::reduced(&outputs.mask, SIDE)?;
    let image = true_colour_of(scene, codes.dim().into())?;
    let probabilities = (outputs.requested(SideOutput::Probabilities))
        .map(|path| mask::reduced_probabilities(&path, PROBABILITY_SIDE))
        .transpose()?;
    let place = &info.georeference;
    let html = Page {
        summary,
        size: info.size,
        codes: &codes,
        image: image.as_ref(),
        probabilities: probabilities.as_ref(),
        transform: place.transform,
        system: (place.keys.as_ref())
            .and_then(|keys| keys.epsg())
            .map(|code| format!("EPSG:{code}")),
        metres: mask::pixel_metres(place, info.size),
        record,
    }
    .html()?;
    output::write_atomic(path, |writer| {
        (writer.write_all(html.as_bytes())).map_err(|e| Error::io(path, e))
    })
}
