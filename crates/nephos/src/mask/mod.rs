//! What goes out: class masks and probabilities as GeoTIFF, PNG or NumPy array.

mod format;
mod geotiff;
mod numpy;
mod palette;
mod png;

pub use format::{MaskFormat, read, write};
pub use geotiff::{Georeference, write_probabilities};
