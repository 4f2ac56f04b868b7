//! Integration tests of the library, one binary so that it links once.

mod baselines;
mod cog;
mod containers;
mod dataset;
mod engine;
mod landsat;
mod masks;
mod model;
mod outside;
mod parity;
mod parity_full;
mod pickle;
mod plausibility;
mod predictions;
mod products;
mod raster_scenes;
mod safe;
mod scene_graph;
mod simulate;
mod stream;
mod taco;
mod tiff_matrix;
mod tiny;
mod torch;
mod weights;
