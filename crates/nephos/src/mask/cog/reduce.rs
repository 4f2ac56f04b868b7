//! Overviews, made row by row as the finer rows come.

use super::spec::Resampling;

/// Codes that [`Resampling::Mode`] counts.
pub(super) const CODES: usize = 8;

/// Codes by class priority, highest first; see [`Resampling::Mode`].
const CLASS_PRIORITY: [usize; CODES] = [1, 2, 3, 4, 5, 6, 7, 0];

/// Numbers kept for each pixel and band of an overview until its row is complete:
/// how often each code came, or the sum of the valid values and their number.
fn counters(resampling: Resampling) -> usize {
    match resampling {
        Resampling::Mode => CODES,
        Resampling::Mean => 2,
    }
}

/// The row of an overview that is being made. It counts pixels of full
/// resolution, so that its numbers add up to those of the next overview.
pub(super) struct Reducer {
    resampling: Resampling,
    nodata: Option<u8>,
    bands: usize,
    /// `[columns, bands, counters]`.
    counts: Vec<u32>,
}

impl Reducer {
    /// For an overview of `width` columns.
    pub(super) fn new(
        resampling: Resampling,
        nodata: Option<u8>,
        width: usize,
        bands: usize,
    ) -> Self {
        Self {
            resampling,
            nodata,
            bands,
            counts: vec![0; width * bands * counters(resampling)],
        }
    }

    /// Adds a row of full resolution, `[columns, bands]`.
    ///
    /// # Panics
    /// A code of [`CODES`] or more that is not no data, in mode.
    pub(super) fn add_pixels(&mut self, row: &[u8]) {
        let counters = counters(self.resampling);
        let cells = self.counts.chunks_exact_mut(self.bands * counters);
        for (cell, pair) in cells.zip(row.chunks(2 * self.bands)) {
            for pixel in pair.chunks_exact(self.bands) {
                for (counts, value) in cell.chunks_exact_mut(counters).zip(pixel) {
                    if Some(*value) == self.nodata {
                        continue;
                    }
                    match self.resampling {
                        Resampling::Mode => counts[usize::from(*value)] += 1,
                        Resampling::Mean => {
                            counts[0] += u32::from(*value);
                            counts[1] += 1;
                        }
                    }
                }
            }
        }
    }

    /// Adds a row of the next finer overview, before that is cleared.
    pub(super) fn add_finer(&mut self, finer: &Self) {
        let length = self.bands * counters(self.resampling);
        let cells = self.counts.chunks_exact_mut(length);
        for (cell, pair) in cells.zip(finer.counts.chunks(2 * length)) {
            for counts in pair.chunks_exact(length) {
                for (sum, count) in cell.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
    }

    /// The row's pixels, `[columns, bands]`.
    pub(super) fn pixels(&self) -> Vec<u8> {
        let none = self.nodata.unwrap_or(0);
        let counts = self.counts.chunks_exact(counters(self.resampling));
        match self.resampling {
            Resampling::Mode => counts.map(|counts| mode(counts).unwrap_or(none)).collect(),
            Resampling::Mean => counts
                .map(|counts| match counts[1] {
                    0 => none,
                    // At most 255, and halves go up.
                    valid => ((counts[0] + valid / 2) / valid) as u8,
                })
                .collect(),
        }
    }

    /// Makes ready for the next row.
    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
    }
}

/// The most frequent code, of equals the one of higher priority; `None` where there is none at all.
fn mode(counts: &[u32]) -> Option<u8> {
    let mut best = None;
    let mut most = 0;
    for code in CLASS_PRIORITY {
        if counts[code] > most {
            (best, most) = (Some(code as u8), counts[code]);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_priority_decides_a_tie_and_no_data_is_not_counted() {
        let mut reducer = Reducer::new(Resampling::Mode, Some(255), 4, 1);
        reducer.add_pixels(&[0, 1, 3, 2, 255, 255, 255]);
        reducer.add_pixels(&[0, 1, 3, 2, 255, 255, 0]);
        assert_eq!(reducer.pixels(), [1, 2, 255, 0]);
        let mut coarser = Reducer::new(Resampling::Mode, Some(255), 2, 1);
        coarser.add_finer(&reducer);
        assert_eq!(coarser.pixels(), [1, 0]);
    }

    #[test]
    fn means_are_of_the_valid_pixels_of_each_band() {
        let mut reducer = Reducer::new(Resampling::Mean, Some(255), 2, 2);
        reducer.add_pixels(&[10, 255, 20, 255, 1, 2]);
        reducer.add_pixels(&[255, 255, 255, 255, 2, 2]);
        assert_eq!(reducer.pixels(), [15, 255, 2, 2]);
        reducer.clear();
        assert_eq!(reducer.pixels(), [255; 4]);
    }
}
