//! Report on a configuration.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nephos::config::Config;
use nephos::text::one_line;
use serde::Serialize;

/// A configuration of nephos that was read and checked.
#[derive(Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    name: String,
    /// The configuration that comes with nephos and is the same.
    built_in: Option<String>,
    /// Kind of the network.
    model: &'static str,
    /// `None`: this build lacks the network.
    parameters: Option<usize>,
    /// Side of the images it is made for, in pixels.
    image_size: usize,
    bands: Vec<String>,
    optional_bands: Vec<String>,
    train: Option<PathBuf>,
    val: Option<PathBuf>,
    test: Option<PathBuf>,
    epochs: usize,
    batch: usize,
    /// Whether it is for `nephos pretrain`, too.
    pretrain: bool,
}

/// Reads and checks a configuration.
pub fn report(path: &Path) -> anyhow::Result<Report> {
    let config = Config::load(path, &[]).context("expected a configuration of nephos")?;
    let same = |name: &&str| Config::preset(name, &[]).is_ok_and(|preset| preset == config);
    let side = config.model.image_size;
    // A build without the baselines lacks their parameters.
    let cost = (crate::device::select("cpu")?)
        .cost(&config.model, config.channels(), [side; 2])
        .ok();
    let (data, train) = (&config.data, &config.train);
    Ok(Report {
        kind: "configuration of nephos, valid",
        built_in: Some(config.name.as_str()).filter(same).map(str::to_owned),
        model: config.model.kind.name(),
        parameters: cost.map(|(parameters, _)| parameters),
        image_size: data.size.unwrap_or(config.model.image_size),
        bands: data.bands.clone(),
        optional_bands: data.optional_bands.clone(),
        train: data.train.clone(),
        val: data.val.clone(),
        test: data.test.clone(),
        epochs: train.epochs,
        batch: train.batch_size,
        pretrain: config.pretrain.is_some(),
        name: config.name,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.kind)?;
        let same = (self.built_in.as_ref())
            .map(|name| format!(", the same as the built-in `{}`", one_line(name)));
        writeln!(
            f,
            "Name:        {}{}",
            one_line(&self.name),
            same.unwrap_or_default()
        )?;
        let parameters = match self.parameters {
            Some(count) => format!("{count} parameters"),
            None => "which needs a build with `--features baselines`".to_owned(),
        };
        writeln!(f, "Model:       {}, {parameters}", self.model)?;
        writeln!(f, "Images:      {0} × {0} pixels", self.image_size)?;
        writeln!(f, "Bands:       {}", one_line(&self.bands.join(", ")))?;
        if !self.optional_bands.is_empty() {
            let optional = self.optional_bands.join(", ");
            writeln!(f, "Optional:    {}", one_line(&optional))?;
        }
        for (title, path) in [
            ("Train:", &self.train),
            ("Validate:", &self.val),
            ("Test:", &self.test),
        ] {
            if let Some(path) = path {
                writeln!(f, "{title:<12} {}", one_line(&path.to_string_lossy()))?;
            }
        }
        writeln!(
            f,
            "Training:    {} epochs, batches of {}",
            self.epochs, self.batch
        )?;
        if self.pretrain {
            writeln!(f, "Pretraining: yes")?;
        }
        Ok(())
    }
}
