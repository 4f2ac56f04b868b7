//! Chosen samples as pickles, and the record of the choice.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use half::f16;
use serde_json::{Value, json};

use crate::class::{CLASS_COUNT, class_names};
use crate::data::SPLIT_NAMES;
use crate::error::{Error, Result};
use crate::output::write_atomic;
use crate::raster::DType;
use crate::samples::SampleSource;
use crate::samples::pickle::Writer;

use super::{Split, SplitOptions};

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}_split.pkl"))
}

/// The samples are still read while splits are written: none may take their place.
pub fn refuse_to_replace(samples: &Path, folder: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let clash = SPLIT_NAMES
        .map(|name| file(folder, name))
        .into_iter()
        .find(|path| real(path).is_some_and(|path| Some(path) == real(samples)));
    match clash {
        None => Ok(()),
        Some(path) => Err(Error::usage(format!(
            "{} would replace the samples it comes from; choose another folder",
            path.display()
        ))),
    }
}

/// Writes each split's pickle, one sample in memory at a time.
pub fn pickles(
    source: &dyn SampleSource,
    split: &Split,
    folder: &Path,
    options: &SplitOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<()> {
    let total = split.parts.iter().map(Vec::len).sum();
    let mut done = 0;
    for (name, part) in SPLIT_NAMES.iter().zip(&split.parts) {
        if part.is_empty() {
            continue;
        }
        let path = file(folder, name);
        write_atomic(&path, |out| {
            let named = |error: Error| match error {
                Error::Io { source, .. } => Error::io(&path, source),
                other => other,
            };
            let mut writer = Writer::new(out).map_err(named)?;
            for sample in part {
                let (dtype, shape, bytes) = whole(source, sample.index, options.label_channel)?;
                writer.push(dtype, shape, &bytes).map_err(named)?;
                done += 1;
                progress(done, total);
            }
            writer.finish().map(drop).map_err(named)
        })?;
    }
    Ok(())
}

/// A sample as stored; a separate label becomes one more channel of it.
fn whole(
    source: &dyn SampleSource,
    index: usize,
    label_channel: usize,
) -> Result<(DType, [usize; 3], Vec<u8>)> {
    let (dtype, [mut channels, rows, cols], mut bytes) = source.read_raw(index)?;
    if let Some(label) = source.read_label(index)? {
        if label.dim() != (rows, cols) {
            return Err(Error::usage(format!(
                "sample {}: the label is {:?}, the image {rows} by {cols}",
                source.name(index),
                label.dim()
            )));
        }
        let zeros = label_channel.saturating_sub(channels);
        bytes.resize(bytes.len() + zeros * rows * cols * dtype.size(), 0);
        for value in &label {
            // Labels were checked when they were counted: 0..=3, 99 or 255.
            encode(*value as u8, dtype, &mut bytes).ok_or_else(|| {
                Error::unsupported(
                    format!("sample {}", source.name(index)),
                    format!("label {value} does not fit its format, {}", dtype.name()),
                )
            })?;
        }
        channels += zeros + 1;
    }
    Ok((dtype, [channels, rows, cols], bytes))
}

/// Adds a label as a little-endian number; `None` where the format can't hold it.
fn encode(value: u8, dtype: DType, bytes: &mut Vec<u8>) -> Option<()> {
    match dtype {
        DType::Bool => bytes.push((value <= 1).then_some(value)?),
        DType::U8 => bytes.push(value),
        DType::I8 => bytes.extend(i8::try_from(value).ok()?.to_le_bytes()),
        DType::U16 => bytes.extend(u16::from(value).to_le_bytes()),
        DType::I16 => bytes.extend(i16::from(value).to_le_bytes()),
        DType::U32 => bytes.extend(u32::from(value).to_le_bytes()),
        DType::I32 => bytes.extend(i32::from(value).to_le_bytes()),
        DType::I64 => bytes.extend(i64::from(value).to_le_bytes()),
        DType::F16 => bytes.extend(f16::from_f32(f32::from(value)).to_le_bytes()),
        DType::F32 => bytes.extend(f32::from(value).to_le_bytes()),
        DType::F64 => bytes.extend(f64::from(value).to_le_bytes()),
    }
    Some(())
}

/// Writes `split.json`.
pub fn record(
    samples: &Path,
    metadata: Option<&Path>,
    split: &Split,
    folder: &Path,
    options: &SplitOptions,
) -> Result<()> {
    let mut splits = serde_json::Map::new();
    for (name, part) in SPLIT_NAMES.iter().zip(&split.parts) {
        let mut distinct = [0usize; CLASS_COUNT + 1];
        let mut pixels = [0u64; CLASS_COUNT];
        for sample in part {
            distinct[sample.distinct()] += 1;
            pixels
                .iter_mut()
                .zip(sample.pixels)
                .for_each(|(sum, n)| *sum += n);
        }
        let chosen: Vec<Value> = part
            .iter()
            .map(|sample| {
                json!({
                    "index": sample.index,
                    "name": sample.name,
                    "group": sample.group,
                    "distinct_classes": sample.distinct(),
                })
            })
            .collect();
        let pixels: serde_json::Map<String, Value> = class_names()
            .iter()
            .zip(pixels)
            .map(|(name, count)| ((*name).to_owned(), json!(count)))
            .collect();
        splits.insert(
            (*name).to_owned(),
            json!({
                "count": part.len(),
                "samples_by_distinct_classes": distinct,
                "pixels": pixels,
                "samples": chosen,
            }),
        );
    }
    let filters: Vec<String> = options.filters.iter().map(ToString::to_string).collect();
    let record = json!({
        "seed": options.seed,
        "source": samples.to_string_lossy(),
        "metadata": metadata.map(Path::to_string_lossy),
        "where": filters,
        "group_by": options.group_by,
        "label_channel": options.label_channel,
        "available": split.available,
        "groups_in_two_splits": split.shared_groups,
        "splits": splits,
    });
    let path = folder.join("split.json");
    write_atomic(&path, |out| {
        serde_json::to_writer_pretty(&mut *out, &record)
            .map_err(|e| Error::io(&path, std::io::Error::other(e)))?;
        out.write_all(b"\n").map_err(|e| Error::io(&path, e))
    })
}
