//! Named bands.
//!
//! A band is known by its STAC common name (`red`, `nir`, `swir16`, …) and, for
//! Sentinel-2, also by the agency's own (`B04`, `B08`, `B11`). Names are compared
//! without regard to case, and both kinds may be mixed in a configuration.

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

/// What Landsat products call their near infrared: TM and ETM+ have it in band 4, OLI
/// in band 5; `SR_` in Level-2.
pub const LANDSAT_NIR: [&str; 4] = ["B4", "B5", "SR_B4", "SR_B5"];

/// The one spelling under which a band name is compared: the STAC common name
/// where the name is one of Sentinel-2's, else the name in lower case.
pub fn canonical(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    SENTINEL2
        .iter()
        .find(|(agency, common, _)| {
            agency.eq_ignore_ascii_case(&name)
                || *common == name
                // `B8`, `B2`: the zero is often left out.
                || agency.len() == 3 && agency.starts_with("B0") && name == format!("b{}", &agency[2..])
        })
        .map_or(name, |(_, common, _)| (*common).to_owned())
}

/// Positions in `have` of the bands `want`, in the order of `want`.
///
/// # Errors
/// The name of the first band that `have` lacks.
pub fn positions<'a>(want: &'a [String], have: &[String]) -> Result<Vec<usize>, &'a str> {
    let have: Vec<String> = have.iter().map(|name| canonical(name)).collect();
    want.iter()
        .map(|name| {
            let wanted = canonical(name);
            have.iter()
                .position(|name| *name == wanted)
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
