//! What a model costs.

use crate::device::Device;
use ndarray::{Array3, ArrayView2, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::predict::{Model, RowSink, RunOptions, run, window_for};
use crate::raster::Georeference;
use crate::scene::MemoryScene;
use crate::weights::Bundle;

/// Side of the scene that is timed, in pixels.
const SIDE: usize = 1024;

/// Side of the image whose multiplications are counted, in pixels.
const COUNTED: usize = 512;

/// Times the scene is segmented; the fastest counts.
const RUNS: usize = 2;

/// What a model costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Numbers that training changes.
    pub parameters: usize,
    /// Operations for an image of 512 × 512 pixels, two per multiplication, in 10⁹ per
    /// megapixel; see [`multiplications`](crate::engine::multiplications).
    pub gigaflops_per_megapixel: f64,
    /// Time to segment a scene of a megapixel on this machine, windows' overlaps
    /// included.
    pub seconds_per_megapixel: f64,
    /// Largest memory of the process while it does, in bytes, where the system reports it.
    pub prediction_memory: Option<u64>,
}

/// Measures a model on `device`.
///
/// # Errors
/// The model can't segment, or gives numbers that are not finite.
pub fn cost(bundle: &Bundle, device: &Device) -> Result<Cost> {
    let config = &bundle.config;
    let channels = config.channels();
    let (parameters, counted) = device.cost(&config.model, channels, [COUNTED; 2])?;
    // Pixels of any kind: no network's time depends on them.
    let pixels = Array3::from_shape_fn((channels, SIDE, SIDE), |(band, row, col)| {
        0.1 + 0.05 * ((band * 31 + row * 7 + col * 13) % 11) as f32
    });
    let place = Georeference::default();
    // A channel beside the bands declares each optional one absent.
    let flags = config
        .data
        .optional_bands
        .iter()
        .map(|band| format!("no {band}"));
    let names: Vec<String> = (config.data.bands.iter().cloned()).chain(flags).collect();
    let scene = MemoryScene::new("timed", &names, pixels, place)?;
    let bands: Vec<usize> = (0..channels).collect();
    let model = Model::new(bundle.clone(), device)?;
    let window = window_for(&config.model, None, SIDE, SIDE);
    let options = RunOptions {
        overlap: config.model.overlap,
        align: config.model.alignment(),
        ..RunOptions::new(window)
    };
    let memory = PeakMemory::start();
    let mut fastest = f64::INFINITY;
    for _ in 0..RUNS {
        let (classes, gain) = (config.model.classes, config.data.input_gain());
        let mut sink = NullSink;
        let stats = run(
            &model,
            classes,
            &scene,
            &bands,
            gain,
            &options,
            &mut sink,
            &|_| (),
        )?;
        fastest = fastest.min(stats.total_seconds);
    }
    let megapixels = |side: usize| (side * side) as f64 / 1e6;
    Ok(Cost {
        parameters,
        gigaflops_per_megapixel: 2.0 * counted as f64 / 1e9 / megapixels(COUNTED),
        seconds_per_megapixel: fastest / megapixels(SIDE),
        prediction_memory: memory.peak(),
    })
}

/// Discards rows.
struct NullSink;

impl RowSink for NullSink {
    fn rows(
        &mut self,
        _first: usize,
        _classes: ArrayView2<'_, u8>,
        _probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        Ok(())
    }
}

/// The peak memory of this process from a moment on.
pub(super) struct PeakMemory(());

impl PeakMemory {
    /// From now on, where the system can reset the peak (Linux).
    pub(super) fn start() -> Self {
        // Where this fails the peak is that since the process started.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self(())
    }

    /// Bytes; `None` where the system does not report it.
    pub(super) fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(1024 * kilobytes)
    }
}
