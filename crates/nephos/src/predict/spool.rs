//! Finished panels on disk, until all rows of the scene are final.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, s};

use super::stream::RowSink;
use crate::error::{Error, Result};
use crate::output::spool;

/// Pixels that are in memory at once when rows are put together.
const PIXELS: usize = 1 << 20;

/// Classes, and probabilities where they are asked for, panel by panel, in files without a name.
pub(super) struct Spool {
    folder: PathBuf,
    /// Rows and columns of the scene.
    size: [usize; 2],
    classes: File,
    /// Number of classes, `[rows, classes, columns]` of each panel.
    probabilities: Option<(usize, File)>,
    /// The columns of each panel.
    panels: Vec<Range<usize>>,
}

impl Spool {
    /// For a scene of `size` in panels of the columns `panels`, from the left, in the folder
    /// `folder`; `probabilities` is the number of classes.
    ///
    /// # Errors
    /// No file can be made there.
    pub fn new(
        folder: &Path,
        size: [usize; 2],
        panels: Vec<Range<usize>>,
        probabilities: Option<usize>,
    ) -> Result<Self> {
        let file = || spool(&folder.join("mask"));
        Ok(Self {
            folder: folder.to_owned(),
            size,
            classes: file()?,
            probabilities: match probabilities {
                Some(count) => Some((count, file()?)),
                None => None,
            },
            panels,
        })
    }

    /// Hands all rows to `sink`, from the top down; `check` may stop it.
    ///
    /// # Errors
    /// What the sink or `check` returns, or what was spooled can't be read.
    pub fn hand_over(
        mut self,
        sink: &mut dyn RowSink,
        check: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let [height, width] = self.size;
        let numbers = 1 + 4 * self.probabilities.as_ref().map_or(0, |(count, _)| *count);
        let step = (PIXELS / width / numbers).clamp(1, super::stream::SINK_ROWS);
        for first in (0..height).step_by(step) {
            check()?;
            let rows = first..height.min(first + step);
            let (classes, probabilities) =
                self.rows(rows).map_err(|e| Error::io(&self.folder, e))?;
            sink.rows(
                first,
                classes.view(),
                probabilities.as_ref().map(|p| p.view()),
            )?;
        }
        Ok(())
    }

    fn rows(&mut self, rows: Range<usize>) -> std::io::Result<(Array2<u8>, Option<Array3<f32>>)> {
        let [height, width] = self.size;
        let mut classes = Array2::zeros((rows.len(), width));
        let mut probabilities = (self.probabilities.as_ref())
            .map(|(count, _)| Array3::zeros((*count, rows.len(), width)));
        for columns in self.panels.clone() {
            // Pixels before these, in whole panels and in this one.
            let before = (height * columns.start + rows.start * columns.len()) as u64;
            let mut bytes = vec![0; rows.len() * columns.len()];
            self.classes.seek(SeekFrom::Start(before))?;
            self.classes.read_exact(&mut bytes)?;
            let shape = (rows.len(), columns.len());
            let part = ArrayView2::from_shape(shape, &bytes).map_err(std::io::Error::other)?;
            classes.slice_mut(s![.., columns.clone()]).assign(&part);
            if let (Some((count, file)), Some(to)) = (&mut self.probabilities, &mut probabilities) {
                let mut bytes = vec![0; 4 * *count * shape.0 * shape.1];
                file.seek(SeekFrom::Start(4 * *count as u64 * before))?;
                file.read_exact(&mut bytes)?;
                let (numbers, _) = bytes.as_chunks::<4>();
                let numbers: Vec<f32> = numbers
                    .iter()
                    .map(|four| f32::from_le_bytes(*four))
                    .collect();
                let shape = (shape.0, *count, shape.1);
                let part =
                    ArrayView3::from_shape(shape, &numbers).map_err(std::io::Error::other)?;
                (to.slice_mut(s![.., .., columns])).assign(&part.permuted_axes([1, 0, 2]));
            }
        }
        Ok((classes, probabilities))
    }
}

/// Takes the rows of all panels: those of one from the top to the end, then those of the next.
impl RowSink for Spool {
    fn rows(
        &mut self,
        _first: usize,
        classes: ArrayView2<'_, u8>,
        probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        let Spool {
            folder,
            classes: file,
            probabilities: spooled,
            ..
        } = &mut *self;
        let fail = |e| Error::io(&*folder, e);
        let codes: Vec<u8> = classes.iter().copied().collect();
        file.write_all(&codes).map_err(fail)?;
        if let (Some(probabilities), Some((_, file))) = (probabilities, spooled) {
            let by_row = probabilities.permuted_axes([1, 0, 2]);
            let bytes: Vec<u8> = by_row.iter().flat_map(|p| p.to_le_bytes()).collect();
            file.write_all(&bytes).map_err(fail)?;
        }
        Ok(())
    }
}
