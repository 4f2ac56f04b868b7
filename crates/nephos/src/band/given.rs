//! Names of bands that a user gives.

use super::sensor::{Product, Sensor};
use super::spelling::{Before, Spelling};
use super::{LANDSAT_OLI, SENTINEL2, canonical, is_known, wavelength};
use crate::error::{Error, Result};

/// In place of a name: the file has such a band, and the scene does not.
pub const SKIP: &str = "-";

/// STAC common names of the bands that are given names, `None` for those to skip.
/// Numbers are those of `product`, and Sentinel-2's where no product is known; `others`
/// are names that the model has beside those.
///
/// # Errors
/// A name that is none of a band, with the nearest that is; one that is there twice.
pub(crate) fn given(
    names: &[String],
    product: &Product,
    others: &[String],
) -> Result<Vec<Option<String>>> {
    let mut found: Vec<Option<String>> = Vec::with_capacity(names.len());
    for name in names {
        let name = name.trim();
        if name == SKIP {
            found.push(None);
            continue;
        }
        let common = by_number(name, product)?
            .map(str::to_owned)
            .or_else(|| is_known(name).then(|| canonical(name)))
            .or_else(|| others.contains(&name.to_owned()).then(|| name.to_owned()))
            .ok_or_else(|| unknown(name, others))?;
        let first = found
            .iter()
            .position(|other| other.as_ref() == Some(&common));
        if let Some(first) = first {
            return Err(Error::usage(format!(
                "`options.bands`: bands {} and {} are both `{common}` (`{}`, `{name}`); a scene has \
                 each band once, of one date. `{SKIP}` in place of a name skips a band",
                first + 1,
                found.len() + 1,
                names[first],
            )));
        }
        found.push(Some(common));
    }
    Ok(found)
}

/// Checks given names of bands without a product: `others` are names beside the known ones.
///
/// # Errors
/// A name that is no band, or one band twice.
pub fn check_given(names: &[String], others: &[String]) -> Result<()> {
    given(names, &Product::default(), others).map(|_| ())
}

/// The band of a number on the product's sensor.
fn by_number(name: &str, product: &Product) -> Result<Option<&'static str>> {
    let Some((Spelling::Number(number), _)) = Spelling::of(name, Before::Nothing) else {
        return Ok(None);
    };
    let sensors = match (product.sensors.as_slice(), number.level2) {
        ([], None) => vec![Sensor::Msi],
        ([], Some(_)) => vec![Sensor::Oli, Sensor::Tm],
        (sensors, _) => sensors.to_vec(),
    };
    let mut bands = sensors.iter().map(|sensor| sensor.band(&number));
    let first = bands.next().flatten();
    if bands.all(|band| band == first) {
        return Ok(first);
    }
    let bands: Vec<String> = (sensors.iter())
        .filter_map(|sensor| Some(format!("{} of {}", sensor.band(&number)?, sensor.name())))
        .collect();
    Err(Error::usage(format!(
        "`options.bands`: `{name}` is {}; give the name in place of the number",
        bands.join(", or ")
    )))
}

fn unknown(name: &str, others: &[String]) -> Error {
    let mut known: Vec<String> = common_names().map(str::to_owned).collect();
    known.extend(others.iter().filter(|name| !is_known(name)).cloned());
    let list: Vec<String> = (known.iter())
        .map(|name| match wavelength(name) {
            Some(wavelength) => format!("{name} ({wavelength} µm)"),
            None => name.clone(),
        })
        .collect();
    let nearest = nearest(name, known.iter().map(String::as_str))
        .map_or(String::new(), |name| format!(" Did you mean `{name}`?"));
    Error::usage(format!(
        "`options.bands`: `{name}` is not a band name.{nearest} Band names are {}, and B01 to B12 \
         of Sentinel-2; `{SKIP}` skips a band",
        list.join(", ")
    ))
}

/// STAC common names of bands, by wavelength.
pub(super) fn common_names() -> impl Iterator<Item = &'static str> {
    let sentinel2 = SENTINEL2.iter().map(|(_, common, _)| *common);
    let rest = ["green05", "yellow", "pan", "lwir", "lwir11", "lwir12"];
    debug_assert!(LANDSAT_OLI.iter().all(|(_, common)| {
        SENTINEL2.iter().any(|(_, other, _)| other == common) || rest.contains(common)
    }));
    sentinel2.chain(rest)
}

/// The name that is written most alike, where one is.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let most = (name.chars().count() / 2).clamp(1, 3);
    known
        .map(|other| (distance(&name, &other.to_ascii_lowercase()), other))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Letters to insert, delete, replace or swap with the next (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (row, left) in a.iter().enumerate() {
        let mut line = vec![row + 1];
        for (col, right) in b.iter().enumerate() {
            let replaced = rows[row][col] + usize::from(left != right);
            let mut least = replaced.min(rows[row][col + 1] + 1).min(line[col] + 1);
            if row > 0 && col > 0 && a[row - 1] == *right && b[col - 1] == *left {
                least = least.min(rows[row - 1][col - 1] + 1);
            }
            line.push(least);
        }
        rows.push(line);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &str, product: &str, others: &[&str]) -> Result<Vec<Option<String>>> {
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let others: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
        given(&names, &Product::first_in([product]), &others)
    }

    #[test]
    fn names_are_bands_or_refused() {
        let good = |names: &str, product: &str| -> String {
            let found = of(names, product, &[]).unwrap();
            let words: Vec<&str> = (found.iter())
                .map(|name| name.as_deref().unwrap_or(SKIP))
                .collect();
            words.join(" ")
        };
        assert_eq!(
            good("B02,Green,-,NIR_08,swir1", ""),
            "blue green - nir08 swir16"
        );
        assert_eq!(good("-,-,B5", ""), "- - rededge071");
        assert_eq!(good("B2,B5,B10", "LC08_x"), "blue nir08 lwir11");
        assert_eq!(good("SR_B5", "LT05_x"), "swir16");
        let refused = |names: &str| of(names, "", &[]).unwrap_err().to_string();
        for (names, part) in [
            ("rde,green", "`rde`"),
            ("rde,green", "mean `red`?"),
            ("nri", "mean `nir`?"),
            ("bleu", "mean `blue`?"),
            ("swir61", "mean `swir16`?"),
            ("zzzzzz", "nir (0.842 µm)"),
            ("red,green,Red", "bands 1 and 3 are both `red`"),
            ("B04,-,red", "bands 1 and 3 are both `red`"),
            (
                "SR_B4",
                "red of Landsat 8 and 9, or nir08 of Landsat 4 and 5",
            ),
            ("", "``"),
        ] {
            assert!(refused(names).contains(part), "{names}: {}", refused(names));
        }
        assert!(!refused("zzzzzz").contains("mean"));
        assert_eq!(
            of("ndvi", "", &["ndvi"]).unwrap(),
            [Some("ndvi".to_owned())]
        );
    }
}
