//! How much of a scene is cloud.

use std::fmt;

use ndarray::ArrayView2;
use serde::Serialize;

use crate::class::{CLASS_COUNT, Class, IGNORE};

/// Counts of a mask's codes, and the shares they make; written as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskSummary {
    /// Name of the scene.
    pub scene: String,
    /// Name of the model.
    pub model: String,
    /// Valid pixels.
    pub valid: u64,
    /// Pixels without data.
    pub no_data: u64,
    /// Thick and thin cloud, per cent of the valid pixels; `None` without any.
    pub cloud_cover: Option<f64>,
    /// The classes in the order of their codes.
    pub classes: Vec<ClassShare>,
}

/// How much of a mask is of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassShare {
    /// Value in the mask.
    pub code: u8,
    /// Name of the class.
    pub name: &'static str,
    /// Number of pixels.
    pub pixels: u64,
    /// Per cent of the valid pixels; `None` where there are none.
    pub percent: Option<f64>,
}

/// Pixels of each code, counted as rows come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaskCounts {
    /// By class code.
    pub classes: [u64; CLASS_COUNT],
    /// Of the other codes: no data.
    pub no_data: u64,
}

impl MaskCounts {
    /// Counts more rows, `[rows, columns]`.
    pub fn add(&mut self, rows: ArrayView2<'_, u8>) {
        let mut counts = [0u64; 256];
        for code in rows {
            counts[usize::from(*code)] += 1;
        }
        for class in Class::ALL {
            self.classes[class as usize] += counts[class as usize];
        }
        self.no_data += counts[CLASS_COUNT..=usize::from(IGNORE)]
            .iter()
            .sum::<u64>();
    }
}

impl MaskSummary {
    /// The summary of a mask with these counts.
    pub fn new(scene: impl Into<String>, model: impl Into<String>, counts: &MaskCounts) -> Self {
        let valid: u64 = counts.classes.iter().sum();
        let percent = |pixels: u64| (valid > 0).then(|| pixels as f64 / valid as f64 * 100.0);
        let share = |class: Class| ClassShare {
            code: class as u8,
            name: class.name(),
            pixels: counts.classes[class as usize],
            percent: percent(counts.classes[class as usize]),
        };
        let clouds = Class::ALL.into_iter().filter(|class| class.is_cloud());
        Self {
            scene: scene.into(),
            model: model.into(),
            valid,
            no_data: counts.no_data,
            cloud_cover: percent(clouds.map(|class| counts.classes[class as usize]).sum()),
            classes: Class::ALL.map(share).into(),
        }
    }
}

/// One line, as in `clear 61.2 %, thick cloud 30.0 %, thin cloud 5.8 %, cloud
/// shadow 3.0 % of 120560400 valid pixels; 12 no data`.
impl fmt::Display for MaskSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.valid == 0 {
            return write!(f, "no valid pixels");
        }
        for (index, class) in self.classes.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let percent = class.percent.unwrap_or(0.0);
            write!(f, "{comma}{} {percent:.1} %", class.name)?;
        }
        write!(f, " of {}", crate::text::count(self.valid, "valid pixel"))?;
        match self.no_data {
            0 => Ok(()),
            count => write!(f, "; {count} no data"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn shares_are_of_the_valid_pixels() {
        let mut counts = MaskCounts::default();
        counts.add(array![[0, 1, 1], [2, 255, 255]].view());
        counts.add(array![[0, 0, 0]].view());
        let summary = MaskSummary::new("scene", "model", &counts);
        assert_eq!((summary.valid, summary.no_data), (7, 2));
        assert!((summary.cloud_cover.unwrap() - 300.0 / 7.0).abs() < 1e-12);
        assert_eq!(
            summary.to_string(),
            "clear 57.1 %, thick cloud 28.6 %, thin cloud 14.3 %, cloud shadow 0.0 % \
             of 7 valid pixels; 2 no data"
        );
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["classes"][1]["name"], "thick cloud");
        assert_eq!(json["classes"][1]["pixels"], 2);
    }

    #[test]
    fn a_mask_without_data_has_no_shares() {
        let mut counts = MaskCounts::default();
        counts.add(array![[255, 255]].view());
        let summary = MaskSummary::new("s", "m", &counts);
        assert_eq!(summary.to_string(), "no valid pixels");
        let json = serde_json::to_value(&summary).unwrap();
        assert!(json["cloud_cover"].is_null());
    }
}
