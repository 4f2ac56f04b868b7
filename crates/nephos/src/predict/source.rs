//! What a model sees of a scene.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut3, Axis, s};

use super::strip::Strip;
use crate::data::Inputs;
use crate::error::Result;
use crate::raster::Window;
use crate::scene::Scene;

/// Least rows that are read at once; files with single rows as blocks are read many
/// rows at a time. Rows are kept in strips of so many, each of which goes as soon as no window
/// needs it.
pub(super) const STRIP_ROWS: usize = 64;

/// Columns that are read at once, about: whole blocks.
const READ_COLUMNS: usize = 2048;

/// A scene as the input of a model.
pub(super) struct Source<'a> {
    scene: &'a dyn Scene,
    /// Positions in the scene of the bands that are there.
    bands: Vec<usize>,
    /// Input of the model for reflectance 1.
    gain: f32,
    channels: Channels,
    inputs: Option<&'a Inputs>,
    counts: Mutex<Counts>,
}

/// Pixels that were read for windows, each counted once.
#[derive(Default)]
struct Counts {
    /// Pixels with data.
    valid: u64,
    /// Of each optional band that is there: those of them where it has none.
    gaps: Vec<u64>,
}

/// Where bands go in the input of a model.
#[derive(Debug, Clone, Default)]
pub(super) struct Channels {
    /// Number of channels.
    count: usize,
    /// The channel of each band that is there.
    bands: Vec<usize>,
    /// The optional ones of these: the place among them, and the channel that declares the band
    /// absent.
    optional: Vec<(usize, usize)>,
    /// Channels that declare bands absent that are absent everywhere.
    absent: Vec<usize>,
}

impl<'a> Source<'a> {
    /// The bands `bands` of a scene, in this order, as channels: model input = reflectance ×
    /// `gain`.
    pub fn plain(scene: &'a dyn Scene, bands: &[usize], gain: f32) -> Self {
        Self {
            scene,
            bands: bands.to_vec(),
            gain,
            channels: Channels::plain(bands.len()),
            inputs: None,
            counts: Mutex::default(),
        }
    }

    /// The bands of a model, and channels that declare bands absent.
    pub fn of(scene: &'a dyn Scene, inputs: &'a Inputs, gain: f32) -> Self {
        Self {
            scene,
            bands: inputs.positions(),
            gain,
            channels: Channels::of(inputs),
            inputs: Some(inputs),
            counts: Mutex::default(),
        }
    }

    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Rows and columns of the scene.
    pub fn size(&self) -> [usize; 2] {
        self.scene.info().size
    }

    /// Refuses bands that the scene lacks.
    pub fn check(&self) -> Result<()> {
        let [rows, cols] = self.size();
        let whole = Window {
            row: 0,
            col: 0,
            rows,
            cols,
        };
        self.scene.info().check(&self.bands, whole)
    }

    /// All rows of the columns `columns` from the top, in [strips](Source::strips) of some whole
    /// blocks at a time.
    pub fn blocks_of_rows(
        &self,
        columns: Range<usize>,
        own: Range<usize>,
    ) -> impl Iterator<Item = Result<Vec<Strip>>> {
        let [height, _] = self.size();
        let block = self.scene.info().block[0].clamp(1, height.max(1));
        let rows = block * STRIP_ROWS.div_ceil(block);
        (0..height)
            .step_by(rows)
            .map(move |first| self.strips(first..height.min(first + rows), &columns, &own))
    }

    /// The rows `rows` of the columns `columns`, in strips from the top. Of these, the columns
    /// `own` count for [`Source::absent_in_part`].
    ///
    /// Besides the result, memory holds as much as [`READ_COLUMNS`] columns.
    fn strips(
        &self,
        rows: Range<usize>,
        columns: &Range<usize>,
        own: &Range<usize>,
    ) -> Result<Vec<Strip>> {
        let mut strips: Vec<Strip> = (rows.clone().step_by(STRIP_ROWS))
            .map(|first| {
                let count = STRIP_ROWS.min(rows.end - first);
                Strip::empty(first, [self.bands.len(), count, columns.len()])
            })
            .collect();
        let block = self.scene.info().block[1].max(1);
        let step = block * (READ_COLUMNS / block).max(1);
        let mut first = columns.start;
        while first < columns.end {
            let end = (first - first % step).saturating_add(step).min(columns.end);
            let window = Window {
                row: rows.start,
                col: first,
                rows: rows.len(),
                cols: end - first,
            };
            let (present, valid) = self.present(window)?;
            let counted = own.start.clamp(first, end) - first..own.end.clamp(first, end) - first;
            let gaps = self.count(&present, &valid, counted);
            let to = first - columns.start..end - columns.start;
            for strip in &mut strips {
                let from = strip.first - rows.start;
                let from = from..from + strip.valid.nrows();
                (strip.present.slice_mut(s![.., .., to.clone()])).assign(&present.slice(s![
                    ..,
                    from.clone(),
                    ..
                ]));
                (strip.valid.slice_mut(s![.., to.clone()])).assign(&valid.slice(s![from, ..]));
                strip.has_gaps |= gaps;
            }
            first = end;
        }
        Ok(strips)
    }

    /// A part of the scene as the model's input, `[channels, rows, columns]`, 0 where not
    /// valid, and which of its pixels are valid.
    ///
    /// # Errors
    /// A window outside the scene, or one that can't be read.
    pub fn read(&self, window: Window) -> Result<(Array3<f32>, Array2<bool>)> {
        let (present, valid) = self.present(window)?;
        let mut input = Array3::zeros((self.channels.count, window.rows, window.cols));
        (self.channels).place(present.view(), valid.view(), true, input.view_mut());
        Ok((input, valid))
    }

    /// The bands that are there, as the model takes them, and which pixels are valid. As in
    /// training, the others are 0 in all bands. What is not finite is a gap of an optional band.
    fn present(&self, window: Window) -> Result<(Array3<f32>, Array2<bool>)> {
        let mut present = self.scene.read(&self.bands, window)?;
        let valid = self.channels.valid(&present);
        for mut plane in present.outer_iter_mut() {
            plane.zip_mut_with(&valid, |value, valid| {
                *value = if *valid { *value * self.gain } else { 0.0 };
            });
        }
        Ok((present, valid))
    }

    /// Counts pixels of the columns `own`, and gives whether an optional band has a gap in any
    /// column.
    fn count(&self, present: &Array3<f32>, valid: &Array2<bool>, own: Range<usize>) -> bool {
        let optional = &self.channels.optional;
        if optional.is_empty() {
            return false;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.gaps.resize(optional.len(), 0);
        let in_own = valid.slice(s![.., own.clone()]);
        counts.valid += in_own.iter().filter(|valid| **valid).count() as u64;
        let mut has_gaps = false;
        for ((band, _), gaps) in optional.iter().zip(&mut counts.gaps) {
            let plane = present.index_axis(Axis(0), *band);
            // Hardly a scene has gaps.
            if plane.iter().any(|value| !value.is_finite()) {
                has_gaps = true;
                let own = plane.slice(s![.., own.clone()]);
                *gaps += own.iter().filter(|value| !value.is_finite()).count() as u64;
            }
        }
        has_gaps
    }

    /// Optional bands that are absent from some of the pixels with data, and from what
    /// share of them, as far as the scene was read in strips.
    pub fn absent_in_part(&self) -> Vec<(String, f64)> {
        let Some(inputs) = self.inputs else {
            return Vec::new();
        };
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |gaps: &u64| *gaps as f64 / counts.valid.max(1) as f64;
        let bands = inputs.optional_present();
        (bands.into_iter().zip(&counts.gaps))
            .filter(|(_, gaps)| **gaps > 0)
            .map(|((_, name), gaps)| (name.to_owned(), share(gaps)))
            .collect()
    }
}

impl Channels {
    /// One for each of so many bands.
    pub fn plain(bands: usize) -> Self {
        Self {
            count: bands,
            bands: (0..bands).collect(),
            ..Self::default()
        }
    }

    /// Those of a model's bands.
    fn of(inputs: &Inputs) -> Self {
        let found = inputs.found();
        let bands: Vec<usize> = (0..found.len())
            .filter(|band| found[*band].is_some())
            .collect();
        let mut channels = Self {
            count: found.len() + inputs.optional().len(),
            bands,
            ..Self::default()
        };
        for (channel, band) in (found.len()..).zip(inputs.optional()) {
            match channels.bands.iter().position(|there| there == band) {
                Some(place) => channels.optional.push((place, channel)),
                None => channels.absent.push(channel),
            }
        }
        channels
    }

    /// Which pixels of the bands that are there have data: those where each that is not
    /// optional has, or, where all are optional, any.
    fn valid(&self, present: &Array3<f32>) -> Array2<bool> {
        let (count, height, width) = present.dim();
        let is_optional = |band: usize| self.optional.iter().any(|(place, _)| *place == band);
        let required: Vec<usize> = (0..count).filter(|band| !is_optional(*band)).collect();
        let any = required.is_empty() && count > 0;
        let mut valid = Array2::from_elem((height, width), !any);
        for band in if any { (0..count).collect() } else { required } {
            let plane = present.index_axis(Axis(0), band);
            valid.zip_mut_with(&plane, |valid, value| match any {
                true => *valid |= value.is_finite(),
                false => *valid &= value.is_finite(),
            });
        }
        valid
    }

    /// Puts bands into the channels of an input, which is 0 before.
    ///
    /// # Shapes
    /// - present: `[bands that are there, rows, columns]`
    /// - valid: `[rows, columns]`
    /// - to: `[channels, rows, columns]`
    pub fn place(
        &self,
        present: ArrayView3<'_, f32>,
        valid: ArrayView2<'_, bool>,
        has_gaps: bool,
        mut to: ArrayViewMut3<'_, f32>,
    ) {
        for (from, channel) in present.outer_iter().zip(&self.bands) {
            to.index_axis_mut(Axis(0), *channel).assign(&from);
        }
        for channel in &self.absent {
            let mut flags = to.index_axis_mut(Axis(0), *channel);
            flags.zip_mut_with(&valid, |flag, valid| *flag = f32::from(*valid));
        }
        if !has_gaps {
            return;
        }
        for (place, channel) in &self.optional {
            let band = self.bands[*place];
            let (mut values, mut flags) =
                to.multi_slice_mut((s![band, .., ..], s![*channel, .., ..]));
            for (value, flag) in values.iter_mut().zip(&mut flags) {
                if !value.is_finite() {
                    (*value, *flag) = (0.0, 1.0);
                }
            }
        }
    }

    /// Number of channels.
    pub fn count(&self) -> usize {
        self.count
    }
}
