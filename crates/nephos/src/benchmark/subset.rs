//! Scores of a fold's model where some of its bands are withheld.

use std::path::Path;

use crate::device::Device;
use serde::{Deserialize, Serialize};

use super::result::{FoldResult, fold_folder};
use super::run::{Benchmark, Folded};
use crate::band;
use crate::config::DataConfig;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::evaluate::evaluate;
use crate::metrics::{ConfusionMatrix, Reliability};
use crate::train::LAST_FILE;
use crate::weights::Bundle;

/// Result of a model on one fold with some of its bands alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subset {
    /// The bands it was given.
    pub bands: Vec<String>,
    /// All labelled pixels.
    pub confusion: ConfusionMatrix,
    /// Reliability of the probabilities.
    pub reliability: Reliability,
}

/// `reading` where only `bands` are given.
///
/// # Errors
/// A band the models do not read, or one left out that is not optional.
pub(super) fn reading_of(reading: &DataConfig, bands: &[String]) -> Result<DataConfig> {
    let requested: Vec<String> = bands.iter().map(|name| band::canonical(name)).collect();
    let all: Vec<String> = (reading.bands.iter()).map(|b| band::canonical(b)).collect();
    if let Some(unknown) = requested.iter().find(|band| !all.contains(band)) {
        return Err(Error::usage(format!(
            "`options.also_bands`: `{unknown}` is none of the bands read: {}",
            reading.bands.join(", ")
        )));
    }
    let optional: Vec<String> = (reading.optional_bands.iter())
        .map(|b| band::canonical(b))
        .collect();
    let withhold: Vec<String> = all.into_iter().filter(|b| !requested.contains(b)).collect();
    if let Some(needed) = withhold.iter().find(|band| !optional.contains(band)) {
        return Err(Error::usage(format!(
            "`options.also_bands`: `{needed}` can't be left out: it is not in data.optional_bands"
        )));
    }
    Ok(DataConfig {
        withhold,
        ..reading.clone()
    })
}

impl Subset {
    /// Scores `bundle` on `held`, opened by [`reading_of`] these bands.
    ///
    /// # Errors
    /// Samples that can't be read.
    pub(super) fn score(
        bands: &[String],
        bundle: &Bundle,
        held: &Dataset,
        device: &Device,
    ) -> Result<Self> {
        let evaluation = evaluate(bundle, held, device, |_| Ok(()))?;
        Ok(Self {
            bands: bands.to_vec(),
            confusion: evaluation.confusion,
            reliability: evaluation.reliability,
        })
    }
}

impl Benchmark {
    /// Scores each fold with the bands of `also_bands` alone, where that is not done yet;
    /// `subsets` are the samples opened so.
    pub(super) fn score_subsets(
        &self,
        folder: &Path,
        folded: &Folded,
        subsets: &[Dataset],
        results: &mut [FoldResult],
    ) -> Result<()> {
        for (fold, result) in results.iter_mut().enumerate() {
            let place = fold_folder(folder, fold);
            let done = std::mem::take(&mut result.subsets);
            let mut bundle = None;
            for (bands, samples) in self.also_bands.iter().zip(subsets) {
                if let Some(subset) = done.iter().find(|subset| subset.bands == *bands) {
                    result.subsets.push(subset.clone());
                    continue;
                }
                let bundle = match &bundle {
                    Some(bundle) => bundle,
                    None => bundle.insert(Bundle::load(&place.join(LAST_FILE))?),
                };
                let held = samples.subset(folded.indices(|of| of == fold))?;
                (result.subsets).push(Subset::score(bands, bundle, &held, &self.device)?);
            }
            if result.subsets != done {
                result.write(&place)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn bands_that_are_not_given_are_withheld() {
        let text = "[data]\nbands = ['red', 'B08', 'swir16']\noptional_bands = ['B08', 'swir16']";
        let reading = Config::parse(text, "t.toml", &[]).unwrap().data;
        let of = |bands: &[&str]| {
            let bands: Vec<String> = bands.iter().map(|b| (*b).to_owned()).collect();
            reading_of(&reading, &bands)
        };
        assert_eq!(of(&["red", "nir"]).unwrap().withhold, ["swir16"]);
        assert!(of(&["nir"]).unwrap_err().to_string().contains("`red`"));
        assert!(
            of(&["red", "blue"])
                .unwrap_err()
                .to_string()
                .contains("`blue`")
        );
    }
}
