//! What goes out: class masks and probabilities as Cloud-Optimised GeoTIFF, PNG or
//! NumPy array, and what is made of them.

mod cog;
mod format;
mod geotiff;
mod numpy;
mod palette;
mod png;
mod xml;

pub use cog::{CogSpec, CogWriter, Resampling, probability_code};
pub use format::{MaskFormat, read, write};
pub use geotiff::{read_georeference, write_probabilities};
