//! `nephos split`

use std::path::PathBuf;

use anyhow::{Context, bail};
use nephos::class::class_names;
use nephos::config::Filter;
use nephos::data::SPLIT_NAMES;
use nephos::data::split::{
    Candidate, Leakage, Neighbourhood, Split, SplitOptions, check_leakage, split, split_by,
};
use nephos::output::Declared;
use nephos::text;

use crate::args::Overwrite;
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
      --where real_proj_shape=509 --group-by roi_id --out data --train 700 --val 200 --test 100

  # The splits that CloudSEN12+ itself names, as lists of samples; nothing is copied
  nephos split cloudsen12-l1c.*.part.taco --by data_split --where label_type=high \\
      --where real_proj_shape=509 --out cloudsen12

  # Is a region, or its neighbourhood, in two splits?
  nephos split --check cloudsen12/train_split.json cloudsen12/test_split.json";

/// Regions and pairs of neighbours that are shown.
const MOST_SHOWN: usize = 5;

/// Choose train, validation and test samples
///
/// Draws samples at random, so that each split has the same shares of samples with
/// one, two, three and four distinct classes in their label. Writes train_split.pkl,
/// val_split.pkl and test_split.pkl in the samples' own number format, and
/// split.json, which records every choice; prints the distribution.
///
/// A CloudSEN12+ container has metadata of its own, which are taken without --metadata.
/// Rows of --metadata belong to the samples that a column `name` or `id` names; else
/// to the positions in a column `index`; else they are in the samples' order. Of the table
/// of `nephos simulate`, which is of several files, the rows are taken whose `split` the
/// file of the samples is called: train_split.pkl, split train.
///
/// With --by, the splits are those that a column of the containers' own metadata names.
/// They are written as lists of samples (.json), which can be given wherever samples can,
/// and leakage between them is reported. With --check, the containers given are splits; it fails
/// where a region is in two of them, or samples of two are near each other.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Samples to choose from: a pickle, .npy, .npz, CloudSEN12+ container (.taco,
    /// .tortilla, .tacozip, .mlstac), or folder of images and labels; with --by or
    /// --check several
    #[arg(required = true)]
    samples: Vec<PathBuf>,
    /// Table about the samples: CSV with a header, a JSON list of objects, or Parquet
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// Folder to write the splits to
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    out: Option<PathBuf>,
    /// Samples to train on; 0 writes no file, as for --val and --test
    #[arg(long, value_name = "N", required_unless_present_any = ["by", "check"])]
    train: Option<usize>,
    /// Samples to validate on
    #[arg(long, value_name = "N", required_unless_present_any = ["by", "check"])]
    val: Option<usize>,
    /// Samples to test on
    #[arg(long, value_name = "N", required_unless_present_any = ["by", "check"])]
    test: Option<usize>,
    /// Take the splits from this column of the containers' own metadata (train, val or
    /// validation, test), as data_split of CloudSEN12+
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["train", "val", "test", "metadata"])]
    by: Option<String>,
    /// Report leakage between the given splits, and write nothing
    #[arg(long, conflicts_with_all = ["by", "out", "train", "val", "test", "metadata"])]
    check: bool,
    /// With --by or --check: distance of centres up to which samples are neighbours
    #[arg(long, value_name = "KM", default_value_t = 10.0, value_parser = kilometres)]
    distance: f64,
    /// Seed of the choice
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
    /// Use only samples whose metadata fit: COLUMN=VALUE, COLUMN=VALUE,VALUE, or with
    /// !=, <, <=, > or >= in place of =; may be given more than once
    #[arg(long = "where", value_name = "CONDITION")]
    filters: Vec<Filter>,
    /// Keep samples with the same value in this column of the metadata in one split; with
    /// --by or --check, the column with the region (default: roi_id)
    #[arg(long, value_name = "COLUMN")]
    group_by: Option<String>,
    /// Don't warn when a region of interest (`roi_id`) is in two splits
    #[arg(long, conflicts_with = "group_by")]
    allow_leakage: bool,
    /// Channel that holds the label, from 0
    #[arg(long, value_name = "N", default_value_t = 13)]
    label_channel: usize,
    #[command(flatten)]
    overwrite: Overwrite,
}

fn kilometres(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(distance) if distance.is_finite() && distance >= 0.0 => Ok(distance),
        _ => Err("expected a number of kilometres, 0 or more".to_owned()),
    }
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let mut near = Neighbourhood {
        distance: args.distance,
        ..Neighbourhood::default()
    };
    if let Some(column) = &args.group_by {
        near.group_by.clone_from(column);
    }
    if args.check {
        if args.samples.len() < 2 {
            bail!("--check compares two splits or more");
        }
        let found = check_leakage(&args.samples, &args.filters, &near)?;
        say!("{}", leakage_report(&found, &near).trim_end());
        if found.is_any() {
            bail!("spatial leakage between splits: scores would be optimistic");
        }
        return Ok(());
    }
    let out = args.out.context("--out is needed")?;
    let counts = [args.train, args.val, args.test].map(Option::unwrap_or_default);
    // With --by all three lists may result, and one of an earlier run is removed.
    let (ending, record) = match &args.by {
        Some(_) => ("json", None),
        None => ("pkl", Some("split.json".to_owned())),
    };
    let files = (SPLIT_NAMES.iter().zip(counts))
        .filter(|(_, count)| args.by.is_some() || *count > 0)
        .map(|(name, _)| format!("{name}_split.{ending}"));
    (Declared::default())
        .reads_all(args.samples.iter().chain(&args.metadata))
        .writes_all(files.chain(record).map(|name| out.join(name)))
        .check(args.overwrite.overwrite)?;
    if let Some(column) = &args.by {
        let result = split_by(&args.samples, column, &args.filters, &near, &out)?;
        for (path, count) in result.lists.iter().flatten() {
            say!("{}: {}", path.display(), text::count(*count, "sample"));
        }
        say!("{}", leakage_report(&result.leakage, &near).trim_end());
        if !args.allow_leakage && result.leakage.is_any() {
            ui.status("warning: spatial leakage between splits: scores will be optimistic");
        }
        return Ok(());
    }
    let [samples] = args.samples.as_slice() else {
        bail!("one container at a time; several need --by or --check");
    };
    let options = SplitOptions {
        counts,
        seed: args.seed,
        label_channel: args.label_channel,
        filters: args.filters,
        group_by: args.group_by,
    };
    let mut bar: Option<(String, crate::ui::Progress)> = None;
    let result = split(
        samples,
        args.metadata.as_deref(),
        &out,
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
    .with_context(|| format!("can't split {}", samples.display()))?;
    if let Some((_, bar)) = bar {
        bar.finish();
    }
    if let Some(name) = &result.rows_of {
        ui.status(format!(
            "note: the metadata are of several files; the rows of split {name} were taken, as \
             {} is called",
            samples.display()
        ));
    }
    if !args.allow_leakage && !result.shared_groups.is_empty() {
        ui.status(leakage_warning(&result.shared_groups));
    }
    say!("{}", table(&result).trim_end());
    Ok(())
}

/// Leakage between splits, as text.
fn leakage_report(found: &Leakage, near: &Neighbourhood) -> String {
    let mut text = match found.grouped {
        0 => format!("regions: no sample has a column `{}`\n", near.group_by),
        _ => format!(
            "regions ({}): {} of {}, {} in two splits\n",
            near.group_by,
            found.groups,
            text::count(found.grouped, "sample"),
            found.shared.len()
        ),
    };
    for (group, splits) in found.shared.iter().take(MOST_SHOWN) {
        text += &format!("  {group}: {}\n", splits.join(", "));
    }
    text += &more(found.shared.len());
    match found.placed {
        0 => text += "neighbours: no sample states its location (proj_centroid, centroid)\n",
        placed => {
            text += &format!(
                "neighbours: {} of other regions within {} km in two splits, among {} with a \
                 known place\n",
                text::count(found.neighbours.len(), "pair"),
                near.distance,
                text::count(placed, "sample")
            );
        }
    }
    for pair in found.neighbours.iter().take(MOST_SHOWN) {
        let ([a, b], [in_a, in_b]) = (&pair.samples, &pair.splits);
        text += &format!("  {a} ({in_a}), {b} ({in_b}): {:.1} km\n", pair.distance);
    }
    text + &more(found.neighbours.len())
}

fn more(count: usize) -> String {
    match count.saturating_sub(MOST_SHOWN) {
        0 => String::new(),
        rest => format!("  … and {rest} more\n"),
    }
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
        "warning: {} in more than one split ({shown}{more}); scores \
         will be optimistic. Separate them with --group-by roi_id, or set --allow-leakage",
        match groups.len() {
            1 => "1 region of interest is".to_owned(),
            number => format!("{number} regions of interest are"),
        }
    )
}

/// The distribution: samples by number of distinct classes, and shares of pixels.
fn table(split: &Split) -> String {
    let mut text = format!("{:<8}{:>8}", "split", "samples");
    for distinct in 0..=4 {
        text += &format!("{:>10}", text::count(distinct, "class"));
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
