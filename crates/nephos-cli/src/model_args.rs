//! The arguments of every command that uses a trained model.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::config::{Config, DataConfig};
use nephos::dataset::Dataset;
use nephos::device::{self, Device};
use nephos::model::Bundle;
use nephos::model::weights::TINY;

/// Which model, where it runs, and how its samples are read.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// The trained model, or tiny, which comes with nephos (`nephos info tiny`)
    #[arg(long, short, value_name = "NAME.nephos", default_value = TINY.name)]
    pub model: PathBuf,
    #[command(flatten)]
    pub read: ReadArgs,
    /// auto, cpu, vulkan, metal, webgpu or cuda, with a number after a colon
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// How samples are read, where it differs from the model's configuration.
#[derive(Debug, clap::Args)]
pub struct ReadArgs {
    /// Override how samples are read, as in 'data.channels=["B02","B03","B04"]'
    /// or data.nodata=0; only keys of data
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl ModelArgs {
    /// The model, with its configuration as overridden, and its device.
    pub fn load(&self) -> anyhow::Result<(Bundle, Device)> {
        let device = device::select(&self.device)?;
        let mut bundle = Bundle::load(&self.model, &device)?;
        bundle.config = self.read.apply(&bundle.config, &self.model)?;
        Ok((bundle, device))
    }
}

impl ReadArgs {
    /// `config` with the overrides; errors call its file `origin`.
    pub fn apply(&self, config: &Config, origin: &Path) -> anyhow::Result<Config> {
        for entry in &self.overrides {
            if !entry.trim_start().starts_with("data.") {
                bail!("--set {entry}: of a trained model only keys of data can be set");
            }
        }
        let config = Config::parse(
            &config.to_toml()?,
            &origin.display().to_string(),
            &self.overrides,
        )?;
        Ok(config)
    }
}

/// Positions of the samples that `wanted` names: each a name in the container,
/// or a position counted from 0.
pub fn positions(dataset: &Dataset, wanted: &[String]) -> anyhow::Result<Vec<usize>> {
    wanted
        .iter()
        .map(|wanted| {
            (0..dataset.len())
                .find(|index| dataset.name(*index) == *wanted)
                .or_else(|| wanted.parse().ok().filter(|index| *index < dataset.len()))
                .with_context(|| {
                    format!(
                        "{}: no sample `{wanted}`; there are {}, by name or counted from 0",
                        dataset.path().display(),
                        dataset.len()
                    )
                })
        })
        .collect()
}

/// Opens samples as they are, neither cropped nor padded.
pub fn open_whole(path: &Path, config: &DataConfig) -> anyhow::Result<Dataset> {
    let config = DataConfig {
        size: None,
        ..config.clone()
    };
    Ok(Dataset::open(path, &config)?)
}

/// Name of the file for a sample's mask, without extension: the sample's own; where
/// that is only a number, with the container's before it.
pub fn mask_name(dataset: &Dataset, index: usize) -> String {
    let path = dataset.path();
    let name = dataset.name(index);
    let name = if name.parse::<usize>().is_ok() && !path.is_dir() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        match dataset.len() {
            1 => stem.into_owned(),
            _ => format!("{stem}_{name}"),
        }
    } else {
        name
    };
    file_name(&name)
}

/// `name` without what could lead out of a folder: names come from the samples.
pub fn file_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    match safe.trim_start_matches('.') {
        "" => "_".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_samples_stay_in_the_folder() {
        assert_eq!(file_name("Forest_05"), "Forest_05");
        assert_eq!(file_name("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(file_name("a/b\\c d"), "a_b_c_d");
        assert_eq!(file_name(".."), "_");
        assert_eq!(file_name(""), "_");
    }
}
