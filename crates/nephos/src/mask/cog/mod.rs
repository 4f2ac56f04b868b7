//! Cloud-Optimised GeoTIFF, uint8, written from the top down in memory that does
//! not grow with the raster's height.
//!
//! Rows come in at the top; a tile row that is full is deflated and spooled to an
//! unnamed file in the output's folder, and so are the overviews, which grow
//! along. At the end header, directories and tiles are put together as a COG requires
//! (OGC 21-026): directories first, largest image first; then the tiles, smallest
//! image first.

mod directory;
mod georeference;
mod level;
mod metadata;
mod reduce;
mod spec;
mod tile_row;
mod writer;

pub use spec::{CogSpec, Resampling, probability_code};
pub use writer::CogWriter;
