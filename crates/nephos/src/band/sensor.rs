//! Sensors whose band numbers differ, and how product names identify them.

use super::spelling::{Level2, Number, parts};
use super::{LANDSAT_ETM, LANDSAT_OLI, LANDSAT_TM, SENTINEL2};

/// A numbering of bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sensor {
    /// Sentinel-2's MSI; HLS S30 has its numbers.
    Msi,
    /// Landsat 8 and 9; HLS L30 has their numbers.
    Oli,
    /// Landsat 4 and 5.
    Tm,
    /// Landsat 7.
    Etm,
    /// Landsat 1 to 5; it has no blue band.
    Mss,
}

impl Sensor {
    /// STAC common name of a band by its number.
    pub fn band(self, number: &Number) -> Option<&'static str> {
        let of_landsat = |bands: &[(&str, &'static str)]| {
            let agency = match number.gain {
                Some(gain) => format!("B{}_VCID_{gain}", number.number),
                None => format!("B{}", number.number),
            };
            let common = (bands.iter())
                .find(|(name, _)| *name == agency)
                .map(|(_, common)| *common)
                // Level-2 products have one thermal band, whatever the gain.
                .or_else(|| (self == Self::Etm && agency == "B6").then_some("lwir"))?;
            let fits = match number.level2 {
                None => true,
                Some(Level2::Temperature) => super::is_thermal(common) && common != "lwir12",
                Some(Level2::Reflectance) => {
                    !super::is_thermal(common) && !["pan", "cirrus"].contains(&common)
                }
            };
            (fits && !number.has_letter).then_some(common)
        };
        match self {
            Self::Msi if number.level2.is_some() || number.gain.is_some() => None,
            Self::Msi => {
                let agency = match number.has_letter {
                    true => format!("B{}A", number.number),
                    false => format!("B{:02}", number.number),
                };
                let band = SENTINEL2.iter().find(|(name, ..)| *name == agency);
                band.map(|(_, common, _)| *common)
            }
            Self::Oli => of_landsat(&LANDSAT_OLI),
            Self::Tm => of_landsat(&LANDSAT_TM),
            Self::Etm => of_landsat(&LANDSAT_ETM),
            Self::Mss => None,
        }
    }

    /// In messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Msi => "Sentinel-2",
            Self::Oli => "Landsat 8 and 9",
            Self::Tm => "Landsat 4 and 5",
            Self::Etm => "Landsat 7",
            Self::Mss => "Landsat MSS",
        }
    }
}

/// The product that a text names, as far as it determines how bands are numbered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Product {
    /// The sensors it may be from; empty where no text says.
    pub sensors: Vec<Sensor>,
    /// Whether it is one of NASA's Harmonized Landsat Sentinel-2.
    pub is_hls: bool,
}

impl Product {
    /// The first of `texts` that names a product.
    pub fn first_in<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = texts.into_iter().map(Self::of_text);
        found
            .find(|product| !product.sensors.is_empty())
            .unwrap_or_default()
    }

    fn of_text(text: &str) -> Self {
        let parts: Vec<String> = parts(text).map(str::to_ascii_lowercase).collect();
        let has = |requested: &[&str]| parts.iter().any(|part| requested.contains(&part.as_str()));
        let is_hls = has(&["hls", "hls2"]);
        if has(&["hlsl30"]) || is_hls && has(&["l30"]) {
            return Self {
                sensors: vec![Sensor::Oli],
                is_hls: true,
            };
        }
        if has(&["hlss30"]) || is_hls && has(&["s30"]) {
            return Self {
                sensors: vec![Sensor::Msi],
                is_hls: true,
            };
        }
        let mut sensors = Vec::new();
        let mut add = |sensor: Sensor| {
            if !sensors.contains(&sensor) {
                sensors.push(sensor);
            }
        };
        for (position, part) in parts.iter().enumerate() {
            let next = parts.get(position + 1).map_or("", String::as_str);
            match (part.as_str(), of_part(part)) {
                (_, Some(sensor)) => add(sensor),
                ("sentinel", _) if ["2", "2a", "2b", "2c", "2d"].contains(&next) => {
                    add(Sensor::Msi);
                }
                ("landsat", _) => match of_satellite(next.trim_start_matches('0')) {
                    Some(sensor) => add(sensor),
                    None => [Sensor::Oli, Sensor::Tm].into_iter().for_each(&mut add),
                },
                _ => {}
            }
        }
        // ESA names images after their tile alone.
        if sensors.is_empty()
            && parts
                .iter()
                .any(|part| part.starts_with('t') && is_tile(part))
        {
            sensors.push(Sensor::Msi);
        }
        Self {
            sensors,
            is_hls: false,
        }
    }

    /// Whether it is from a Landsat satellite, and not one of HLS.
    pub fn is_landsat(&self) -> bool {
        !self.is_hls && !self.sensors.is_empty() && !self.sensors.contains(&Sensor::Msi)
    }

    /// Whether it can only be from Landsat's Multispectral Scanner.
    pub fn is_mss(&self) -> bool {
        self.sensors == [Sensor::Mss]
    }
}

/// By the number of a Landsat satellite.
fn of_satellite(number: &str) -> Option<Sensor> {
    match number {
        "8" | "9" => Some(Sensor::Oli),
        "7" => Some(Sensor::Etm),
        "4" | "5" => Some(Sensor::Tm),
        "1" | "2" | "3" => Some(Sensor::Mss),
        _ => None,
    }
}

/// The sensor that a part of a name, in lower case, names: `s2a`, `lc08`, `landsat8`.
pub(super) fn of_part(part: &str) -> Option<Sensor> {
    if ["s2", "s2a", "s2b", "s2c", "s2d", "msil1c", "msil2a"].contains(&part)
        || part.starts_with("sentinel2")
    {
        return Some(Sensor::Msi);
    }
    if let Some(number) = part.strip_prefix("landsat") {
        return of_satellite(number.trim_start_matches('0'));
    }
    let mut letters = part.chars();
    let (Some('l'), Some(instrument)) = (letters.next(), letters.next()) else {
        return None;
    };
    let rest = letters.as_str();
    // `l8`, as some call their files; l1 and l2 are levels.
    if rest.is_empty() && ('4'..='9').contains(&instrument) {
        return of_satellite(part.get(1..)?);
    }
    if !"cotem".contains(instrument) {
        return None;
    }
    // `LC08`, `LC8`, and before Collection 1 `LC80200392015118LGN01`.
    let is_scene = part.len() == 21
        && part[2..16].bytes().all(|byte| byte.is_ascii_digit())
        && part[16..19].bytes().all(|byte| byte.is_ascii_alphabetic());
    let number = match rest.len() {
        1 => rest,
        2 => rest.strip_prefix('0')?,
        _ if is_scene => rest.get(..1)?,
        _ => return None,
    };
    match (instrument, of_satellite(number)?) {
        ('m', _) => Some(Sensor::Mss),
        (_, Sensor::Mss) => None,
        (_, sensor) => Some(sensor),
    }
}

/// Whether a part of a name, in lower case, is a tile's, as in `t31tcj` or `31tcj`.
pub(super) fn is_tile(part: &str) -> bool {
    let tile = part.strip_prefix('t').unwrap_or(part).as_bytes();
    tile.len() == 5
        && tile[..2].iter().all(u8::is_ascii_digit)
        && tile[2..].iter().all(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_identified_by_their_names() {
        let of = |text: &str| Product::first_in([text]);
        for (text, sensor) in [
            ("T31TCJ_20200101T105441_B02_10m", Sensor::Msi),
            ("S2A_B8A", Sensor::Msi),
            ("sentinel-2 composite", Sensor::Msi),
            ("LC08_L2SP_190024_20200101_20200113_02_T1", Sensor::Oli),
            ("LC80200392015118LGN01_B4", Sensor::Oli),
            ("my_LT05_stack", Sensor::Tm),
            ("LE07_L1TP_190024_20200101_20200113_02_T1", Sensor::Etm),
            ("l8_B4", Sensor::Oli),
            ("LANDSAT_9", Sensor::Oli),
            ("landsat5_sr", Sensor::Tm),
            ("LM05_L1TP_001001_19850524_20210918_02_T2_B1", Sensor::Mss),
            ("LANDSAT_3", Sensor::Mss),
        ] {
            assert_eq!(of(text).sensors, [sensor], "{text}");
            assert!(!of(text).is_hls);
        }
        assert_eq!(of("landsat").sensors, [Sensor::Oli, Sensor::Tm]);
        for text in [
            "scene", "L2A", "l1c", "lc_map", "LC12", "é", "lé08", "flt05", "31",
        ] {
            assert_eq!(of(text).sensors, [], "{text}");
        }
        let hls = of("HLS.L30.T29UNU.2022278T115411.v2.0.B05");
        assert!(hls.is_hls && hls.sensors == [Sensor::Oli]);
        let hls = of("HLS.S30.T29UNU.2022278T115411.v2.0.B8A");
        assert!(hls.is_hls && hls.sensors == [Sensor::Msi]);
    }
}
