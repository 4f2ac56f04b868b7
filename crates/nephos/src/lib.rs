//! Cloud segmentation for satellite images: a Vision Transformer embeds an image
//! as patches, a Graph Attention Network refines them over a fully connected
//! graph, a decoder brings them back to full resolution. Every pixel becomes
//! clear, thick cloud, thin cloud or cloud shadow.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let (tif, mask) = (folder.path().join("scene.tif"), folder.path().join("mask.tif"));
//! # let scene = nephos::data::simulate::Simulator::default().simulate(42, 0, 64)?;
//! # scene.write(&tif)?;
//! let model = nephos::Model::load("tiny")?;
//! let scene = nephos::open(&tif)?;
//! model.predict(&scene)?.write(&mask)?;
//! # assert!(mask.is_file());
//! # Ok::<(), nephos::Error>(())
//! ```
//!
//! [`open`] reads what agencies deliver: GeoTIFF, a folder of bands, a Sentinel-2 SAFE folder or
//! its zip, Landsat Collection 2, PNG, JPEG. [`PredictOptions`] chooses windows, dilation, what is
//! written beside the mask, and receives progress; [`Prediction::classes`] gives the mask as an
//! array. [`Trainer`] trains on labelled samples:
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let samples = folder.path().join("train_split.pkl");
//! # let plan = nephos::data::simulate::SplitPlan { counts: [6, 0, 0], size: 64, seed: 1 };
//! # nephos::data::simulate::write_splits(&Default::default(), folder.path(), &plan, |_| ())?;
//! use nephos::{Config, Device, Trainer, data};
//!
//! let set = format!("data.train={}", samples.display());
//! let set = [&set, "data.val_fraction=0.34", "train.epochs=1", "train.batch_size=2"];
//! let config = Config::open("tiny".as_ref(), &set.map(str::to_owned))?;
//! let (train, val) = data::open_training(&config)?;
//! let run = Trainer::new(config, folder.path().join("run"), Device::cpu());
//! let outcome = run.run(&train, val.as_ref(), &mut ())?;
//! println!("mIoU {:?}", outcome.history[0].val_miou);
//! # Ok::<(), nephos::Error>(())
//! ```
//!
//! A network of one's own implements [`network::Network`] and predicts through
//! [`Model::of_network`]. `examples/` has a program for each of the three.
//!
//! The modules, in the order that data flow:
//!
//! - [`raster`], [`scene`], [`samples`]: codecs, scenes, containers of labelled samples;
//! - [`data`]: samples as a model sees them, batches, splits, augmentation, the simulator;
//! - [`weights`], [`network`], [`engine`], [`device`]: a trained model in a
//!   [`Bundle`](weights::Bundle), how a network is called, the network on a CPU, other devices;
//! - [`train`], [`predict`], [`evaluate`], [`benchmark`]: what is done with them;
//! - [`onnx`]: a trained model for ONNX Runtime and QGIS;
//! - [`mask`], [`metrics`], [`figures`]: class maps as files, scores, pictures;
//! - [`config`]: every setting, and its TOML.
//!
//! Features on by default: `figures` draws pictures with text and plots, `taco` reads Parquet
//! tables, which most TACO containers have. Without `taco` these are an [`Error::Unsupported`];
//! without `figures` training and benchmarks write no pictures, a quick-look is such an error,
//! and what draws is not there.

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
mod lock;
#[doc(hidden)]
pub mod loss;
pub mod mask;
mod memory;
pub mod metrics;
#[doc(hidden)]
pub mod mirror;
pub mod network;
pub mod onnx;
pub mod output;
pub mod predict;
pub mod raster;
pub mod samples;
pub mod scene;
pub mod text;
pub mod train;
pub mod weights;

pub use config::Config;
pub use device::Device;
pub use error::{Error, Result};
pub use predict::{GraphScope, Model, PredictOptions, Prediction, Progress, SideOutput};
pub use scene::{Scene, SceneOptions};
pub use train::Trainer;

/// Opens a scene as its own metadata describe it; [`scene::open_scene`] takes options.
///
/// # Errors
/// The path is not there, or no scene that nephos reads, or broken.
pub fn open(path: impl AsRef<std::path::Path>) -> Result<Box<dyn Scene>> {
    scene::open_scene(path.as_ref(), &SceneOptions::default())
}
