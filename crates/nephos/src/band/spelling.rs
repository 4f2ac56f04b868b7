//! How bands are spelled in files: `B02_10m`, `SR_B4`, `swir_16`, `20200101_B2`.

/// What a name spells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// A band by its STAC common name, or another name for it.
    Common(&'static str),
    /// A number, which is another band on another sensor.
    Number(Number),
    /// A mask, an angle or another layer that describes the pixels.
    Layer,
}

/// A band's number, as in `B02`, `B8A`, `SR_B4` or `B6_VCID_1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    pub number: u8,
    /// `8A`.
    pub has_letter: bool,
    /// Two digits where one would do.
    pub is_padded: bool,
    pub level2: Option<Level2>,
    /// The gain of Landsat 7's thermal band, 1 or 2.
    pub gain: Option<u8>,
    /// Followed by one of Sentinel-2's pixel sizes, as in `B02_10m`.
    pub has_metres: bool,
}

/// Prefix of bands of Landsat's Level-2 products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level2 {
    /// `SR`.
    Reflectance,
    /// `ST`.
    Temperature,
}

/// What may precede a band in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Nothing,
    /// Dates, indices and names of products, as Earth Engine writes them.
    Product,
    /// Anything, as in the name of a file with one band.
    Anything,
}

/// Names of bands, without separators and in lower case, and their STAC common names.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("coastal", &["coastalaerosol", "coastalblue", "ultrablue"]),
    ("blue", &[]),
    ("green05", &["greeni"]),
    ("green", &["greenii"]),
    ("yellow", &[]),
    ("red", &[]),
    (
        "rededge071",
        &["rededge", "rededge1", "re1", "vegetationrededge1"],
    ),
    ("rededge075", &["rededge2", "re2", "vegetationrededge2"]),
    ("rededge078", &["rededge3", "re3", "vegetationrededge3"]),
    (
        "nir",
        &["nir1", "nearinfrared", "nearir", "widenir", "nirwide"],
    ),
    ("nir08", &["narrownir", "nirnarrow", "nir8a"]),
    ("nir09", &[]),
    ("cirrus", &[]),
    ("swir16", &["swir1", "shortwaveinfrared1", "swir1610"]),
    ("swir22", &["swir2", "shortwaveinfrared2", "swir2190"]),
    ("lwir", &["thermal", "thermalinfrared"]),
    ("lwir11", &["tirs1", "tir1", "thermal1", "thermalinfrared1"]),
    ("lwir12", &["tirs2", "tir2", "thermal2", "thermalinfrared2"]),
];

/// Words in the names of layers that are no bands.
const LAYERS: &[&str] = &[
    "qa",
    "bqa",
    "qa10",
    "qa20",
    "qa60",
    "mask",
    "msk",
    "fmask",
    "cfmask",
    "scl",
    "cld",
    "snw",
    "cldprb",
    "snwprb",
    "aot",
    "wvp",
    "tci",
    "pvi",
    "saa",
    "sza",
    "vaa",
    "vza",
    "sensor",
    "solar",
    "angle",
    "angles",
    "azimuth",
    "zenith",
    "quality",
    "qualit",
    "detfoo",
    "clm",
    "udm",
    "udm2",
    "radsat",
    "aerosol",
    "stddev",
    "visual",
    "thumbnail",
    "preview",
    "quicklook",
];

/// Words that may precede a band.
const PRODUCT_WORDS: &[&str] = &[
    "copernicus",
    "sentinel",
    "landsat",
    "harmonized",
    "hls",
    "msi",
    "oli",
    "sr",
    "toa",
    "boa",
    "surface",
    "reflectance",
    "psscene",
    "nasa",
    "usgs",
    "esa",
    "rt",
    "hlsl30",
    "hlss30",
];

/// Words that may follow a band.
const ENDINGS: &[&str] = &["sr", "toa", "boa", "refl", "reflectance", "median", "mean"];

impl Spelling {
    /// What `name` spells, and the part of it that does. Case and separators don't
    /// matter.
    pub fn of(name: &str, before: Before) -> Option<(Self, String)> {
        let parts: Vec<String> = parts(name).map(str::to_ascii_lowercase).collect();
        let count = parts.len();
        if let Some(found) = whole(&parts.concat(), false) {
            return Some((found, name.trim().to_owned()));
        }
        if parts.iter().any(|part| LAYERS.contains(&part.as_str())) {
            return Some((Self::Layer, name.trim().to_owned()));
        }
        let (end, has_metres) = without_ending(&parts);
        let original: Vec<&str> = self::parts(name).collect();
        (0..end).find_map(|first| {
            let found = whole(&parts[first..end].concat(), has_metres)?;
            let fits = match before {
                Before::Nothing => first == 0,
                Before::Product => parts[..first].iter().all(|part| is_of_product(part)),
                Before::Anything => true,
            };
            let text = match (first, end == count) {
                (0, true) => name.trim().to_owned(),
                _ => original[first..end].join("_"),
            };
            fits.then_some((found, text))
        })
    }
}

/// Runs of letters and digits.
pub(super) fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
}

/// Of a name in lower case without separators.
fn whole(name: &str, has_metres: bool) -> Option<Spelling> {
    let common = (SYNONYMS.iter())
        .find(|(common, others)| *common == name || others.contains(&name))
        .map(|(common, _)| *common)
        .or_else(|| ["pan", "panchromatic"].contains(&name).then_some("pan"));
    match common {
        Some(common) => Some(Spelling::Common(common)),
        None => number(name, has_metres).map(Spelling::Number),
    }
}

fn number(name: &str, has_metres: bool) -> Option<Number> {
    let (level2, rest) = match name.split_at_checked(2) {
        Some(("sr", rest)) => (Some(Level2::Reflectance), rest),
        Some(("st", rest)) => (Some(Level2::Temperature), rest),
        _ => (None, name),
    };
    // Before Collection 2 as in `sr_band4`.
    let rest = match (level2, rest.strip_prefix("band")) {
        (Some(_), Some(rest)) => rest,
        _ => rest.strip_prefix('b')?,
    };
    let (rest, gain) = match rest.split_once("vcid") {
        Some((rest, "1")) => (rest, Some(1)),
        Some((rest, "2")) => (rest, Some(2)),
        Some(_) => return None,
        None => (rest, None),
    };
    let (digits, has_letter) = match rest.strip_suffix('a') {
        Some(digits) => (digits, true),
        None => (rest, false),
    };
    let is_number = (1..=2).contains(&digits.len()) && digits.bytes().all(|d| d.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    Some(Number {
        number,
        has_letter,
        is_padded: digits.starts_with('0'),
        level2,
        gain,
        has_metres,
    })
}

/// Number of parts before what may follow a band: a pixel size, a date, a wavelength,
/// one of [`ENDINGS`]; and whether the pixel size is one of Sentinel-2's.
fn without_ending(parts: &[String]) -> (usize, bool) {
    let mut end = parts.len();
    let mut has_metres = false;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    while end > 1 {
        let last = parts[end - 1].as_str();
        let measure = |unit: &str| last.strip_suffix(unit).is_some_and(digits);
        if measure("m") {
            has_metres |= ["10m", "20m", "60m"].contains(&last);
        } else if measure("nm") || ENDINGS.contains(&last) || is_stamp(last) && last.len() >= 4 {
        } else if last == "nm" && end > 2 && digits(&parts[end - 2]) {
            end -= 1;
        } else if let [.., year, month, day] = &parts[..end]
            && end > 3
            && [year.len(), month.len(), day.len()] == [4, 2, 2]
            && [year, month, day].iter().all(|part| digits(part))
        {
            end -= 2;
        } else {
            break;
        }
        end -= 1;
    }
    (end, has_metres)
}

/// A date, a time or an index: digits, and in between the letters of ISO 8601.
fn is_stamp(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_digit())
        && part.chars().all(|c| c.is_ascii_digit() || "tz".contains(c))
}

/// Whether a part of a name is one of a product's name rather than of another layer.
fn is_of_product(part: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let numbered = |letters: &str| {
        (part.strip_prefix(letters)).is_some_and(|rest| !rest.is_empty() && digits(rest))
    };
    is_stamp(part)
        || PRODUCT_WORDS.contains(&part)
        || super::sensor::of_part(part).is_some()
        || super::sensor::is_tile(part)
        || [
            "l1c", "l2a", "l1tp", "l1gt", "l1gs", "l2sp", "l2sr", "l30", "s30",
        ]
        .contains(&part)
        || ["t", "r", "n", "v", "a"]
            .iter()
            .any(|letter| numbered(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(name: &str, before: Before) -> String {
        match Spelling::of(name, before) {
            None => "-".to_owned(),
            Some((Spelling::Layer, _)) => "layer".to_owned(),
            Some((Spelling::Common(common), text)) => format!("{common} {text}"),
            Some((Spelling::Number(number), text)) => {
                let letter = if number.has_letter { "A" } else { "" };
                format!("{}{letter} {text}", number.number)
            }
        }
    }

    #[test]
    fn prefixes_and_suffixes_of_band_names() {
        let description = |name: &str| spelled(name, Before::Product);
        for (name, expected) in [
            ("B02_10m", "2 B02"),
            ("b8a", "8A b8a"),
            ("SR_B4", "4 SR_B4"),
            ("B6_VCID_1", "6 B6_VCID_1"),
            ("0_B2", "2 B2"),
            ("20200101_B2", "2 B2"),
            ("20200101T105441_20200101T105438_T31TCJ_B8A", "8A B8A"),
            ("LC08_190024_20200101_SR_B5", "5 SR_B5"),
            ("1_LE07_190024_20200101_B4", "4 B4"),
            ("S2A_MSIL2A_20200101T105441_N0213_R051_T31TCJ_B04", "4 B04"),
            ("nir_08", "nir08 nir_08"),
            ("swir_16", "swir16 swir_16"),
            ("Red Edge 1", "rededge071 Red Edge 1"),
            ("green_i", "green05 green_i"),
            ("coastal_blue", "coastal coastal_blue"),
            ("red_2020-01-31", "red red"),
            ("blue (490 nm)", "blue blue"),
            ("SWIR2", "swir22 SWIR2"),
            ("QA_PIXEL", "layer"),
            ("SR_QA_AEROSOL", "layer"),
            ("red_mask", "layer"),
            ("MSK_QUALIT_B02", "layer"),
            ("B2_stdDev", "layer"),
            ("cloud_red", "-"),
            ("diff_B4", "-"),
            ("Band 4", "-"),
            ("band 4", "-"),
            ("NDVI", "-"),
            ("B", "-"),
            ("", "-"),
            ("é_red", "-"),
        ] {
            assert_eq!(description(name), expected, "{name}");
        }
        let file = |name: &str| spelled(name, Before::Anything);
        assert_eq!(file("HLS.L30.T29UNU.2022278T115411.v2.0.B05"), "5 B05");
        assert_eq!(file("paris_red"), "red red");
        assert_eq!(file("LC08_L2SP_020039_20150118_02_T1_SR_B2"), "2 SR_B2");
        assert_eq!(file("HLS.L30.T29UNU.2022278T115411.v2.0.Fmask"), "layer");
        assert_eq!(spelled("x_red", Before::Nothing), "-");
    }
}
