//! Which bands a set of names means.
//!
//! A number is another band on another sensor: `B5` is near infrared on Landsat 8, red
//! edge on Sentinel-2, shortwave infrared on Landsat 5. Where no product is named, the
//! sensors remain whose bands have all the numbers there are, and a number is a band
//! where they agree.

use super::sensor::{Product, Sensor};
use super::spelling::{Before, Number, Spelling};

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A band, as its STAC common name.
    Band(&'static str),
    /// A mask, an angle or another layer that is no band.
    Layer,
    /// A number that is one band or another.
    Ambiguous,
    /// Nothing that is known.
    Unknown,
}

/// What the names of a file's or folder's bands mean.
#[derive(Debug, Clone)]
pub(crate) struct Identified {
    /// One entry for each name: what it means, and the part of it that spells a band.
    pub names: Vec<(Meaning, String)>,
    /// What had to be assumed, a sentence each.
    pub notes: Vec<String>,
}

/// Identifies bands by `names`, which may have `before` them what names of products and
/// files have; `product` is what else is known of the product.
pub(crate) fn identify(names: &[String], before: Before, product: &Product) -> Identified {
    let spelled: Vec<Option<(Spelling, String)>> = (names.iter())
        .map(|name| Spelling::of(name, before))
        .collect();
    let numbers: Vec<Number> = (spelled.iter().flatten())
        .filter_map(|(spelling, _)| match spelling {
            Spelling::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    let sensors = sensors(names, &numbers, product);
    // Numbered from 1 without 2 or from 2 without 1, these are others (DEA, WorldView-3).
    let has_third = names.iter().any(|name| {
        let name: String = super::spelling::parts(name).collect();
        name.to_ascii_lowercase().ends_with("swir3")
    });
    let mut ambiguous = Vec::new();
    let meaning = |name: &String, spelled: Option<(Spelling, String)>| match spelled {
        None => (Meaning::Unknown, name.trim().to_owned()),
        Some((Spelling::Layer, text)) => (Meaning::Layer, text),
        Some((Spelling::Common(common), text)) => {
            let numbered = common.starts_with("swir") && text.ends_with(['1', '2']);
            match has_third && numbered && !text.ends_with("22") {
                true => (Meaning::Ambiguous, text),
                false => (Meaning::Band(common), text),
            }
        }
        Some((Spelling::Number(number), text)) => {
            let mut bands = sensors.iter().map(|sensor| sensor.band(&number));
            let first = bands.next().flatten();
            match first {
                None if sensors.len() < 2 => (Meaning::Unknown, text),
                Some(common) if bands.all(|band| band == first) => (Meaning::Band(common), text),
                _ => (Meaning::Ambiguous, text),
            }
        }
    };
    let found: Vec<(Meaning, String)> = (names.iter().zip(spelled))
        .map(|(name, spelled)| meaning(name, spelled))
        .collect();
    for (meaning, text) in &found {
        if *meaning == Meaning::Ambiguous {
            ambiguous.push(text.clone());
        }
    }
    let mut notes = Vec::new();
    let list = || {
        let names: Vec<&str> = sensors.iter().map(|sensor| sensor.name()).collect();
        names.join(", ")
    };
    if !ambiguous.is_empty() {
        let which = match sensors.len() {
            0 | 1 => String::new(),
            _ => format!(" ({})", list()),
        };
        notes.push(format!(
            "{}: different bands on different sensors{which}, and neither the file's name nor \
             its tags name the product. They are not used; `options.bands` names them.",
            ambiguous.join(", ")
        ));
    } else if product.sensors.is_empty()
        && sensors.len() > 1
        && numbers.iter().any(|number| !number.is_padded)
    {
        let plain: Vec<&str> = (found.iter().zip(names))
            .filter(|((_, text), _)| text.starts_with(['B', 'b']))
            .map(|((_, text), _)| text.as_str())
            .collect();
        notes.push(format!(
            "{}: no product is named; these numbers are the same bands on {}, and read so. \
             `options.bands` names them where they are another sensor's.",
            plain.join(", "),
            list()
        ));
    }
    Identified {
        names: found,
        notes,
    }
}

/// The sensors that may have numbered the bands.
fn sensors(names: &[String], numbers: &[Number], product: &Product) -> Vec<Sensor> {
    let has_all = |sensor: &Sensor| numbers.iter().all(|number| sensor.band(number).is_some());
    let known = match product.sensors.is_empty() {
        false => product.clone(),
        true => Product::first_in(names.iter().map(String::as_str)),
    };
    // None of its numbers is a band that nephos reads.
    if known.is_mss() {
        return Vec::new();
    }
    let named: Vec<Sensor> = known.sensors.iter().copied().filter(has_all).collect();
    if !named.is_empty() {
        return named;
    }
    let has = |parts: &[&str]| {
        names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            parts.iter().any(|part| name.contains(part))
        })
    };
    let is_landsat = numbers
        .iter()
        .any(|n| n.level2.is_some() || n.gain.is_some())
        || has(&["qa_pixel", "bqa", "radsat", "pixel_qa", "qa_radsat"]);
    let is_msi = numbers.iter().any(|n| n.has_metres || n.has_letter)
        || has(&["qa60", "scl", "msk_", "tci_"]);
    let is_padded = numbers.iter().any(|number| number.is_padded);
    let number = |requested: u8| numbers.iter().any(|number| number.number == requested);
    let candidates: &[Sensor] = match (is_landsat, is_msi) {
        (true, false) => &[Sensor::Oli, Sensor::Tm, Sensor::Etm],
        (false, true) => &[Sensor::Msi],
        // Landsat's own numbers have no zero, HLS's have; the panchromatic band is on a
        // grid of its own, so that it is not among others.
        _ if is_padded || number(8) => match number(8) {
            true => &[Sensor::Msi],
            false => &[Sensor::Msi, Sensor::Oli],
        },
        // Without band 1, blue, stacks are not of Landsat 4 to 7.
        _ if number(1) => &[Sensor::Msi, Sensor::Oli, Sensor::Tm],
        _ => &[Sensor::Msi, Sensor::Oli],
    };
    candidates.iter().copied().filter(has_all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &str, product: &str) -> String {
        let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
        let product = Product::first_in([product]);
        let found = identify(&names, Before::Product, &product);
        let words: Vec<&str> = (found.names.iter())
            .map(|(meaning, _)| match meaning {
                Meaning::Band(common) => common,
                Meaning::Layer => "layer",
                Meaning::Ambiguous => "?",
                Meaning::Unknown => "-",
            })
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_product_decides_what_band_numbers_mean() {
        let hls = "HLS.L30.T29UNU.2022278T115411.v2.0";
        assert_eq!(
            of("B01 B02 B03 B04 B05 B06 B07 B09 B10 B11 Fmask SZA", hls),
            "coastal blue green red nir08 swir16 swir22 cirrus lwir11 lwir12 layer layer"
        );
        let hls = "HLS.S30.T29UNU.2022278T115411.v2.0";
        assert_eq!(
            of("B02 B08 B8A B10 B11", hls),
            "blue nir nir08 cirrus swir16"
        );
        assert_eq!(of("SR_B4 SR_B5 ST_B10", "LC08_L2SP_x"), "red nir08 lwir11");
        assert_eq!(of("SR_B4 SR_B5 ST_B6", "LT05_L2SP_x"), "nir08 swir16 lwir");
        assert_eq!(of("SR_B3 SR_B7 ST_B6", "LE07_L2SP_x"), "red swir22 lwir");
        assert_eq!(
            of("B1 B2 B3 B4 B5 B6 B7", "landsat5"),
            "blue green red nir08 swir16 lwir swir22"
        );
        assert_eq!(of("B4 B5", "x_LC09"), "red nir08");
        assert_eq!(of("B04 B05", "T31TCJ"), "red rededge071");
        // In the names themselves, as Earth Engine writes them.
        assert_eq!(of("LC08_190024_20200101_SR_B5 0_SR_B6", ""), "nir08 swir16");
        assert_eq!(
            of("20200101T105441_20200101T105438_T31TCJ_B5", ""),
            "rededge071"
        );
    }

    #[test]
    fn without_a_product_the_set_of_numbers_decides_or_is_ambiguous() {
        for (names, expected) in [
            ("B2 B3 B4 B8", "blue green red nir"),
            (
                "B2 B3 B4 B5 B8A B12",
                "blue green red rededge071 nir08 swir22",
            ),
            ("B02 B03 B04", "blue green red"),
            ("B02 B05", "blue ?"),
            ("B02_10m B05_20m", "blue rededge071"),
            ("B4 B3 B2", "red green blue"),
            ("B2 B3 B4 B5 B6 B7", "blue green red ? ? ?"),
            ("B1 B2 B3 B4", "? ? ? ?"),
            ("B4 QA60", "red layer"),
            ("SR_B2 SR_B3 SR_B4", "? ? ?"),
            (
                "SR_B2 SR_B3 SR_B4 SR_B5 SR_B6 SR_B7",
                "blue green red nir08 swir16 swir22",
            ),
            ("SR_B1 SR_B3 ST_B6", "blue red lwir"),
            ("SR_B4 ST_B10", "red lwir11"),
            ("NIR1 SWIR1 SWIR2", "nir swir16 swir22"),
            ("swir_2 swir_3", "? -"),
            (
                "coastal_blue blue green_i green yellow red rededge nir",
                "coastal blue green05 green yellow red rededge071 nir",
            ),
            ("nir08 swir16 mask angle", "nir08 swir16 layer layer"),
            ("B14 elevation", "- -"),
        ] {
            assert_eq!(of(names, ""), expected, "{names}");
        }
        let names = ["B2", "B3", "B4"].map(String::from);
        let notes = identify(&names, Before::Product, &Product::default()).notes;
        assert!(notes[0].contains("`options.bands`"), "{notes:?}");
    }
}
