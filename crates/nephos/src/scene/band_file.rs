//! Files of one band each, some of which may be broken or out of place.
//!
//! A broken file of a band that is not read must not stop a scene: its error is kept and
//! returned when the band is read.

use super::same_grid::same_grid;
use crate::error::{Error, Result};
use crate::raster::tiff::TiffRaster;

/// The file whose grid is the scene's: that that most of red, green and blue have, then
/// most of all; the first of them. `None` where none can be read.
pub(super) fn reference(files: &[Result<TiffRaster>], names: &[&str]) -> Option<usize> {
    let is_visible = |position: usize| ["red", "green", "blue"].contains(&names[position]);
    let good = || {
        (files.iter().enumerate())
            .filter_map(|(position, file)| Some((position, file.as_ref().ok()?)))
    };
    let mut best: Option<([usize; 2], usize)> = None;
    for (position, file) in good() {
        let mut counts = [0, 0];
        for (other, _) in good().filter(|(_, other)| same_grid(file, other).is_ok()) {
            counts[0] += usize::from(is_visible(other));
            counts[1] += 1;
        }
        if best.is_none_or(|(most, _)| counts > most) {
            best = Some((counts, position));
        }
    }
    best.map(|(_, position)| position)
}

/// An error once more, as each reading of the band ends in it.
pub(super) fn again(error: &Error) -> Error {
    match error {
        Error::Format {
            path,
            offset,
            message,
        } => Error::Format {
            path: path.clone(),
            offset: *offset,
            message: message.clone(),
        },
        Error::Unsupported { subject, message } => Error::unsupported(subject, message.clone()),
        Error::Limits { subject, message } => Error::limits(subject, message.clone()),
        Error::Usage(message) => Error::Usage(message.clone()),
        Error::Model(message) => Error::Model(message.clone()),
        Error::Cancelled => Error::Cancelled,
        Error::Io { path, source } => {
            let text = source.to_string();
            Error::io(path, std::io::Error::new(source.kind(), text))
        }
    }
}
