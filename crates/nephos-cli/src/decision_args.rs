//! How probabilities become classes, in place of the model's own rule.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, anyhow};
use nephos::config::{Config, ThresholdConfig};
use nephos::evaluate::class_group;

use crate::ui::Ui;

/// A class, or cloud, and a share: `cloud=0.98`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassShare {
    pub class: String,
    pub share: f64,
}

impl FromStr for ClassShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        (text.split_once('='))
            .and_then(|(class, share)| {
                Some(Self {
                    class: class.trim().to_owned(),
                    share: share.trim().parse().ok()?,
                })
            })
            .filter(|Self { class, share }| !class.is_empty() && *share > 0.0 && *share < 1.0)
            .ok_or_else(|| {
                "expected CLASS=NUMBER with a number between 0 and 1, as cloud=0.98".to_owned()
            })
    }
}

/// The threshold of a prediction.
#[derive(Debug, Clone, clap::Args)]
pub struct DecisionArgs {
    /// A pixel is of this class where its probability is at least P, else of the likeliest of
    /// the others, in place of the model's own threshold: cloud=0.4; lower has a higher recall
    /// and a lower precision. cloud is thick and thin cloud together, else
    /// clear, thick-cloud, thin-cloud or cloud-shadow
    #[arg(long, value_name = "CLASS=P", conflicts_with = "min_recall")]
    threshold: Option<ClassShare>,
    /// As --threshold, with the highest threshold that found this share of the class
    /// (cloud=0.98) on the labelled samples that the model was calibrated on. On scenes of
    /// another kind, or with fewer bands, it may find less. The model must carry what
    /// `nephos evaluate SAMPLES --calibrate NEW.nephos` measures
    #[arg(long, value_name = "CLASS=SHARE")]
    min_recall: Option<ClassShare>,
}

impl DecisionArgs {
    /// Applies the options to the configuration of `model`, and prints it.
    pub fn apply(&self, config: &mut Config, model: &Path, ui: &Ui) -> anyhow::Result<()> {
        if let Some(chosen) = &self.threshold {
            set_threshold(chosen, config, ui)?;
        }
        let Some(ClassShare { class, share }) = &self.min_recall else {
            return Ok(());
        };
        let classes = class_group(class, config.model.classes).context("--min-recall")?;
        let threshold = config
            .calibration
            .reaching(&classes, *share)
            .map_err(|why| {
                let model = model.display();
                anyhow!(
                    "--min-recall {class}={share}: {why}. `nephos evaluate SAMPLES --model {model} \
                 --calibrate NEW.nephos` measures one on labelled samples, which the model was \
                 not trained on, and writes a model with it; --threshold {class}=P needs none"
                )
            })?;
        replace(
            config,
            threshold,
            &format!("--min-recall {class}={share}"),
            ui,
        );
        Ok(())
    }

    /// The options for the record of a run; `None` without any.
    pub fn chosen(config: &Config) -> Option<&ThresholdConfig> {
        (config.calibration.threshold.as_ref()).filter(|threshold| threshold.by_user)
    }
}

/// Applies the user's `--threshold` to a model's configuration, and prints it.
pub fn set_threshold(chosen: &ClassShare, config: &mut Config, ui: &Ui) -> anyhow::Result<()> {
    let ClassShare { class, share } = chosen;
    let classes = class_group(class, config.model.classes).context("--threshold")?;
    let threshold = ThresholdConfig::by_user(classes, *share);
    replace(
        config,
        threshold,
        &format!("--threshold {class}={share}"),
        ui,
    );
    Ok(())
}

fn replace(config: &mut Config, threshold: ThresholdConfig, option: &str, ui: &Ui) {
    let own = match &config.calibration.threshold {
        None => String::new(),
        Some(own) => format!(", in place of the model's own: {own}"),
    };
    ui.status(format!("{option}: {threshold}{own}"));
    config.calibration.threshold = Some(threshold);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_and_a_share_between_0_and_1() {
        let parsed: ClassShare = " thin-cloud = 0.25".parse().unwrap();
        assert_eq!((parsed.class.as_str(), parsed.share), ("thin-cloud", 0.25));
        for text in [
            "cloud",
            "=0.5",
            "cloud=0",
            "cloud=1",
            "cloud=x",
            "cloud=NaN",
        ] {
            let error = text.parse::<ClassShare>().unwrap_err();
            assert!(error.contains("as cloud=0.98"), "{text}: {error}");
        }
    }
}
