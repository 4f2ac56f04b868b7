//! Integration tests of the library, one binary so that it links once.

mod containers;
mod dataset;
mod landsat;
mod masks;
mod model;
mod outside;
mod parity;
mod parity_full;
mod pickle;
mod predictions;
mod raster_scenes;
mod simulate;
mod taco;
mod tiff_matrix;
mod tiny;
mod torch;
mod weights;
