//! The 13 bands by number and name, and the names of image files.

use crate::band::SENTINEL2;

/// Number of bands.
pub const COUNT: usize = SENTINEL2.len();

/// Pixel sizes of Level-1C images in metres (ESA, Sentinel-2 MSI user guide), for
/// products that do not state them.
pub const RESOLUTIONS: [u32; COUNT] = [60, 10, 10, 10, 20, 20, 20, 10, 20, 60, 60, 20, 20];

/// Number of the band that the metadata call `B1`, `B8A` or, as files do, `B01`.
pub fn number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix('B')?;
    let agency = match digits.len() {
        1 => format!("B0{digits}"),
        _ => name.to_owned(),
    };
    SENTINEL2.iter().position(|(own, ..)| *own == agency)
}

/// Name of an image file without folders and `.jp2`.
pub fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    match name
        .len()
        .checked_sub(4)
        .and_then(|at| name.split_at_checked(at))
    {
        Some((stem, extension)) if extension.eq_ignore_ascii_case(".jp2") => stem,
        _ => name,
    }
}

/// Band and, where it is named, pixel size of an image file. The names end in
/// `_B04_10m` (Level-2A) or `_B04` (Level-1C), before 2016 and since; on AWS they are
/// `R10m/B04.jp2`.
pub fn of_file(file: &str) -> Option<(usize, Option<u32>)> {
    let mut parts = stem(file).rsplit('_');
    let last = parts.next()?;
    if let Some(band) = number(last) {
        return Some((band, of_folder(file)));
    }
    let resolution = last.strip_suffix('m')?.parse().ok()?;
    Some((number(parts.next()?)?, Some(resolution)))
}

/// The pixel size that an image's folder names, as in `R10m`.
fn of_folder(file: &str) -> Option<u32> {
    let folder = file.rsplit(['/', '\\']).nth(1)?;
    folder.strip_prefix('R')?.strip_suffix('m')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_of_every_age() {
        for (file, expected) in [
            (
                "GRANULE/L1C_X/IMG_DATA/T46RER_20210908T042701_B01",
                Some((0, None)),
            ),
            (
                "IMG_DATA/R10m/T33XWJ_20220413T150759_B08_10m.jp2",
                Some((7, Some(10))),
            ),
            (
                "L2A_T32TPT_20170702T102021_B8A_20m.JP2",
                Some((8, Some(20))),
            ),
            (
                "S2A_OPER_MSI_L1C_TL_EPA__20160605T174215_A000629_T31TCJ_B12.jp2",
                Some((12, None)),
            ),
            ("R20m/B8A.jp2", Some((8, Some(20)))),
            ("B02.jp2", Some((1, None))),
            ("qi/MSK_QUALIT_B02.jp2", Some((1, None))),
            ("T33XWJ_20220413T150759_TCI_10m", None),
            ("T33XWJ_20220413T150759_SCL_20m.jp2", None),
            ("T33XWJ_20220413T150759_B13.jp2", None),
            ("", None),
        ] {
            assert_eq!(of_file(file), expected, "{file}");
        }
        assert_eq!(number("B9"), Some(9));
    }
}
