//! A plain TIFF of several bands, with their names and their scale.

use std::path::Path;

use crate::error::{Error, Result};
use crate::output::write_atomic;

/// What is stored: one number format for all bands.
pub enum Stored<'a> {
    /// 8 bits.
    U8(&'a [u8]),
    /// 16 bits.
    U16(&'a [u16]),
}

/// A raster whose bands lie one after the other, uncompressed.
pub struct Image<'a> {
    /// Band by band, row by row.
    pub pixels: Stored<'a>,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Names of the bands.
    pub bands: &'a [String],
    /// Of each band: reflectance = stored × gain + bias.
    pub scale: &'a [[f64; 2]],
}

/// Writes the image with band descriptions, scale and no data 0, as GDAL does.
///
/// # Errors
/// More than 4 GB, or the file can't be written.
pub fn write(path: &Path, image: &Image<'_>) -> Result<()> {
    let (bits, bytes): (u16, Vec<u8>) = match image.pixels {
        Stored::U8(values) => (8, values.to_vec()),
        Stored::U16(values) => (16, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
    };
    let count = image.bands.len();
    let plane = bytes.len() / count.max(1);
    if bytes.len() > (u32::MAX / 2) as usize {
        return Err(Error::limits(
            path.display(),
            "the image is larger than 2 GB",
        ));
    }
    let metadata = metadata(image);
    // Pixels, then what does not fit into the directory, then the directory.
    let mut extra = Vec::new();
    let start = 8 + bytes.len() as u32;
    let mut entries: Vec<(u16, u16, u32, u32)> = Vec::new();
    let mut put = |tag: u16, kind: u16, values: &[u32]| {
        let width = if kind == 3 { 2 } else { 4 };
        let data: Vec<u8> = values
            .iter()
            .flat_map(|v| v.to_le_bytes()[..width].to_vec())
            .collect();
        let value = if data.len() <= 4 {
            let mut inline = [0; 4];
            inline[..data.len()].copy_from_slice(&data);
            u32::from_le_bytes(inline)
        } else {
            let at = start + extra.len() as u32;
            extra.extend(data);
            at
        };
        entries.push((tag, kind, values.len() as u32, value));
    };
    let [rows, cols] = image.shape.map(|n| n as u32);
    put(256, 4, &[cols]);
    put(257, 4, &[rows]);
    put(258, 3, &vec![u32::from(bits); count]);
    put(259, 3, &[1]);
    put(262, 3, &[1]);
    let offsets: Vec<u32> = (0..count).map(|k| (8 + k * plane) as u32).collect();
    put(273, 4, &offsets);
    put(277, 3, &[count as u32]);
    put(278, 4, &[rows]);
    put(279, 4, &vec![plane as u32; count]);
    put(284, 3, &[2]);
    if count > 1 {
        put(338, 3, &vec![0; count - 1]);
    }
    put(339, 3, &vec![1; count]);
    let at = start + extra.len() as u32;
    extra.extend(metadata.as_bytes());
    extra.push(0);
    entries.push((42112, 2, metadata.len() as u32 + 1, at));
    entries.push((42113, 2, 2, u32::from_le_bytes(*b"0\0\0\0")));
    if extra.len() % 2 == 1 {
        extra.push(0);
    }
    let directory = start + extra.len() as u32;
    write_atomic(path, |out| {
        use std::io::Write as _;
        let mut all = b"II*\0".to_vec();
        all.extend(directory.to_le_bytes());
        let mut tail = (entries.len() as u16).to_le_bytes().to_vec();
        for (tag, kind, count, value) in &entries {
            tail.extend(tag.to_le_bytes());
            tail.extend(kind.to_le_bytes());
            tail.extend(count.to_le_bytes());
            tail.extend(value.to_le_bytes());
        }
        tail.extend([0; 4]);
        for part in [&all, &bytes, &extra, &tail] {
            out.write_all(part).map_err(|e| Error::io(path, e))?;
        }
        Ok(())
    })
}

fn metadata(image: &Image<'_>) -> String {
    let mut text = format!(
        "<GDALMetadata>\n  <Item name=\"NEPHOS_VERSION\">{}</Item>\n",
        env!("CARGO_PKG_VERSION")
    );
    for (k, (name, [gain, bias])) in image.bands.iter().zip(image.scale).enumerate() {
        for (key, role, value) in [
            ("OFFSET", "offset", bias.to_string()),
            ("SCALE", "scale", gain.to_string()),
            ("DESCRIPTION", "description", escaped(name)),
        ] {
            text +=
                &format!("  <Item name=\"{key}\" sample=\"{k}\" role=\"{role}\">{value}</Item>\n");
        }
    }
    text + "</GDALMetadata>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
