//! Weights and masks that `nephos benchmark` scores without training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::benchmark::{FOLD, Given, GivenBy, MaskFolder, class_of};
use nephos::config::DataConfig;
use nephos::weights::{Bundle, TINY};

use crate::model_args::{ReadArgs, file_name};

/// Worst scenes that are drawn where nothing is trained.
pub const WORST: usize = 20;

/// What is scored without training, and on which samples.
#[derive(Debug, clap::Args)]
pub struct GivenArgs {
    /// Existing weights to score; may be repeated. Also the name of weights that come with
    /// nephos, as tiny=tiny. Where the path has {fold} in it, each sample is predicted by the
    /// weights of its own fold
    #[arg(
        long,
        value_name = "NAME=NAME.nephos",
        help_heading = "Scored as they are"
    )]
    pub weights: Vec<String>,
    /// External masks to score; may be repeated: FOLDER/SAMPLE.tif, .png or .npy, one
    /// uint8 per pixel, 0 clear, 1 thick, 2 thin, 3 shadow. Labelled pixels that a mask
    /// leaves 255 are not scored; the table has their share
    #[arg(long, value_name = "NAME=FOLDER", help_heading = "Scored as they are")]
    pub predictions: Vec<String>,
    /// What other codes in the masks called NAME mean: clear, thick, thin, shadow or none;
    /// cloud counts as thick. As in ukis:1=thick,2=shadow; codes not named keep their meaning
    #[arg(
        long,
        value_name = "NAME:CODE=CLASS,…",
        requires = "predictions",
        help_heading = "Scored as they are"
    )]
    pub prediction_map: Vec<String>,
    /// Only the samples named in this file take part: one name per line, or a table with a
    /// column `name`
    #[arg(long, value_name = "FILE", help_heading = "Scored as they are")]
    pub only: Option<PathBuf>,
    /// A table about the samples (.csv, .json): scores by kind of scene too. A column of 0 and
    /// 1 is a kind, one of text is one kind per value [default columns: all such]
    #[arg(
        long,
        value_name = "TABLE[:COLUMN,…]",
        help_heading = "Scored as they are"
    )]
    pub kinds: Option<String>,
    /// Draw the N scenes with most pixels wrongly cloud or not, by the first model, into
    /// worst.png [default: 20, with --models 0]
    #[arg(long, value_name = "N", help_heading = "Scored as they are")]
    pub worst: Option<usize>,
}

/// The entries, and how the samples that masks are compared with are read.
pub struct Resolved {
    pub entries: Vec<Given>,
    pub reading: DataConfig,
}

impl GivenArgs {
    /// Files and folders that are read.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let paths = (self.weights.iter().chain(&self.predictions))
            .map(|entry| PathBuf::from(entry.split_once('=').map_or(&**entry, |(_, path)| path)));
        let table = self.kinds.as_deref().map(|entry| kinds(entry).0);
        paths.chain(self.only.clone()).chain(table)
    }

    /// Opens what is given. Samples are read as `configured`, else as the first weights do,
    /// else as tiny does, with `sets` of data over it; weights keep their bands and scale.
    pub fn resolve(
        &self,
        configured: Option<&DataConfig>,
        sets: &[String],
    ) -> anyhow::Result<Resolved> {
        let read = ReadArgs {
            overrides: sets.to_vec(),
        };
        let mut entries = Vec::new();
        let mut first = None;
        for entry in &self.weights {
            let (name, path) = match entry.split_once('=') {
                Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
                None => {
                    let stem = Path::new(entry).file_stem().unwrap_or_default();
                    (file_name(&stem.to_string_lossy()), PathBuf::from(entry))
                }
            };
            check_name("--weights", entry, &name)?;
            let one = PathBuf::from(path.to_string_lossy().replace(FOLD, "1"));
            let bundle = Bundle::load(&one).with_context(|| format!("--weights {name}"))?;
            let own = read.apply(&bundle.config, &one)?.data;
            let reading = match configured {
                Some(configured) => as_weights(configured, &own),
                None => own,
            };
            first.get_or_insert_with(|| reading.clone());
            entries.push(Given {
                name,
                by: GivenBy::Weights {
                    path,
                    reading: Box::new(reading),
                },
            });
        }
        let mut maps = maps(&self.prediction_map)?;
        for entry in &self.predictions {
            let (name, folder) = (entry.split_once('='))
                .with_context(|| format!("--predictions {entry}: NAME=FOLDER is expected"))?;
            check_name("--predictions", entry, name)?;
            let map = maps.remove(name).unwrap_or_default();
            let masks = MaskFolder::open(Path::new(folder), &map)
                .with_context(|| format!("--predictions {name}"))?;
            entries.push(Given {
                name: name.to_owned(),
                by: GivenBy::Masks(masks),
            });
        }
        if let Some(name) = maps.keys().next() {
            bail!("--prediction-map {name}: no --predictions have this name");
        }
        let reading = match configured.cloned().or(first) {
            Some(reading) => reading,
            None => {
                let tiny = Path::new(TINY.name);
                read.apply(&Bundle::load(tiny)?.config, tiny)?.data
            }
        };
        Ok(Resolved { entries, reading })
    }
}

/// `configured` for weights that read samples as `own`: with their bands and scale.
fn as_weights(configured: &DataConfig, own: &DataConfig) -> DataConfig {
    DataConfig {
        bands: own.bands.clone(),
        optional_bands: own.optional_bands.clone(),
        withhold: own.withhold.clone(),
        scale: own.scale,
        offset: own.offset,
        quantification: own.quantification,
        given: own.given.clone(),
        ..configured.clone()
    }
}

/// A table and columns of it, as typed: `TABLE` or `TABLE:COLUMN,COLUMN`.
pub fn kinds(entry: &str) -> (PathBuf, Vec<String>) {
    match entry.rsplit_once(':') {
        Some((table, columns)) if !Path::new(entry).exists() => {
            let columns = columns.split(',').map(|column| column.trim().to_owned());
            (
                PathBuf::from(table),
                columns.filter(|c| !c.is_empty()).collect(),
            )
        }
        _ => (PathBuf::from(entry), Vec::new()),
    }
}

fn check_name(option: &str, entry: &str, name: &str) -> anyhow::Result<()> {
    if name.is_empty() || file_name(name) != name {
        bail!("{option} {entry}: NAME=PATH is expected, with a name that can name files");
    }
    Ok(())
}

/// What codes mean in the masks of each name.
fn maps(entries: &[String]) -> anyhow::Result<BTreeMap<String, BTreeMap<u8, u8>>> {
    let mut maps: BTreeMap<String, BTreeMap<u8, u8>> = BTreeMap::new();
    for entry in entries {
        let (name, codes) = (entry.split_once(':'))
            .with_context(|| format!("--prediction-map {entry}: NAME:CODE=CLASS,… is expected"))?;
        let map = maps.entry(name.to_owned()).or_default();
        for pair in codes.split(',') {
            let parsed = (pair.split_once('=')).and_then(|(code, class)| {
                Some((code.trim().parse().ok()?, class_of(class.trim())?))
            });
            let (code, class) = parsed.with_context(|| {
                format!(
                    "--prediction-map {entry}: `{pair}`: a code from 0 to 255, =, and clear, \
                     thick, thin, shadow, cloud or none is expected"
                )
            })?;
            if map.insert(code, class).is_some() {
                bail!("--prediction-map {entry}: code {code} of {name} is named twice");
            }
        }
    }
    Ok(maps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_by_name() {
        let entries = ["ukis:1=thick,2=shadow", "fmask:4=cloud", "ukis:9=none"];
        let found = maps(&entries.map(str::to_owned)).unwrap();
        assert_eq!(found["ukis"], [(1, 1), (2, 3), (9, 255)].into());
        assert_eq!(found["fmask"], [(4, 1)].into());
        for wrong in [
            "ukis",
            "ukis:1",
            "ukis:256=thick",
            "ukis:1=snow",
            "a:1=thin,1=thick",
        ] {
            assert!(maps(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn columns_come_after_the_last_colon() {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(kinds("t.csv"), (PathBuf::from("t.csv"), Vec::new()));
        assert_eq!(
            kinds("a/t.csv:snow, sea"),
            (PathBuf::from("a/t.csv"), owned(&["snow", "sea"]))
        );
    }
}
