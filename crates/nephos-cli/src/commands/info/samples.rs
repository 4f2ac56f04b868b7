//! Report on a container of samples.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use nephos::class::{Class, IGNORE};
use nephos::config::Filter;
use nephos::data::open_filtered;
use nephos::samples::{SampleSource, Table};
use nephos::scene::Kind;
use nephos::text::{self, one_line};
use serde::Serialize;

/// Samples whose labels are counted.
const MOST_COUNTED: usize = 64;
/// More different values than this are no labels.
const MOST_LABELS: usize = 64;
/// Values of a column of the metadata that are shown.
const MOST_VALUES: usize = 4;

/// What a container of samples holds.
#[derive(Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    samples: usize,
    /// Each shape `[channels, height, width]` and number format with the number
    /// of samples that have it.
    shapes: Vec<Shape>,
    /// Names of the channels of the first sample, where it names them.
    channels: Option<Vec<String>>,
    first: Option<First>,
    labels: Option<Labels>,
    /// Columns of the container's own metadata.
    metadata: Option<Vec<Column>>,
}

/// One column of the metadata.
#[derive(Debug, Serialize)]
struct Column {
    name: String,
    /// How many different values there are.
    distinct: usize,
    /// The first of them in order.
    values: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Shape {
    shape: [usize; 3],
    dtype: &'static str,
    samples: usize,
}

/// The first sample, channel by channel.
#[derive(Debug, Serialize)]
struct First {
    name: String,
    channels: Vec<Range>,
}

/// Finite numbers of a channel, as stored; `None` where there are none.
#[derive(Debug, Serialize)]
struct Range {
    min: Option<f64>,
    mean: Option<f64>,
    max: Option<f64>,
    /// NaN and infinite numbers.
    not_finite: usize,
}

/// Pixels with each label.
#[derive(Debug, Serialize)]
struct Labels {
    /// `label` files or arrays, or the number of the channel.
    origin: String,
    /// Samples that were read: the first ones.
    samples: usize,
    /// Of those, how many have a label.
    labelled: usize,
    pixels: BTreeMap<i64, u64>,
}

/// Names of the samples that fit all of `filters`.
pub fn names(path: &Path, filters: &[Filter]) -> nephos::Result<Vec<String>> {
    let source = open_filtered(path, filters)?;
    Ok((0..source.len()).map(|index| source.name(index)).collect())
}

pub fn report(
    path: &Path,
    kind: Kind,
    label_channel: usize,
    filters: &[Filter],
) -> anyhow::Result<Report> {
    let source = open_filtered(path, filters)?;
    let source = source.as_ref();
    Ok(Report {
        kind: match kind {
            Kind::Folder => "folder of images and labels",
            Kind::Pickle => "Python pickle of NumPy arrays",
            Kind::Npy => "NumPy array",
            Kind::Npz => "NumPy archive",
            Kind::Tiff => "TIFF raster",
            Kind::Taco => "CloudSEN12+ container",
            Kind::SampleList => "list of samples of other containers",
            _ => "picture",
        },
        samples: source.len(),
        shapes: shapes(source)?,
        channels: match source.is_empty() {
            true => None,
            false => source.channel_names(0)?,
        },
        first: first(source)?,
        labels: labels(source, label_channel)?,
        metadata: source.metadata().map(columns),
    })
}

fn columns(table: &Table) -> Vec<Column> {
    let column = |(position, name): (usize, &String)| {
        let values: BTreeSet<&str> = (0..table.len())
            .map(|row| table.value(row, position))
            .collect();
        Column {
            name: name.clone(),
            distinct: values.len(),
            values: (values.into_iter().take(MOST_VALUES))
                .map(str::to_owned)
                .collect(),
        }
    };
    table.columns().iter().enumerate().map(column).collect()
}

fn shapes(source: &dyn SampleSource) -> nephos::Result<Vec<Shape>> {
    let mut counts: BTreeMap<([usize; 3], &'static str), usize> = BTreeMap::new();
    for index in 0..source.len() {
        let key = (source.shape(index)?, source.dtype(index)?.name());
        *counts.entry(key).or_default() += 1;
    }
    let shape = |((shape, dtype), samples)| Shape {
        shape,
        dtype,
        samples,
    };
    Ok(counts.into_iter().map(shape).collect())
}

fn first(source: &dyn SampleSource) -> nephos::Result<Option<First>> {
    if source.is_empty() {
        return Ok(None);
    }
    let channels = (0..source.shape(0)?[0])
        .map(|channel| {
            let plane = source.read(0, &[channel])?;
            let finite = || plane.iter().copied().filter(|v| v.is_finite());
            let count = finite().count();
            let some = |value: f32| (count > 0).then_some(f64::from(value));
            Ok(Range {
                min: some(finite().fold(f32::INFINITY, f32::min)),
                mean: (count > 0).then(|| finite().map(f64::from).sum::<f64>() / count as f64),
                max: some(finite().fold(f32::NEG_INFINITY, f32::max)),
                not_finite: plane.len() - count,
            })
        })
        .collect::<nephos::Result<Vec<Range>>>()?;
    Ok(Some(First {
        name: source.name(0),
        channels,
    }))
}

/// The labels of the first samples; `None` where there are none, or where the
/// channel holds what can't be labels.
fn labels(source: &dyn SampleSource, channel: usize) -> nephos::Result<Option<Labels>> {
    let samples = source.len().min(MOST_COUNTED);
    let mut labels = Labels {
        origin: String::new(),
        samples,
        labelled: 0,
        pixels: BTreeMap::new(),
    };
    for index in 0..samples {
        if let Some(label) = source.read_label(index)? {
            labels.origin = "label rasters".to_owned();
            for value in label {
                *labels.pixels.entry(value).or_default() += 1;
            }
        } else if source.channel_names(index)?.is_none() && channel < source.shape(index)?[0] {
            labels.origin = format!("channel {channel}");
            for value in source.read(index, &[channel])? {
                if value.fract() != 0.0 {
                    return Ok(None);
                }
                *labels.pixels.entry(value as i64).or_default() += 1;
            }
        } else {
            continue;
        }
        labels.labelled += 1;
        if labels.pixels.len() > MOST_LABELS {
            return Ok(None);
        }
    }
    Ok((labels.labelled > 0).then_some(labels))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", self.kind, text::count(self.samples, "sample"))?;
        writeln!(f, "\nshape [channels, height, width]")?;
        for shape in &self.shapes {
            let Shape {
                shape: [c, h, w],
                dtype,
                samples,
            } = shape;
            writeln!(
                f,
                "  [{c}, {h}, {w}] {dtype}: {}",
                text::count(*samples, "sample")
            )?;
        }
        if let Some(first) = &self.first {
            writeln!(f, "\nfirst sample, `{}`, as stored", one_line(&first.name))?;
            writeln!(
                f,
                "  channel  {:<12} {:>12} {:>12} {:>12}",
                "name", "min", "mean", "max"
            )?;
            for (position, range) in first.channels.iter().enumerate() {
                let name = self.channels.as_ref().and_then(|names| names.get(position));
                let name = one_line(name.map_or("-", String::as_str));
                let number = |value: Option<f64>| match value {
                    None => "-".to_owned(),
                    Some(value) if value.fract() == 0.0 && value.abs() < 1e9 => format!("{value}"),
                    Some(value) => format!("{value:.4}"),
                };
                write!(
                    f,
                    "  {position:>7}  {name:<12} {:>12} {:>12} {:>12}",
                    number(range.min),
                    number(range.mean),
                    number(range.max)
                )?;
                match range.not_finite {
                    0 => writeln!(f)?,
                    count => writeln!(f, "  ({count} not finite)")?,
                }
            }
        }
        if let Some(labels) = &self.labels {
            write!(f, "\nlabels in {}", labels.origin)?;
            match labels.samples == self.samples {
                true if labels.samples == 1 => writeln!(f, ", of the one sample")?,
                true => writeln!(f, ", all {} samples", labels.samples)?,
                false => writeln!(f, ", first {} of {} samples", labels.samples, self.samples)?,
            }
            if labels.labelled < labels.samples {
                writeln!(
                    f,
                    "  {} of them without a label",
                    labels.samples - labels.labelled
                )?;
            }
            let all: u64 = labels.pixels.values().sum();
            for (value, count) in &labels.pixels {
                let name = match u8::try_from(*value) {
                    Ok(IGNORE) => "not labelled",
                    Ok(code) => Class::from_code(code).map_or("", Class::name),
                    Err(_) => "",
                };
                let share = *count as f64 / all as f64 * 100.0;
                writeln!(f, "  {value:>5}  {name:<12} {share:>6.2} %")?;
            }
        }
        if let Some(columns) = &self.metadata {
            writeln!(f, "\nmetadata, for --where")?;
            for column in columns {
                let Column {
                    name,
                    distinct,
                    values,
                } = column;
                let more = if *distinct > values.len() {
                    ", …"
                } else {
                    ""
                };
                let (name, values) = (one_line(name), values.join(", "));
                writeln!(f, "  {name:<24} {distinct:>7}  {}{more}", one_line(&values))?;
            }
        }
        Ok(())
    }
}
