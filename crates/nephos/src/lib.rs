//! Cloud segmentation for satellite images: a Vision Transformer embeds an image
//! as patches, a Graph Attention Network refines them over a fully connected
//! graph, a decoder brings them back to full resolution. Every pixel becomes
//! clear, thick cloud, thin cloud or cloud shadow.
//!
//! The library in the order its data flows:
//!
//! - [`raster`]: codecs of raster files, georeferences;
//! - [`scene`]: scenes as agencies deliver them, their bands and radiometry;
//! - [`samples`]: containers of labelled samples;
//! - [`data`]: samples as a model sees them, batches, splits, the simulator;
//! - [`weights`]: a trained model in a [`Bundle`](weights::Bundle);
//! - [`engine`]: the network on a CPU, for inference and training;
//! - [`network`]: how predicting and training call a network;
//! - [`train`]: the [`Trainer`](train::Trainer);
//! - [`predict`]: from an image to classes and probabilities;
//! - [`evaluate`]: scores and calibration on labelled samples;
//! - [`mask`]: class maps as GeoTIFF, PNG and NumPy files;
//! - [`metrics`] and [`figures`]: scores, curves and pictures;
//! - [`benchmark`]: models against each other on the same folds.
//!
//! Features on by default: `figures` draws pictures with text and plots ([`figures`]), `taco`
//! reads Parquet tables, which most TACO containers have. Without `taco` these are an
//! [`Error::Unsupported`]; without `figures` training and benchmarks write no pictures, a
//! quick-look is such an error, and what draws is not there.
//!
//! [`config::Config`] holds every setting and reads TOML; [`device::Device`] is where networks
//! are computed.
//!
//! ```
//! use nephos::data::simulate::Simulator;
//! use nephos::device::Device;
//! use nephos::predict::predict_image;
//! use nephos::weights::Bundle;
//!
//! let bundle = Bundle::load("tiny".as_ref())?;
//! let scene = Simulator::default().simulate(42, 0, 64)?;
//! // Reflectance × 10000 of the model's bands, and no band absent.
//! let bands = scene.bands.mapv(|v| f32::from(v) / bundle.config.data.scale);
//! # let channels = bundle.config.channels();
//! # let mut image = ndarray::Array3::zeros((channels, 64, 64));
//! # for (to, from) in [(0, 1), (1, 2), (2, 3)] {
//! #     image.index_axis_mut(ndarray::Axis(0), to).assign(&bands.index_axis(ndarray::Axis(0), from));
//! # }
//! let valid = ndarray::Array2::from_elem((64, 64), true);
//! let prediction = predict_image(&bundle, &image, &valid, &Device::cpu())?;
//! assert_eq!(prediction.classes.dim(), (64, 64));
//! # Ok::<(), nephos::Error>(())
//! ```

#![deny(missing_docs)]
#![deny(rustdoc::broken_intra_doc_links)]

pub mod band;
pub mod benchmark;
pub mod class;
pub mod config;
pub mod data;
pub mod device;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod figures;
pub mod lock;
pub mod loss;
pub mod mask;
pub mod memory;
pub mod metrics;
#[doc(hidden)]
pub mod mirror;
pub mod network;
pub mod output;
pub mod predict;
pub mod raster;
pub mod samples;
pub mod scene;
pub mod text;
pub mod train;
pub mod weights;

pub use error::{Error, Result};
