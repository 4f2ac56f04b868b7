//! Named bands.
//!
//! A band is named by its STAC common name (`red`, `nir`, `swir16`, …) and, for
//! Sentinel-2, also by the agency's own (`B04`, `B08`, `B11`). Names are compared
//! without regard to case and separators, and both kinds may be mixed in a
//! configuration. What the names in a file mean is found for all of them together
//! (`identify`): a number is another band on another sensor.

mod given;
mod identify;
mod sensor;
mod spelling;

pub(crate) use given::SKIP;
pub use given::check_given;
pub(crate) use given::given;
pub(crate) use identify::{Meaning, identify};
pub(crate) use sensor::Product;
pub(crate) use spelling::Before;

use self::sensor::Sensor;
use self::spelling::Spelling;

/// The 13 bands of Sentinel-2 in file order: agency name, STAC common name,
/// centre wavelength in micrometres (ESA, Sentinel-2 MSI user guide).
pub const SENTINEL2: [(&str, &str, f32); 13] = [
    ("B01", "coastal", 0.443),
    ("B02", "blue", 0.490),
    ("B03", "green", 0.560),
    ("B04", "red", 0.665),
    ("B05", "rededge071", 0.705),
    ("B06", "rededge075", 0.740),
    ("B07", "rededge078", 0.783),
    ("B08", "nir", 0.842),
    ("B8A", "nir08", 0.865),
    ("B09", "nir09", 0.945),
    ("B10", "cirrus", 1.375),
    ("B11", "swir16", 1.610),
    ("B12", "swir22", 2.190),
];

/// Bands of Landsat 4 and 5 (TM): agency name, STAC common name (USGS, Landsat 4-7
/// Collection 2 data format control book).
pub const LANDSAT_TM: [(&str, &str); 7] = [
    ("B1", "blue"),
    ("B2", "green"),
    ("B3", "red"),
    ("B4", "nir08"),
    ("B5", "swir16"),
    ("B6", "lwir"),
    ("B7", "swir22"),
];

/// Bands of Landsat 7 (ETM+), as [`LANDSAT_TM`]; the thermal band comes in two gains.
pub const LANDSAT_ETM: [(&str, &str); 9] = [
    ("B1", "blue"),
    ("B2", "green"),
    ("B3", "red"),
    ("B4", "nir08"),
    ("B5", "swir16"),
    ("B6_VCID_1", "lwir"),
    ("B6_VCID_2", "lwir"),
    ("B7", "swir22"),
    ("B8", "pan"),
];

/// Bands of Landsat 8 and 9 (OLI and TIRS), as [`LANDSAT_TM`] (USGS, Landsat 8-9
/// Collection 2 data format control book).
pub const LANDSAT_OLI: [(&str, &str); 11] = [
    ("B1", "coastal"),
    ("B2", "blue"),
    ("B3", "green"),
    ("B4", "red"),
    ("B5", "nir08"),
    ("B6", "swir16"),
    ("B7", "swir22"),
    ("B8", "pan"),
    ("B9", "cirrus"),
    ("B10", "lwir11"),
    ("B11", "lwir12"),
];

/// STAC common name of a band of Landsat `spacecraft` (4 to 9) by its agency name:
/// `B4`, or `SR_B4` and `ST_B10` in Level-2 products. `None` for anything else, as
/// for quality bands.
///
/// The same number is another band on other sensors: without a product `B4` is Sentinel-2's,
/// so these names are found here alone.
pub fn landsat(spacecraft: u8, agency: &str) -> Option<&'static str> {
    let bands: &[(&str, &'static str)] = match spacecraft {
        4 | 5 => &LANDSAT_TM,
        7 => &LANDSAT_ETM,
        8 | 9 => &LANDSAT_OLI,
        _ => return None,
    };
    let agency = agency.trim().to_ascii_uppercase();
    let (level2, band) = match agency.split_once('_') {
        Some(("SR" | "ST", band)) => (true, band),
        _ => (false, agency.as_str()),
    };
    // Level-2 products have one thermal band, whatever the gain.
    let same = |name: &str| name == band || level2 && band == "B6" && name == "B6_VCID_1";
    (bands.iter())
        .find(|(name, _)| same(name))
        .map(|(_, common)| *common)
}

/// Whether a band measures emitted heat, so that it is given as brightness
/// temperature and not as reflectance.
pub(crate) fn is_thermal(name: &str) -> bool {
    matches!(canonical(name).as_str(), "lwir" | "lwir11" | "lwir12")
}

/// Centre wavelength of a reflective band in micrometres, Sentinel-2's where it has the
/// band; `None` for thermal and unknown bands.
pub(crate) fn wavelength(name: &str) -> Option<f32> {
    let name = canonical(name);
    let sentinel2 = SENTINEL2.iter().find(|(_, common, _)| *common == name);
    sentinel2
        .map(|(_, _, wavelength)| *wavelength)
        .or(match name.as_str() {
            // Planet SuperDove.
            "green05" => Some(0.531),
            "yellow" => Some(0.610),
            "pan" => Some(0.590),
            _ => None,
        })
}

/// Whether a name is a STAC common name, another name for one, or one of Sentinel-2's.
pub fn is_known(name: &str) -> bool {
    let name = canonical(name);
    given::common_names().any(|common| common == name)
}

/// The band that replaces another which a sensor lacks: Sentinel-2 has a
/// wide (`nir`) and a narrow (`nir08`) near infrared, Landsat has one, which is
/// called by either name.
pub fn substitute(name: &str) -> Option<&'static str> {
    match canonical(name).as_str() {
        "nir" => Some("nir08"),
        "nir08" => Some("nir"),
        _ => None,
    }
}

/// The one spelling under which a band name is compared: the STAC common name
/// where the name is another for it (`SWIR1`, `nir_08`) or one of Sentinel-2's, else the
/// name in lower case.
pub(crate) fn canonical(name: &str) -> String {
    let common = match Spelling::of(name, Before::Nothing) {
        Some((Spelling::Common(common), _)) => Some(common),
        Some((Spelling::Number(number), _)) => Sensor::Msi.band(&number),
        _ => None,
    };
    common.map_or_else(|| name.trim().to_ascii_lowercase(), str::to_owned)
}

/// STAC common names of bands by what a file or a data set calls them all (`B04`, `nir08`,
/// `SR_B5`), `None` for each that is no band or not known; and what had to be assumed, a sentence
/// each. `product` names the product or the platform (`sentinel-2a`, `landsat-8`), or is empty:
/// the same number is another band on another sensor.
pub fn common_names(names: &[String], product: &str) -> (Vec<Option<&'static str>>, Vec<String>) {
    let found = identify(names, Before::Product, &Product::first_in([product]));
    let common = |(meaning, _): &(Meaning, String)| match meaning {
        Meaning::Band(common) => Some(*common),
        Meaning::Layer | Meaning::Ambiguous | Meaning::Unknown => None,
    };
    (found.names.iter().map(common).collect(), found.notes)
}

/// Positions in `have` of the bands `requested`, in the order of `requested`.
///
/// # Errors
/// The name of the first band that `have` lacks.
pub fn positions<'a>(requested: &'a [String], have: &[String]) -> Result<Vec<usize>, &'a str> {
    let have: Vec<String> = have.iter().map(|name| canonical(name)).collect();
    requested
        .iter()
        .map(|name| {
            let requested = canonical(name);
            have.iter()
                .position(|name| *name == requested)
                .ok_or(name.as_str())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agency_and_common_names_are_the_same_band() {
        for (agency, common, _) in SENTINEL2 {
            assert_eq!(canonical(agency), common);
            assert_eq!(canonical(common), common);
        }
        assert_eq!(canonical("b8"), "nir");
        assert_eq!(canonical("B8A"), "nir08");
        assert_eq!(canonical("LWIR11"), "lwir11");
        assert_eq!(canonical("Swir_1"), "swir16");
        assert_eq!(canonical("B02_10m"), "blue");
        assert_eq!(canonical("band 4"), "band 4");
        assert_eq!(canonical("SR_B4"), "sr_b4");
        assert_eq!(canonical("My Band"), "my band");
    }

    #[test]
    fn landsat_numbers_differ_by_sensor() {
        assert_eq!(landsat(5, "B4"), Some("nir08"));
        assert_eq!(landsat(8, "B4"), Some("red"));
        assert_eq!(landsat(9, "sr_b5"), Some("nir08"));
        assert_eq!(landsat(9, "ST_B10"), Some("lwir11"));
        assert_eq!(landsat(7, "B6_VCID_2"), Some("lwir"));
        assert_eq!(landsat(7, "ST_B6"), Some("lwir"));
        assert_eq!(landsat(8, "QA_PIXEL"), None);
        assert_eq!(landsat(3, "B4"), None);
        assert!(is_thermal("LWIR11") && !is_thermal("B10"));
        assert!(is_known("B8A") && is_known("pan") && !is_known("band 1"));
    }

    #[test]
    fn data_sets_name_bands_in_their_own_way() {
        let of = |names: &[&str], product: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = super::common_names(&names, product);
            (
                found
                    .0
                    .into_iter()
                    .map(Option::unwrap_or_default)
                    .collect::<Vec<_>>(),
                found.1.len(),
            )
        };
        assert_eq!(
            of(&["B04", "B8A", "SCL"], ""),
            (vec!["red", "nir08", ""], 0)
        );
        assert_eq!(
            of(&["red", "nir08", "qa_pixel"], ""),
            (vec!["red", "nir08", ""], 0)
        );
        assert_eq!(
            of(&["SR_B4", "SR_B5"], "landsat-8"),
            (vec!["red", "nir08"], 0)
        );
        assert_eq!(of(&["SR_B4", "SR_B5"], ""), (vec!["", ""], 1));
    }

    #[test]
    fn a_missing_band_is_named() {
        let have = ["B02", "B03", "B04"].map(String::from);
        let rgb = ["red", "green", "blue"].map(String::from);
        assert_eq!(positions(&rgb, &have), Ok(vec![2, 1, 0]));
        let nir = ["red", "nir"].map(String::from);
        assert_eq!(positions(&nir, &have), Err("nir"));
    }
}
