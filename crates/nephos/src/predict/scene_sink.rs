//! Where the finished rows of a scene go.

use std::path::PathBuf;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, s};

use super::outputs::{Outputs, SideOutput};
use super::stream::RowSink;
use crate::class::IGNORE;
use crate::error::Result;
use crate::mask::{self, CogSpec, CogWriter, Dilation, MaskCounts, MaskFormat, probability_code};
use crate::metrics;
use crate::raster::Georeference;
use crate::scene::SceneInfo;

/// Writes the rasters of a scene as rows become final.
pub(super) struct SceneSink {
    mask: Mask,
    probabilities: Option<CogWriter>,
    dilation: Option<Dilation>,
    counts: MaskCounts,
}

/// The mask itself.
enum Mask {
    /// Written as it comes.
    Cog(Box<CogWriter>),
    /// Formats without strips are written in the end.
    Whole {
        path: PathBuf,
        pixels: Array2<u8>,
        rows: usize,
        place: Box<Georeference>,
    },
}

impl SceneSink {
    /// Starts all files of `outputs`; none has its final name yet.
    pub fn create(
        info: &SceneInfo,
        outputs: &Outputs,
        classes: usize,
        dilation: Option<Dilation>,
        tags: &[(String, String)],
    ) -> Result<Self> {
        let [rows, cols] = info.size;
        let with_tags = |mut spec: CogSpec| {
            spec.tags.extend(tags.iter().cloned());
            spec
        };
        let spec = CogSpec::mask(cols, rows, info.georeference.clone());
        let mask = match MaskFormat::of(&outputs.mask)? {
            MaskFormat::GeoTiff => {
                let writer = CogWriter::create(&outputs.mask, with_tags(spec))?;
                Mask::Cog(Box::new(writer))
            }
            MaskFormat::Png | MaskFormat::Numpy => Mask::Whole {
                path: outputs.mask.clone(),
                pixels: Array2::from_elem((rows, cols), IGNORE),
                rows: 0,
                place: Box::new(info.georeference.clone()),
            },
        };
        let probabilities = match outputs.requested(SideOutput::Probabilities) {
            None => None,
            Some(path) => {
                let place = info.georeference.clone();
                let spec = CogSpec::probabilities(cols, rows, metrics::names(classes), place);
                Some(CogWriter::create(&path, with_tags(spec))?)
            }
        };
        Ok(Self {
            mask,
            probabilities,
            dilation,
            counts: MaskCounts::default(),
        })
    }

    /// Adds to the record in the rasters.
    pub fn tag(&mut self, tag: &(String, String)) {
        if let Mask::Cog(writer) = &mut self.mask {
            writer.tag(tag);
        }
        if let Some(writer) = &mut self.probabilities {
            writer.tag(tag);
        }
    }

    /// Puts the files under their names, the mask last.
    pub fn finish(mut self) -> Result<MaskCounts> {
        if let Some(dilation) = self.dilation.take() {
            let rest = dilation.finish();
            self.write(rest.view())?;
        }
        if let Some(writer) = self.probabilities {
            writer.finish()?;
        }
        match self.mask {
            Mask::Cog(writer) => writer.finish()?,
            Mask::Whole {
                path,
                pixels,
                place,
                ..
            } => mask::write(&path, &pixels, Some(&place))?,
        }
        Ok(self.counts)
    }

    /// Takes rows of final classes.
    fn write(&mut self, classes: ArrayView2<'_, u8>) -> Result<()> {
        self.counts.add(classes);
        match &mut self.mask {
            Mask::Cog(writer) => writer.write_rows(classes.insert_axis(Axis(0)))?,
            Mask::Whole { pixels, rows, .. } => {
                let end = *rows + classes.nrows();
                pixels.slice_mut(s![*rows..end, ..]).assign(&classes);
                *rows = end;
            }
        }
        Ok(())
    }
}

impl RowSink for SceneSink {
    fn rows(
        &mut self,
        _first: usize,
        classes: ArrayView2<'_, u8>,
        probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        if let (Some(writer), Some(probabilities)) = (&mut self.probabilities, probabilities) {
            let codes: Array3<u8> = probabilities.mapv(probability_code);
            writer.write_rows(codes.view())?;
        }
        match &mut self.dilation {
            None => self.write(classes),
            Some(dilation) => {
                let grown = dilation.push(classes);
                self.write(grown.view())
            }
        }
    }
}
