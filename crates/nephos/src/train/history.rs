//! One row per epoch: in memory, as CSV and as curves.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
#[cfg(feature = "figures")]
use crate::figures;
use crate::figures::Series;
use crate::output;

/// The outcome of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Optimiser steps since the start of the run.
    pub step: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean training loss, of each batch with the weights before its step.
    pub train_loss: f64,
    /// Mean loss over the validation pixels; absent without validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Mean IoU over the classes that occur; absent without validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_miou: Option<f64>,
    /// IoU of each class, NaN for a class that is neither labelled nor
    /// predicted; empty without validation.
    pub val_iou: Vec<f64>,
    /// Training images per second.
    pub images_per_second: f64,
    /// Time of the epoch with its validation.
    pub seconds: f64,
}

impl EpochRecord {
    /// The loss that decides which epoch is best: of validation, else of training.
    pub fn deciding_loss(&self) -> f64 {
        self.val_loss.unwrap_or(self.train_loss)
    }
}

/// Writes `records` as CSV, replacing the file; `classes` name the IoU columns.
///
/// # Errors
/// The file can't be written.
pub fn write_csv(path: &Path, records: &[EpochRecord], classes: &[String]) -> Result<()> {
    output::write_atomic(path, |file| {
        let mut csv = csv::Writer::from_writer(file);
        let fail = |e: csv::Error| Error::io(path, std::io::Error::other(e));
        let mut header: Vec<String> = ["epoch", "step", "lr", "train_loss", "val_loss", "val_miou"]
            .map(String::from)
            .into();
        header.extend(
            classes
                .iter()
                .map(|name| format!("iou_{}", name.replace(' ', "_"))),
        );
        header.extend(["images_per_second", "seconds"].map(String::from));
        csv.write_record(&header).map_err(fail)?;
        for record in records {
            let optional = |v: Option<f64>| v.filter(|v| v.is_finite()).map(|v| v.to_string());
            let mut row = vec![
                record.epoch.to_string(),
                record.step.to_string(),
                record.lr.to_string(),
                record.train_loss.to_string(),
                optional(record.val_loss).unwrap_or_default(),
                optional(record.val_miou).unwrap_or_default(),
            ];
            row.extend(
                (0..classes.len())
                    .map(|c| optional(record.val_iou.get(c).copied()).unwrap_or_default()),
            );
            row.push(format!("{:.3}", record.images_per_second));
            row.push(format!("{:.3}", record.seconds));
            csv.write_record(&row).map_err(fail)?;
        }
        csv.flush().map_err(|e| Error::io(path, e))
    })
}

/// Draws `loss.png` and, with validation, `miou.png` into `folder`.
///
/// # Errors
/// A file can't be written.
#[cfg(feature = "figures")]
pub fn draw_curves(folder: &Path, records: &[EpochRecord], classes: &[String]) -> Result<()> {
    let series = |name: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>| Series {
        name: name.to_owned(),
        points: records
            .iter()
            .filter_map(|r| Some((r.epoch as f64, value(r).filter(|v| v.is_finite())?)))
            .collect(),
    };
    let mut losses = vec![series("training", &|r| Some(r.train_loss))];
    let validated = records.iter().any(|r| r.val_loss.is_some());
    if validated {
        losses.push(series("validation", &|r| r.val_loss));
    }
    figures::draw(&folder.join("loss.png"), "Loss", "loss", &losses)?;
    if validated {
        let mut scores = vec![series("mean", &|r| r.val_miou)];
        for (class, name) in classes.iter().enumerate() {
            let line = series(name, &|r| r.val_iou.get(class).copied());
            if !line.points.is_empty() {
                scores.push(line);
            }
        }
        if scores.iter().any(|s| !s.points.is_empty()) {
            let title = "Intersection over union on validation";
            figures::draw(&folder.join("miou.png"), title, "IoU", &scores)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_values_are_empty_cells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let record = EpochRecord {
            epoch: 1,
            step: 10,
            lr: 1e-4,
            train_loss: 0.5,
            val_loss: Some(0.25),
            val_miou: None,
            val_iou: vec![0.75, f64::NAN],
            images_per_second: 2.0,
            seconds: 3.5,
        };
        write_csv(
            &path,
            &[record],
            &["clear".to_owned(), "thin cloud".to_owned()],
        )
        .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "epoch,step,lr,train_loss,val_loss,val_miou,iou_clear,iou_thin_cloud,\
             images_per_second,seconds\n1,10,0.0001,0.5,0.25,,0.75,,2.000,3.500\n"
        );
    }
}
