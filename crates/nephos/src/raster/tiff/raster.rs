//! A TIFF file: its first image, the mask of that, and what the file says of both.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use tiff_reader::source::SharedSource;
use tiff_reader::{ExtraSample, Ifd, TiffFile};

use super::image::{Image, Source};
use super::metadata::{self, BandMetadata, fit_nodata};
use crate::error::{Error, Result};
use crate::raster::sidecar::{MaskFile, Pam};
use crate::raster::{DType, Georeference, Window, check_channels};

/// Most bytes that one call returns.
const READ_BYTES: usize = 8 << 30;
/// NewSubfileType: bit 0 an overview, bit 2 a mask.
const SUBFILE_TYPE: u16 = 254;
const OVERVIEW: u32 = 1;
const MASK: u32 = 4;
/// PhotometricInterpretation of red, green and blue; of colours as JPEG stores them.
const RGB: [u16; 2] = [2, 6];
/// PhotometricInterpretation of palette indices.
const PALETTE: u16 = 3;

/// A raster in a TIFF file, read window by window.
pub(crate) struct TiffRaster {
    path: PathBuf,
    file: TiffFile,
    image: Image,
    mask: Option<Image>,
    /// The mask beside the file.
    mask_file: Option<Box<MaskFile>>,
    /// One entry per band.
    pub bands: Vec<BandMetadata>,
    /// One number per band: a pixel that holds them all has no data.
    pub nodata_values: Option<Vec<f64>>,
    /// What was read from files beside this one, one sentence each.
    pub sidecars: Vec<String>,
    /// What the file says of itself as a whole, where a product may be named.
    pub texts: Vec<String>,
    /// The band that holds opacity, where the file says that one does.
    pub alpha: Option<usize>,
    /// Whether the first three bands are declared red, green and blue.
    pub is_rgb: bool,
    /// Whether numbers are palette indices.
    pub has_palette: bool,
    pub georeference: Georeference,
}

impl TiffRaster {
    /// Opens a file and reads its header, and what GDAL's files beside it say:
    /// `NAME.tif.aux.xml` goes before the file's own metadata, `NAME.tif.msk` masks
    /// beside its own mask.
    ///
    /// # Errors
    /// The file can't be read, is no TIFF, is cut off before the end of its header,
    /// or exceeds the limits; a file beside it is broken.
    pub fn open(path: &Path) -> Result<Self> {
        let mut raster = Self::open_alone(path)?;
        let count = raster.bands.len();
        if let Some(pam) = Pam::beside(path, count)? {
            raster.sidecars.extend(pam.note());
            raster.overrule(pam);
        }
        raster.mask_file = MaskFile::beside(path, count, raster.size())?.map(Box::new);
        raster
            .sidecars
            .extend(raster.mask_file.as_deref().map(MaskFile::note));
        Ok(raster)
    }

    /// As [`Self::open`], whatever is beside the file.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_alone(path: &Path) -> Result<Self> {
        Self::of(path, super::open(path)?)
    }

    /// As [`Self::open_alone`], of a file within another, `path`.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn from_source(path: &Path, source: SharedSource) -> Result<Self> {
        Self::of(path, super::open_source(path, source)?)
    }

    fn of(path: &Path, file: TiffFile) -> Result<Self> {
        let mut image = Image::of(path, &file, 0)?;
        let ifd = file.ifd(0).map_err(|e| super::broken(path, e))?;
        let samples = image.layout.samples_per_pixel;
        let mut bands = metadata::bands(ifd, samples);
        if let Some(nodata) = metadata::nodata(ifd) {
            bands.iter_mut().for_each(|band| band.nodata = Some(nodata));
            let is_float = matches!(image.dtype, DType::F16 | DType::F32 | DType::F64);
            match fit_nodata(nodata, image.dtype) {
                Some(number) => image.fill_with(number),
                None if nodata.is_nan() && is_float => image.fill_with(f64::NAN),
                None => {}
            }
        }
        let mask = mask(path, &file, &image)?;
        Ok(Self {
            path: path.to_owned(),
            mask,
            mask_file: None,
            bands,
            nodata_values: metadata::nodata_values(ifd, samples),
            sidecars: Vec::new(),
            texts: metadata::texts(ifd),
            alpha: alpha(ifd, samples),
            has_palette: ifd.photometric_interpretation() == Some(PALETTE),
            is_rgb: (ifd.photometric_interpretation()).is_some_and(|code| RGB.contains(&code)),
            georeference: Georeference::of_tiff(path, ifd),
            image,
            file,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.image.grid.size
    }

    /// Rows and columns that are decoded as one.
    pub fn block(&self) -> [usize; 2] {
        self.image.grid.block
    }

    /// Whether bands are interleaved by pixel.
    pub fn is_interleaved(&self) -> bool {
        self.image.layout.planar_configuration == 1
    }

    pub fn dtype(&self) -> DType {
        self.image.dtype
    }

    /// The bands' descriptions; a band without one is called `band N`, counted from
    /// 1. `None` where no band has one.
    pub fn names(&self) -> Option<Vec<String>> {
        if self.bands.iter().all(|band| band.description.is_none()) {
            return None;
        }
        let name = |(position, band): (usize, &BandMetadata)| {
            (band.description.clone()).unwrap_or_else(|| format!("band {}", position + 1))
        };
        Some(self.bands.iter().enumerate().map(name).collect())
    }

    /// How often a large block was decoded for a part of it.
    #[cfg(test)]
    pub fn decoded(&self) -> usize {
        let blocks = &self.image.blocks;
        blocks.decoded.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn source(&self) -> Source<'_> {
        Source {
            path: &self.path,
            file: &self.file,
        }
    }

    /// The chosen bands of a window, `[bands.len(), rows, cols]`; `convert` gets the
    /// position in `bands` and the stored number. Blocks are decoded in parallel.
    ///
    /// # Errors
    /// A band or window that is not there, a broken file, or more than 8 GiB.
    pub fn read<T: Copy + Default + Send>(
        &self,
        bands: &[usize],
        window: Window,
        convert: impl Fn(usize, f64) -> T + Sync,
    ) -> Result<Array3<T>> {
        self.check(bands, window)?;
        let mut out = allocate(&self.path, [bands.len(), window.rows, window.cols])?;
        self.read_into(bands, window, &mut out, convert)?;
        Array3::from_shape_vec((bands.len(), window.rows, window.cols), out)
            .map_err(|e| Error::format(&self.path, e.to_string()))
    }

    /// As [`Self::read`], into `out`, which must have the size of the bands and the
    /// window.
    pub fn read_into<T: Copy + Send>(
        &self,
        bands: &[usize],
        window: Window,
        out: &mut [T],
        convert: impl Fn(usize, f64) -> T + Sync,
    ) -> Result<()> {
        self.check(bands, window)?;
        assert_eq!(out.len(), bands.len() * window.rows * window.cols);
        (self.image).read(self.source(), bands, window, out, &convert)
    }

    /// Puts `missing` where the file's mask, or that beside it, says that `bands` of a
    /// window, which are in `out`, have no data.
    ///
    /// # Errors
    /// A window that is not there, or a broken file.
    pub fn blank<T: Copy>(
        &self,
        bands: &[usize],
        window: Window,
        out: &mut [T],
        missing: T,
    ) -> Result<()> {
        let plane = window.rows * window.cols;
        assert_eq!(out.len(), bands.len() * plane);
        self.check(bands, window)?;
        let mut apply = |position: usize, valid: &[bool]| {
            let out = &mut out[position * plane..(position + 1) * plane];
            for (out, _) in out.iter_mut().zip(valid).filter(|(_, valid)| !**valid) {
                *out = missing;
            }
        };
        if let Some(mask) = &self.mask {
            let mut valid = allocate(&self.path, [1, window.rows, window.cols])?;
            let is_valid = |_, stored| stored != 0.0;
            mask.read(self.source(), &[0], window, &mut valid, &is_valid)?;
            (0..bands.len()).for_each(|position| apply(position, &valid));
        }
        match &self.mask_file {
            Some(mask) => mask.each(bands, window, apply),
            None => Ok(()),
        }
    }

    /// What a file beside this one says goes before its own metadata.
    fn overrule(&mut self, pam: Pam) {
        for (position, (own, said)) in self.bands.iter_mut().zip(pam.bands).enumerate() {
            own.description = said.description.or(own.description.take());
            own.scale = said.scale.or(own.scale);
            own.offset = said.offset.or(own.offset);
            own.nodata = said.nodata.or(own.nodata);
            if said.alpha {
                self.alpha = Some(position);
            }
        }
        self.nodata_values = pam.nodata_values.or(self.nodata_values.take());
    }

    /// One band as it is stored, little-endian.
    ///
    /// # Errors
    /// A band that is not there, or a broken file.
    pub fn read_raw(&self, band: usize) -> Result<Vec<u8>> {
        check_channels(&self.path, &[band], self.bands.len())?;
        self.image.raw(self.source(), band)
    }

    fn check(&self, bands: &[usize], window: Window) -> Result<()> {
        let [rows, cols] = self.size();
        window.check(&self.path, [rows, cols])?;
        check_channels(&self.path, bands, self.bands.len())
    }
}

/// Zeros, or an error where there can't be so many.
pub(crate) fn allocate<T: Copy + Default>(path: &Path, shape: [usize; 3]) -> Result<Vec<T>> {
    let fail = || {
        let message = format!("{shape:?} numbers are requested at once");
        Error::limits(path.display(), message)
    };
    let count = (shape.iter())
        .try_fold(1usize, |count, axis| count.checked_mul(*axis))
        .filter(|count| *count <= READ_BYTES / size_of::<T>().max(1))
        .ok_or_else(fail)?;
    // `vec!` would abort; its memory is not touched until it is written.
    Vec::<T>::new()
        .try_reserve_exact(count)
        .map_err(|_| fail())?;
    Ok(vec![T::default(); count])
}

/// The image among those after the first that says which pixels are valid.
fn mask(path: &Path, file: &TiffFile, image: &Image) -> Result<Option<Image>> {
    let is_mask = |ifd: &Ifd| {
        let kind = ifd.tag(SUBFILE_TYPE).and_then(|tag| tag.value.as_u32());
        let size = [ifd.height() as usize, ifd.width() as usize];
        kind.is_some_and(|kind| kind & MASK != 0 && kind & OVERVIEW == 0)
            && size == image.grid.size
            && ifd.samples_per_pixel() == 1
    };
    (file.ifds().iter())
        .skip(1)
        .position(is_mask)
        .map(|position| Image::of(path, file, position + 1))
        .transpose()
}

fn alpha(ifd: &Ifd, samples: usize) -> Option<usize> {
    let extra = ifd.extra_samples().ok()?;
    let first = samples.checked_sub(extra.len())?;
    (extra.iter())
        .position(|kind| {
            matches!(
                kind,
                ExtraSample::AssociatedAlpha | ExtraSample::UnassociatedAlpha
            )
        })
        .map(|position| first + position)
}
