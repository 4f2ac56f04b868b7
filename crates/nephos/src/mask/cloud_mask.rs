//! Four classes collapsed to two: cloud and clear.

use std::path::Path;

use ndarray::{Array2, ArrayView2, Axis};

use super::cog::{CogSpec, CogWriter};
use super::reader::MaskReader;
use crate::class::{Class, IGNORE};
use crate::error::Result;
use crate::raster::Georeference;

/// The classes that count as cloud by default: thick and thin. Shadow
/// is visible ground.
pub const CLOUDY: [Class; 2] = [Class::Thick, Class::Thin];

/// A class mask as 1 where it has one of the classes `cloudy`, 0 where it has
/// another, 255 where there is no data.
pub fn collapse(mask: ArrayView2<'_, u8>, cloudy: &[Class]) -> Array2<u8> {
    mask.mapv(|code| match Class::from_code(code) {
        Some(class) => u8::from(cloudy.contains(&class)),
        None => IGNORE,
    })
}

impl CogSpec {
    /// A cloud mask: 0 clear (black), 1 cloud (white), 255 no data.
    pub fn cloud_mask(width: usize, height: usize, georeference: Georeference) -> Self {
        let mut palette = Box::new([[0; 3]; 256]);
        palette[1] = [255; 3];
        let names = ["clear", "cloud"];
        let tag = |(code, name): (usize, &str)| (format!("CLASS_{code}"), name.to_owned());
        Self {
            palette: Some(palette),
            band_names: vec!["cloud".to_owned()],
            tags: names.into_iter().enumerate().map(tag).collect(),
            ..Self::mask(width, height, georeference)
        }
    }
}

/// Writes the cloud mask of the class mask in the GeoTIFF `mask`, with `tags` beside
/// its own; see [`collapse`].
///
/// # Errors
/// A broken mask, or the file can't be written.
pub fn write_cloud_mask(
    path: &Path,
    mask: &Path,
    cloudy: &[Class],
    tags: &[(String, String)],
) -> Result<()> {
    let reader = MaskReader::open(mask)?;
    let [height, width] = reader.size();
    let mut spec = CogSpec::cloud_mask(width, height, reader.georeference().clone());
    let names: Vec<&str> = cloudy.iter().map(|class| class.name()).collect();
    spec.tags.push(("CLOUD_IS".to_owned(), names.join(", ")));
    spec.tags.extend_from_slice(tags);
    let mut writer = CogWriter::create(path, spec)?;
    reader.strips(|rows| {
        let rows = collapse(rows.view(), cloudy);
        writer.write_rows(rows.view().insert_axis(Axis(0)))
    })?;
    writer.finish()
}
