//! Scores as a Markdown table.

use std::fmt::Write;

use super::scores::Scores;

impl Scores {
    /// The scores as Markdown, in per cent: a table of the classes, then the
    /// scores over all. A dash is a score that is undefined, because
    /// the class is absent.
    pub fn to_markdown(&self) -> String {
        let mut rows =
            vec![["class", "IoU", "F1", "precision", "recall", "pixels"].map(str::to_owned)];
        rows.extend(self.classes.iter().map(|class| {
            [
                class.name.clone(),
                percent(class.iou),
                percent(class.f1),
                percent(class.precision),
                percent(class.recall),
                grouped(class.pixels),
            ]
        }));
        if let Some(cloud) = &self.cloud {
            rows.push([
                "cloud (thick or thin)".to_owned(),
                percent(cloud.iou),
                percent(cloud.f1),
                percent(cloud.precision),
                percent(cloud.recall),
                grouped(cloud.pixels),
            ]);
        }
        let mut text = table(&rows);
        text.push('\n');
        let mut over_all = vec![
            ["over all classes", "%"].map(str::to_owned),
            ["mIoU".to_owned(), percent(self.miou)],
            [
                "mIoU of the majority-class baseline".to_owned(),
                percent(self.majority_class_miou),
            ],
            [
                "balanced accuracy".to_owned(),
                percent(self.balanced_accuracy),
            ],
            [
                "overall accuracy".to_owned(),
                percent(self.overall_accuracy),
            ],
        ];
        if let Some(cloud) = &self.cloud {
            over_all.push([
                "balanced accuracy of cloud / no cloud".to_owned(),
                percent(cloud.balanced_accuracy),
            ]);
        }
        text.push_str(&table(&over_all));
        text
    }
}

fn percent(score: Option<f64>) -> String {
    score.map_or_else(|| "–".to_owned(), |score| format!("{:.2}", score * 100.0))
}

/// Rows of cells as a Markdown table, padded so that it also reads as plain
/// text; the first row is the head, the first column is left-aligned.
///
/// # Panics
/// Rows of different lengths.
pub(crate) fn table<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = rows.first().map_or(0, |row| row.as_ref().len());
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.as_ref()[column].chars().count());
        cells.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.as_ref().iter().zip(&widths).enumerate() {
            // Writing to a string can't fail.
            let _ = if column == 0 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text.push_str(&if column == 0 {
                    format!("|:{dashes}")
                } else {
                    format!("|{dashes}:")
                });
            }
            text.push_str("|\n");
        }
    }
    text
}

/// 1234567 as `1 234 567`, with narrow no-break spaces (ISO 80000-1).
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ConfusionMatrix;

    #[test]
    fn the_table_by_hand() {
        let mut matrix = ConfusionMatrix::new(4);
        matrix.add(&[0, 0, 0, 1], &[0, 0, 1, 1]);
        let text = matrix.scores().to_markdown();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "| class                 |   IoU |    F1 | precision | recall | pixels |",
                "|:----------------------|------:|------:|----------:|-------:|-------:|",
                "| clear                 | 66.67 | 80.00 |    100.00 |  66.67 |      3 |",
            ]
        );
        assert!(
            lines[4].contains("thin cloud") && lines[4].contains("–"),
            "{text}"
        );
        assert!(
            text.contains("| mIoU                                  | 58.33 |"),
            "{text}"
        );
        assert!(
            text.contains("| mIoU of the majority-class baseline   | 37.50 |"),
            "{text}"
        );
    }

    #[test]
    fn thousands_are_grouped() {
        let shown = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(
            shown,
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
    }
}
