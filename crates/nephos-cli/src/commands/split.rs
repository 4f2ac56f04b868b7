//! `nephos split`

use std::path::PathBuf;

use anyhow::Context;
use nephos::class::class_names;
use nephos::dataset::SPLIT_NAMES;
use nephos::dataset::split::{Candidate, Filter, Split, SplitOptions, split};

use crate::ui::{Ui, say};

const EXAMPLES: &str = "\
Examples:
  # The notebook's choice: 700 / 200 / 100 of the samples of one pickle
  nephos split all.pkl --out data --train 700 --val 200 --test 100

  # High-quality labels only, no region of interest in two splits
  nephos split all.pkl --metadata all.csv --where label_type=high --where proj_shape=509 \\
      --group-by roi_id --out data --train 700 --val 200 --test 100

  # The same from a CloudSEN12+ container, which has the metadata itself
  nephos split cloudsen12-l1c.0000.part.taco --where label_type=high \\
      --where real_proj_shape=509 --group-by roi_id --out data --train 700 --val 200 --test 100";

/// Choose train, validation and test samples
///
/// Draws samples at random, so that each split has the same shares of samples with
/// one, two, three and four distinct classes in their label. Writes train_split.pkl,
/// val_split.pkl and test_split.pkl in the samples' own number format, and
/// split.json, which tells where each sample went; prints the distribution.
///
/// A CloudSEN12+ container has metadata of its own, which are taken without --metadata.
/// Rows of --metadata belong to the samples that a column `name` or `id` names; else
/// to the positions in a column `index`; else they are in the samples' order.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Samples to choose from: a pickle, .npy, .npz, CloudSEN12+ container (.taco,
    /// .tortilla, .tacozip, .mlstac), or folder of images and labels
    samples: PathBuf,
    /// Table about the samples: CSV with a header, a JSON list of objects, or Parquet
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// Folder to write the splits to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Samples to train on; 0 writes no file, as for --val and --test
    #[arg(long, value_name = "N")]
    train: usize,
    /// Samples to validate on
    #[arg(long, value_name = "N")]
    val: usize,
    /// Samples to test on
    #[arg(long, value_name = "N")]
    test: usize,
    /// Seed of the choice
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
    /// Use only samples whose metadata fit: COLUMN=VALUE, COLUMN=VALUE,VALUE, or with
    /// !=, <, <=, > or >= in place of =; may be given more than once
    #[arg(long = "where", value_name = "CONDITION")]
    filters: Vec<Filter>,
    /// Keep samples with the same value in this column of the metadata in one split
    #[arg(long, value_name = "COLUMN")]
    group_by: Option<String>,
    /// Don't warn when a region of interest (`roi_id`) is in two splits
    #[arg(long, conflicts_with = "group_by")]
    allow_leakage: bool,
    /// Channel that holds the label, from 0
    #[arg(long, value_name = "N", default_value_t = 13)]
    label_channel: usize,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let options = SplitOptions {
        counts: [args.train, args.val, args.test],
        seed: args.seed,
        label_channel: args.label_channel,
        filters: args.filters,
        group_by: args.group_by,
    };
    let mut bar: Option<(String, crate::ui::Progress)> = None;
    let result = split(
        &args.samples,
        args.metadata.as_deref(),
        &args.out,
        &options,
        |step, _, total| {
            if bar.as_ref().is_none_or(|(name, _)| name != step)
                && let Some((_, done)) = bar.replace((step.to_owned(), ui.progress(step, total)))
            {
                done.finish();
            }
            if let Some((_, bar)) = &mut bar {
                bar.step("");
            }
        },
    )
    .with_context(|| format!("can't split {}", args.samples.display()))?;
    if let Some((_, bar)) = bar {
        bar.finish();
    }
    if !args.allow_leakage && !result.shared_groups.is_empty() {
        ui.status(leakage_warning(&result.shared_groups));
    }
    say!("{}", table(&result).trim_end());
    Ok(())
}

fn leakage_warning(groups: &[String]) -> String {
    let shown = groups
        .iter()
        .take(3)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = if groups.len() > 3 { ", …" } else { "" };
    format!(
        "warning: {} regions of interest are in more than one split ({shown}{more}); scores \
         will be too good. Keep them apart with --group-by roi_id, or say --allow-leakage",
        groups.len()
    )
}

/// The distribution: samples by number of distinct classes, and shares of pixels.
fn table(split: &Split) -> String {
    let mut text = format!("{:<8}{:>8}", "split", "samples");
    for distinct in 0..=4 {
        text += &format!("{:>10}", format!("{distinct} classes"));
    }
    for name in class_names() {
        text += &format!("{name:>14}");
    }
    text.push('\n');
    for (name, part) in SPLIT_NAMES.iter().zip(&split.parts) {
        text += &format!("{name:<8}{:>8}", part.len());
        for distinct in 0..=4 {
            let count = part
                .iter()
                .filter(|sample| sample.distinct() == distinct)
                .count();
            text += &format!("{count:>10}");
        }
        let pixels = |class: usize| {
            part.iter()
                .map(|s: &Candidate| s.pixels[class])
                .sum::<u64>()
        };
        let total: u64 = (0..class_names().len()).map(pixels).sum();
        for class in 0..class_names().len() {
            let share = 100.0 * pixels(class) as f64 / total.max(1) as f64;
            text += &format!("{:>14}", format!("{share:.1} %"));
        }
        text.push('\n');
    }
    text
}
