//! `nephos augment`

use std::path::PathBuf;

use anyhow::{Context, bail};
use nephos::config::{AugmentConfig, Config};
use nephos::data::Example;
use nephos::data::augment::{AugmentSeed, Augmenter};
use nephos::figures::{Stretch, Tile, contact_sheet, rgb_channels, save_png, true_colour};
use nephos::output::Declared;

use crate::args::Overwrite;
use crate::model_args::{open_whole, positions};
use crate::ui::{Ui, say};

/// Draw what the augmentations of a configuration do to samples
///
/// A row for each augmentation that the configuration has on, alone, and one for all
/// together: the unchanged sample, then variations of it, true colour above classes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos augment l8biome --config augment -o augmented.png
  nephos augment train_split.pkl --config augment --only haze,paste -o haze.png")]
pub struct Args {
    /// Labelled samples: a pickle, .npy, .npz, or a folder with image/ and label/
    data: PathBuf,
    /// Configuration whose `data.augment` is drawn: a name of `nephos config`, or a TOML file
    #[arg(long, short, value_name = "NAME|FILE")]
    config: PathBuf,
    /// Override a key of the configuration, as in data.augment.haze=0.4
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Only these augmentations, each alone: keys of data.augment
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,
    /// Samples to draw, by name or counted from 0
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0")]
    samples: Vec<String>,
    /// Variations of each sample
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=32))]
    variations: u16,
    /// Side of a picture in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(16..=1024))]
    side: u32,
    /// Bands to draw as red, green and blue
    #[arg(
        long,
        value_name = "BANDS",
        value_delimiter = ',',
        default_value = "red,green,blue"
    )]
    rgb: Vec<String>,
    /// Reflectance that is drawn white
    #[arg(long, value_name = "REFLECTANCE", default_value_t = 0.5)]
    white: f32,
    /// Picture to write
    #[arg(long, short, value_name = "FIGURE.png")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// An augmentation: its key in `data.augment`, whether it is on, and its setting taken
/// from one configuration into another.
struct Kind {
    key: &'static str,
    is_on: fn(&AugmentConfig) -> bool,
    take: fn(&AugmentConfig, &mut AugmentConfig),
}

const KINDS: [Kind; 15] = [
    Kind {
        key: "rotate",
        is_on: |c| c.rotate,
        take: |c, to| to.rotate = c.rotate,
    },
    Kind {
        key: "flip",
        is_on: |c| c.flip,
        take: |c, to| to.flip = c.flip,
    },
    Kind {
        key: "crop",
        is_on: |c| c.crop.is_some(),
        take: |c, to| to.crop = c.crop,
    },
    Kind {
        key: "zoom",
        is_on: |c| c.zoom != [1.0, 1.0],
        take: |c, to| to.zoom = c.zoom,
    },
    Kind {
        key: "gain",
        is_on: |c| c.gain > 0.0,
        take: |c, to| to.gain = c.gain,
    },
    Kind {
        key: "band_gain",
        is_on: |c| c.band_gain > 0.0,
        take: |c, to| to.band_gain = c.band_gain,
    },
    Kind {
        key: "band_offset",
        is_on: |c| c.band_offset > 0.0,
        take: |c, to| to.band_offset = c.band_offset,
    },
    Kind {
        key: "haze",
        is_on: |c| c.haze > 0.0,
        take: |c, to| to.haze = c.haze,
    },
    Kind {
        key: "blur",
        is_on: |c| c.blur > 0.0,
        take: |c, to| to.blur = c.blur,
    },
    Kind {
        key: "noise",
        is_on: |c| c.noise > 0.0,
        take: |c, to| to.noise = c.noise,
    },
    Kind {
        key: "saturation",
        is_on: |c| !c.saturation.is_empty(),
        take: |c, to| to.saturation.clone_from(&c.saturation),
    },
    Kind {
        key: "correction",
        is_on: |c| c.correction > 0.0,
        take: |_, to| to.correction = 1.0,
    },
    Kind {
        key: "nodata",
        is_on: |c| c.nodata > 0.0,
        take: |_, to| to.nodata = 1.0,
    },
    Kind {
        key: "paste",
        is_on: |c| c.paste.probability > 0.0,
        take: |c, to| {
            to.paste = c.paste.clone();
            to.paste.probability = 1.0;
        },
    },
    Kind {
        key: "band_dropout",
        is_on: |c| c.band_dropout > 0.0,
        take: |_, to| to.band_dropout = 1.0,
    },
];

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let config = Config::open(&args.config, &args.set)?;
    (Declared::default())
        .reads(&args.data)
        .reads_named(&args.config)
        .reads_all(config.data.mix.iter().map(|mix| &mix.train))
        .writes(&args.out)
        .check(args.overwrite.overwrite)?;
    let rows = rows(&args, &config)?;
    let dataset = open_whole(&args.data, &config.data)?;
    let channels = rgb_channels(&config.data.bands, &args.rgb)?;
    let white = args.white * config.data.input_gain();
    let tile = |example: Example, caption: String| Tile {
        caption,
        picture: true_colour(
            &example.image,
            channels,
            &example.valid,
            Stretch::Fixed(0.0, white),
        ),
        classes: example.label,
    };
    let chosen = positions(&dataset, &args.samples)?;
    let mut progress = ui.progress("augment", rows.len() * chosen.len());
    let mut drawn = Vec::new();
    for (name, augment) in rows {
        let mut data = config.data.clone();
        data.augment = augment;
        let pool = open_whole(&args.data, &data)?;
        let augmenter = Augmenter::new(&pool, &data).context(name.clone())?;
        for index in &chosen {
            let plain = dataset.get(*index)?;
            let mut tiles = vec![tile(plain.clone(), plain.name.clone())];
            for slot in 0..u64::from(args.variations) {
                let draw = AugmentSeed {
                    seed: config.seed,
                    epoch: 0,
                    slot,
                };
                let example = augmenter.get(&pool, *index, draw, None)?;
                let caption = caption(&example, &config.data.bands, slot);
                tiles.push(tile(example, caption));
            }
            drawn.push((name.clone(), tiles));
            progress.step(&name);
        }
    }
    progress.finish();
    save_png(&args.out, &contact_sheet(&drawn, args.side)?)?;
    say!("{}", args.out.display());
    Ok(())
}

/// Which augmentations to draw: each with its name and the configuration that has it
/// alone, then all together.
fn rows(args: &Args, config: &Config) -> anyhow::Result<Vec<(String, AugmentConfig)>> {
    let augment = &config.data.augment;
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.key).collect();
    if let Some(unknown) = args
        .only
        .iter()
        .find(|only| !known.contains(&only.as_str()))
    {
        bail!(
            "--only {unknown}: no such augmentation; there are {}",
            known.join(", ")
        );
    }
    let requested = |kind: &&Kind| match args.only.is_empty() {
        true => (kind.is_on)(augment),
        false => args.only.iter().any(|only| only == kind.key),
    };
    let mut rows = Vec::new();
    for kind in KINDS.iter().filter(requested) {
        if !(kind.is_on)(augment) {
            bail!(
                "--only {0}: data.augment.{0} is off in {1}",
                kind.key,
                args.config.display()
            );
        }
        // Alone and always, so that a picture shows it.
        let mut alone = AugmentConfig {
            probability: 1.0,
            ..AugmentConfig::default()
        };
        (kind.take)(augment, &mut alone);
        rows.push((kind.key.to_owned(), alone));
    }
    if rows.is_empty() {
        bail!(
            "{}: no augmentation is on in data.augment",
            args.config.display()
        );
    }
    if args.only.is_empty() {
        rows.push(("all together".to_owned(), augment.clone()));
    }
    Ok(rows)
}

/// Which bands are absent, where any are.
fn caption(example: &Example, bands: &[String], slot: u64) -> String {
    let absent: Vec<&str> = (bands.iter().zip(&example.absent))
        .filter(|(_, absent)| **absent)
        .map(|(name, _)| name.as_str())
        .collect();
    match absent.is_empty() {
        true => format!("variation {}", slot + 1),
        false => format!("no {}", absent.join(", ")),
    }
}
