//! Probabilities of a fold, calibrated on the other folds.
//!
//! The scores of a scene come from a network that was not trained on it, and the temperature
//! they are divided by from scenes that are not in its fold.

use std::path::Path;

use crate::device::Device;
use serde::{Deserialize, Serialize};

use super::result::{FoldResult, fold_folder};
use super::run::{Benchmark, Folded};
use crate::config::CalibrationConfig;
use crate::data::Dataset;
use crate::error::Result;
use crate::evaluate::{evaluate, labelled_pixels, temperature};
use crate::metrics::Reliability;
use crate::train::LAST_FILE;
use crate::weights::Bundle;

/// Pixels of a fold that the others are calibrated on, at most about.
const MOST: usize = 100_000;

/// A fold's probabilities after calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Other folds that it was calibrated on.
    pub others: usize,
    /// What the scores were divided by.
    pub temperature: f64,
    /// Reliability after calibration.
    pub reliability: Reliability,
}

impl Calibrated {
    /// For each fold, of its model and the scenes held out from it. With one fold, none.
    ///
    /// # Errors
    /// Samples that can't be read.
    pub(super) fn across(folds: &[(Bundle, Dataset)], device: &Device) -> Result<Vec<Self>> {
        let others = folds.len().saturating_sub(1);
        if others == 0 {
            return Ok(Vec::new());
        }
        let pixels = (folds.iter())
            .map(|(bundle, held)| labelled_pixels(bundle, held, device, MOST, &mut |_| ()))
            .collect::<Result<Vec<_>>>()?;
        (folds.iter().enumerate())
            .map(|(fold, (bundle, held))| {
                let rest: Vec<_> = (pixels.iter().enumerate())
                    .filter(|(other, _)| *other != fold)
                    .flat_map(|(_, pixels)| pixels.iter().cloned())
                    .collect();
                let temperature = temperature(&rest);
                let mut bundle = bundle.clone();
                bundle.config.calibration = CalibrationConfig {
                    temperature,
                    ..CalibrationConfig::default()
                };
                Ok(Self {
                    others,
                    temperature,
                    reliability: evaluate(&bundle, held, device, |_| Ok(()))?.reliability,
                })
            })
            .collect()
    }
}

impl Benchmark {
    /// Calibrates each fold on the others, where that is not done yet.
    pub(super) fn calibrate(
        &self,
        folder: &Path,
        folded: &Folded,
        results: &mut [FoldResult],
    ) -> Result<()> {
        let others = results.len().saturating_sub(1);
        let done = |result: &FoldResult| {
            (result.calibrated.as_ref()).is_some_and(|calibrated| calibrated.others == others)
        };
        if others == 0 || results.iter().all(done) {
            return Ok(());
        }
        let place = |fold: usize| fold_folder(folder, fold);
        let folds = (0..results.len())
            .map(|fold| {
                let bundle = Bundle::load(&place(fold).join(LAST_FILE))?;
                Ok((bundle, folded.held(fold)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let calibrated = Calibrated::across(&folds, &self.device)?;
        for (fold, (result, calibrated)) in results.iter_mut().zip(calibrated).enumerate() {
            result.calibrated = Some(calibrated);
            result.write(&place(fold))?;
        }
        Ok(())
    }
}
