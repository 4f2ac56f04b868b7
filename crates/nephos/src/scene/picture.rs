//! PNG and JPEG pictures as scenes.

use std::path::Path;

use ndarray::{Array3, Axis, s};

use crate::band::{self, Product};
use crate::error::Result;
use crate::raster::picture::{Picture, decode};
use crate::raster::sidecar::{MaskFile, Pam};
use crate::raster::tiff::fit_nodata;
use crate::raster::{Georeference, Window, georeference_files};
use crate::scene::infer_radiometry::{Sampled, infer_radiometry};
use crate::scene::nodata::{self, Combination, NoData};
use crate::scene::raster_names::given;
use crate::scene::raster_scene::name_of;
use crate::scene::{Origin, Radiometry, Scene, SceneBand, SceneInfo, SceneOptions};

/// A PNG or JPEG as a scene: red, green and blue, or one band `gray`; its georeference is
/// that of a world file or `.aux.xml` beside it. The whole picture is in memory. Transparent
/// pixels are no data, as are black borders and what files beside the picture declare, as
/// for [`RasterScene`](crate::scene::RasterScene).
pub struct PictureScene {
    info: SceneInfo,
    /// NaN where the picture is transparent or masked.
    stored: Array3<f32>,
    nodata: NoData,
}

impl PictureScene {
    /// Reads a picture.
    ///
    /// # Errors
    /// The file can't be read or is broken; names that are not one a channel, or a
    /// scale or offset that can't be.
    pub fn open(path: &Path, options: &SceneOptions) -> Result<Self> {
        options.check(path)?;
        let picture = decode(path)?;
        let [count, rows, cols] = picture.header.shape;
        let dtype = picture.header.dtype;
        let mut notes = Vec::new();
        let mut stored = picture.channels(&(0..count).collect::<Vec<_>>());
        notes.extend(transparency(&picture));
        if picture.palette {
            notes.push(
                "The picture has a palette: its pixels are read as the palette's colours."
                    .to_owned(),
            );
        }
        let pam = Pam::beside(path, count)?;
        notes.extend(pam.as_ref().and_then(Pam::note));
        mask(path, &mut stored, &mut notes)?;
        let said = |band: usize| {
            pam.as_ref()
                .map(|pam| pam.bands[band].clone())
                .unwrap_or_default()
        };
        let own = picture.header.names.unwrap_or_default();
        let sources: Vec<String> = (own.into_iter().enumerate())
            .map(|(band, name)| said(band).description.unwrap_or(name))
            .collect();
        let names: Vec<Option<String>> = match &options.bands {
            Some(names) => given(path, names, count, &Product::default(), options)?,
            None => (sources.iter())
                .map(|name| Some(band::canonical(name)))
                .collect(),
        };
        let own: Vec<usize> = (0..count).filter(|band| names[*band].is_some()).collect();
        if own.len() < count {
            stored = stored.select(Axis(0), &own);
        }
        let mut bands = Vec::with_capacity(count);
        for (name, position) in names.into_iter().flatten().zip(own.iter().copied()) {
            let said = said(position);
            let scaling = said.scaling();
            let offset = options.offset.unwrap_or(0.0);
            let radiometry = match (options.scale, scaling) {
                (Some(scale), _) => Radiometry::scaled(scale, offset, Origin::Given),
                (None, Some((gain, bias))) => Radiometry {
                    gain,
                    bias: options.offset.map_or(bias, |offset| offset * gain),
                    ..Radiometry::scaled(1.0, 0.0, Origin::Metadata)
                },
                (None, None) => Radiometry::scaled(1.0, offset, Origin::Guessed),
            };
            let nodata = match options.nodata {
                Some(number) => nodata::given(path, number, dtype)?,
                None => said.nodata.and_then(|number| fit_nodata(number, dtype)),
            };
            bands.push(SceneBand {
                name,
                source: sources[position].clone(),
                dtype,
                resolution: None,
                radiometry: radiometry.with_nodata(nodata),
            });
        }
        let mut scene = Self {
            info: SceneInfo {
                name: name_of(path),
                path: path.to_owned(),
                product: format!(
                    "picture, {} of {}",
                    crate::text::count(count, "channel"),
                    dtype.name()
                ),
                size: [rows, cols],
                block: [rows, cols],
                georeference: georeference_files::with_files(path, Georeference::default()),
                bands,
                sun: None,
                acquired: None,
                notes,
            },
            stored,
            nodata: NoData::default(),
        };
        if options.nodata.is_none() {
            if let Some(numbers) = pam.and_then(|pam| pam.nodata_values) {
                let parts = (own.iter().enumerate())
                    .filter_map(|(band, channel)| Some((band, *numbers.get(*channel)?)))
                    .collect();
                scene.nodata.combine(Combination { parts });
            }
            if !options.declared_only {
                let (nodata, _) =
                    nodata::recognise(&scene.info, &scene.nodata, |bands, window| {
                        Ok(scene.valid(bands, window))
                    })?;
                scene.info.notes.extend(nodata.found.iter().cloned());
                scene.nodata = nodata;
            }
        }
        let sampled = Sampled::of(&scene.info, |bands, window| Ok(scene.valid(bands, window)))?;
        infer_radiometry(&mut scene.info, &sampled, options);
        Ok(scene)
    }

    /// Stored numbers, NaN where there is no data.
    fn valid(&self, bands: &[usize], window: Window) -> Array3<f64> {
        let mut stored = self.window(bands, window).mapv(f64::from);
        (self.nodata).blank(&self.info.bands, bands, &mut stored);
        stored
    }

    fn window(&self, bands: &[usize], window: Window) -> Array3<f32> {
        let rows = window.row..window.row + window.rows;
        let cols = window.col..window.col + window.cols;
        let within = self.stored.slice(s![.., rows, cols]);
        within.select(Axis(0), bands)
    }
}

impl Scene for PictureScene {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        self.nodata
            .reflectance(&self.info.bands, bands, |bands, converter| {
                let mut out = self.window(bands, window);
                for (mut plane, band) in out.outer_iter_mut().zip(bands) {
                    plane.mapv_inplace(|stored| converter.convert(*band, f64::from(stored)));
                }
                Ok(out)
            })
    }

    fn no_data(&self) -> &[String] {
        &self.nodata.found
    }
}

/// How much of a picture is transparent, as a sentence.
fn transparency(picture: &Picture) -> Option<String> {
    let visible = picture.visible.as_ref()?;
    let gone = visible.iter().filter(|visible| !**visible).count();
    (gone > 0).then(|| {
        let share = 100.0 * gone as f64 / visible.len() as f64;
        format!("{gone} pixels ({share:.1} %) are transparent and so no data.")
    })
}

/// Takes away what the mask beside a picture says is no data.
fn mask(path: &Path, stored: &mut Array3<f32>, notes: &mut Vec<String>) -> Result<()> {
    let (count, rows, cols) = stored.dim();
    let Some(mask) = MaskFile::beside(path, count, [rows, cols])? else {
        return Ok(());
    };
    notes.push(mask.note());
    let window = Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    mask.each(&(0..count).collect::<Vec<_>>(), window, |band, valid| {
        let mut plane = stored.index_axis_mut(Axis(0), band);
        for (value, _) in plane.iter_mut().zip(valid).filter(|(_, valid)| !**valid) {
            *value = f32::NAN;
        }
    })
}
