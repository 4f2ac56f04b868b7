//! Cloud segmentation for satellite images: a Vision Transformer embeds an image
//! as patches, a Graph Attention Network refines them over a fully connected
//! graph, a decoder brings them back to full resolution. Every pixel becomes
//! clear, thick cloud, thin cloud or cloud shadow.
//!
//! The library in the order its data flows:
//!
//! - [`scene`]: files of samples, opened and read a sample at a time;
//! - [`dataset`]: samples as a model sees them, batches, splits, the simulator;
//! - [`model`]: the [`Segmenter`](model::Segmenter) and its weights in a
//!   [`Bundle`](model::Bundle);
//! - [`train`]: the [`Trainer`](train::Trainer);
//! - [`predict`]: from an image to classes and probabilities, and evaluation;
//! - [`mask`]: class maps as GeoTIFF, PNG and NumPy files;
//! - [`report`]: scores, curves and figures;
//! - [`benchmark`]: models against each other on the same folds;
//! - [`kernel`]: operations of the network that a CPU computes with kernels of its own.
//!
//! Features on by default: `figures` draws pictures with text and plots ([`report`]), `taco`
//! reads Parquet tables, which most TACO containers have. Without `taco` these are an
//! [`Error::Unsupported`]; without `figures` training and benchmarks write no pictures, a
//! quick-look is such an error, and what draws is not there.
//!
//! [`config::Config`] holds every setting and reads TOML; [`device::select`] is
//! where a backend is chosen.
//!
//! ```
//! use nephos::config::Config;
//! use nephos::dataset::simulate::Simulator;
//! use nephos::device;
//! use nephos::model::Segmenter;
//! use nephos::predict::predict_image;
//!
//! let config = Config::parse("[model.patch]\nwidth = 32", "example.toml", &[])?;
//! let scene = Simulator::default().simulate(42, 0, 64)?;
//! // Red, green and blue as the reference takes them: reflectance × 10000 / 5000.
//! let image = scene.bands.select(ndarray::Axis(0), &[3, 2, 1]).mapv(|v| f32::from(v) / 5000.0);
//! let valid = ndarray::Array2::from_elem((64, 64), true);
//!
//! let device = device::select("cpu")?;
//! let segmenter = Segmenter::new(&config.model, config.channels(), &device);
//! let prediction = predict_image(&segmenter, &config.model, &image, &valid, &device)?;
//! assert_eq!(prediction.classes.dim(), (64, 64));
//! # Ok::<(), nephos::Error>(())
//! ```

#![deny(missing_docs)]
#![deny(rustdoc::broken_intra_doc_links)]

pub mod band;
pub mod benchmark;
pub mod class;
pub mod config;
pub mod dataset;
pub mod device;
pub mod error;
pub mod kernel;
pub mod lock;
pub mod mask;
mod mirror;
pub mod model;
pub mod output;
pub mod predict;
pub mod report;
pub mod scene;
pub mod text;
pub mod train;

pub use error::{Error, Result};
