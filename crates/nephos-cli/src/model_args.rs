//! The arguments of every command that uses a trained model.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use nephos::config::{Config, DataConfig};
use nephos::data::Dataset;
use nephos::device::Device;
use nephos::weights::{Bundle, TINY};

/// The model, its device, and how its samples are read.
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
    /// How many patches away a patch attends to others, on a CPU; default: the model's, mostly
    /// all in its window. Half of a training crop makes masks depend least on
    /// the windows' positions: 6 to 8 for tiny, with --window 384 --overlap 0.16
    #[arg(long, value_name = "PATCHES")]
    pub reach: Option<usize>,
}

/// How samples are read, where it differs from the model's configuration.
#[derive(Debug, clap::Args)]
pub struct ReadArgs {
    /// Override how samples of containers are read, as in
    /// 'data.channels=["B02","B03","B04"]' or data.label_channel=4; only keys of data. Of
    /// scenes --scale, --offset, --nodata and --bands set it
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl ModelArgs {
    /// The model, with its configuration as overridden, and its device.
    pub fn load(&self) -> anyhow::Result<(Bundle, Device)> {
        let device = crate::device::select(&self.device)?;
        let mut bundle = Bundle::load(&self.model)?;
        bundle.config = self.read.apply(&bundle.config, &self.model)?;
        if let Some(reach) = self.reach {
            bundle.config.model.reach = Some(reach);
            (bundle.config.validate()).map_err(|message| anyhow!("--reach: {message}"))?;
        }
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
        let mut read = Config::parse(
            &config.to_toml()?,
            &origin.display().to_string(),
            &self.overrides,
        )?;
        self.give(&config.data, &mut read.data)?;
        Ok(read)
    }

    /// Takes what was overridden of the stored numbers as the user's options for the samples
    /// at hand, in place of their files' metadata, and keeps the model's own input:
    /// reflectance × its `quantification` / `scale`.
    fn give(&self, model: &DataConfig, read: &mut DataConfig) -> anyhow::Result<()> {
        let set = |key: &str| self.keys().any(|known| known == key);
        if set("data.quantification") && !set("data.scale") {
            bail!(
                "--set data.quantification: it belongs to the model; how numbers become \
                 reflectance say --scale and --offset"
            );
        }
        if set("data.scale") {
            // Input = (stored + offset) / scale, as it was.
            read.given.scale = Some(f64::from(read.scale) * f64::from(model.input_gain()));
        }
        if set("data.offset") || set("data.scale") {
            read.given.offset = Some(read.offset.into());
        }
        if set("data.nodata") {
            read.given.nodata = read.nodata.map(f64::from);
        }
        read.given.channels = set("data.channels");
        read.scale = model.scale;
        read.offset = model.offset;
        read.quantification = model.quantification;
        Ok(())
    }

    /// The keys that are overridden.
    fn keys(&self) -> impl Iterator<Item = &str> {
        let key = |entry: &'_ String| -> usize { entry.find('=').unwrap_or(entry.len()) };
        (self.overrides.iter()).map(move |entry| entry[..key(entry)].trim())
    }

    /// Refuses keys that have no meaning for the scene at `path`: scenes are read as their
    /// own metadata and the options state. With `labels` a label raster is read beside it.
    pub fn check_for_scene(&self, path: &Path, labels: bool) -> anyhow::Result<()> {
        for key in self.keys() {
            let name = key.strip_prefix("data.").unwrap_or(key);
            let first = name.split('.').next().unwrap_or(name);
            let instead = match first {
                "withhold" => continue,
                "labels" if labels => continue,
                "scale" | "quantification" => "say how its numbers become reflectance with --scale",
                "offset" => "say how its numbers become reflectance with --offset",
                "nodata" => "say which number means no data with --nodata",
                "channels" => "name its bands with --bands",
                "bands" | "optional_bands" => {
                    "the bands of a model are part of it, and --bands names those of a scene"
                }
                "assume_reflectance" => "that is --assume-reflectance",
                "labels" => "no labels are read",
                _ => "it is about samples and training",
            };
            bail!(
                "{}: --set {key} has no meaning for a scene: {instead}",
                path.display()
            );
        }
        Ok(())
    }
}

/// Positions of the samples that `requested` names: each a name in the container,
/// or a position counted from 0.
pub fn positions(dataset: &Dataset, requested: &[String]) -> anyhow::Result<Vec<usize>> {
    requested
        .iter()
        .map(|requested| {
            (0..dataset.len())
                .find(|index| dataset.name(*index) == *requested)
                .or_else(|| {
                    requested
                        .parse()
                        .ok()
                        .filter(|index| *index < dataset.len())
                })
                .with_context(|| {
                    format!(
                        "{}: no sample `{requested}`; there are {}, by name or counted from 0",
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

/// `name` without what could lead out of a folder, or is no character: names come from the
/// samples.
pub fn file_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| match c {
            '/' | '\\' => '_',
            c if c.is_control() => '_',
            c => c,
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
        assert_eq!(file_name("a/b\\c d"), "a_b_c d");
        assert_eq!(file_name("scène ☁"), "scène ☁");
        assert_eq!(file_name("a\u{1b}[31m\0"), "a_[31m_");
        assert_eq!(file_name(".."), "_");
        assert_eq!(file_name(""), "_");
    }
}
