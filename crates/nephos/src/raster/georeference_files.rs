//! Georeference from files beside a raster: GDAL's `.aux.xml`, a world file, a
//! `.prj`, a file of rational polynomial coefficients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::georeference::RPC_NUMBERS;
use super::{GeoKeys, Georeference, xml};

/// Largest of such files that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Coefficients by the names that GDAL gives them, in the order of RPCCoefficientTag;
/// those with 20 numbers last.
const RPC_KEYS: [&str; 16] = [
    "ERR_BIAS",
    "ERR_RAND",
    "LINE_OFF",
    "SAMP_OFF",
    "LAT_OFF",
    "LONG_OFF",
    "HEIGHT_OFF",
    "LINE_SCALE",
    "SAMP_SCALE",
    "LAT_SCALE",
    "LONG_SCALE",
    "HEIGHT_SCALE",
    "LINE_NUM_COEFF",
    "LINE_DEN_COEFF",
    "SAMP_NUM_COEFF",
    "SAMP_DEN_COEFF",
];

/// The same as `.RPB` files call them.
const RPB_KEYS: [&str; 16] = [
    "errBias",
    "errRand",
    "lineOffset",
    "sampOffset",
    "latOffset",
    "longOffset",
    "heightOffset",
    "lineScale",
    "sampScale",
    "latScale",
    "longScale",
    "heightScale",
    "lineNumCoef",
    "lineDenCoef",
    "sampNumCoef",
    "sampDenCoef",
];

/// Of these, how many have one number.
const SINGLE: usize = 12;

/// The georeference `own` of the raster at `path`, completed from files beside it: the
/// `.aux.xml` goes before the raster's own, as in GDAL, a world file, a `.prj` and a
/// file of coefficients fill what is lacking.
pub(crate) fn with_files(path: &Path, own: Georeference) -> Georeference {
    let mut place = own;
    if let Some(aux) = auxiliary(path) {
        place.keys = aux.keys.or(place.keys);
        if aux.transform.is_some() || !aux.points.is_empty() {
            place.transform = aux.transform;
            place.points = aux.points;
            // Tags of such a raster count from centres.
            if place.keys.as_ref().is_some_and(GeoKeys::is_point) {
                for point in &mut place.points {
                    point[0] -= 0.5;
                    point[1] -= 0.5;
                }
            }
        }
        if !aux.rpc.is_empty() {
            place.rpc = aux.rpc;
        }
    }
    if place.transform.is_none() && place.points.is_empty() {
        place.transform = world_file(path);
    }
    if place.keys.is_none() && (place.transform.is_some() || !place.points.is_empty()) {
        let file = either_case(path, "prj");
        place.keys = file.and_then(|text| keys(&text));
    }
    if place.rpc.is_empty() {
        place.rpc = rpc_file(path).unwrap_or_default();
    }
    place
}

/// A transform that can be inverted.
pub(crate) fn usable(transform: [f64; 6]) -> Option<[f64; 6]> {
    let [_, a, b, _, c, d] = transform;
    let area = a * d - b * c;
    (transform.iter().all(|v| v.is_finite()) && area != 0.0).then_some(transform)
}

/// From the centre of the first pixel to its corner.
pub(crate) fn to_corner(t: [f64; 6]) -> [f64; 6] {
    let (x, y) = (0.5 * (t[1] + t[2]), 0.5 * (t[4] + t[5]));
    [t[0] - x, t[1], t[2], t[3] - y, t[4], t[5]]
}

/// A file's text, where it is there, is text and is not too large.
fn text(path: &Path) -> Option<String> {
    let small = std::fs::metadata(path).ok()?;
    if !small.is_file() || small.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text beside `path` with another extension, in small or in capital letters.
fn either_case(path: &Path, extension: &str) -> Option<String> {
    [extension.to_owned(), extension.to_uppercase()]
        .iter()
        .find_map(|extension| text(&path.with_extension(extension)))
}

/// The six lines of a world file: the transform of pixel centres. Its extension is the
/// first and last letter of the raster's with a `w`, or the whole with one, or `wld`.
fn world_file(path: &Path) -> Option<[f64; 6]> {
    let own = path.extension()?.to_string_lossy().to_lowercase();
    let short: String = (own.chars().take(1))
        .chain(own.chars().last())
        .chain(['w'])
        .collect();
    let text = [short, format!("{own}w"), "wld".to_owned()]
        .iter()
        .find_map(|extension| either_case(path, extension))?;
    let lines: Vec<f64> = text
        .split_whitespace()
        .map(|line| line.parse().ok())
        .collect::<Option<_>>()?;
    let [a, d, b, e, c, f] = lines[..] else {
        return None;
    };
    usable([c, a, b, f, d, e]).map(to_corner)
}

/// What GDAL has written beside the raster (Persistent Auxiliary Metadata).
fn auxiliary(path: &Path) -> Option<Georeference> {
    let mut name = path.as_os_str().to_owned();
    name.push(".aux.xml");
    let file = PathBuf::from(name);
    let text = text(&file)?;
    let document = xml::parse(&file, text.as_bytes()).ok()?;
    let root = document.root_element();
    let numbers = |text: &str| -> Option<Vec<f64>> {
        (text.split([',', ' ', '\n', '\t']))
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect()
    };
    let transform = numbers(xml::text_of(root, "GeoTransform"))
        .and_then(|numbers| numbers.try_into().ok())
        .and_then(usable);
    let list = xml::find(root, "GCPList");
    let points = (list.into_iter())
        .flat_map(|list| xml::all(list, "GCP"))
        .map(|point| {
            let number = |name: &str| point.attribute(name)?.parse::<f64>().ok();
            let z = number("Z").unwrap_or(0.0);
            let all = [
                number("Pixel")?,
                number("Line")?,
                0.0,
                number("X")?,
                number("Y")?,
                z,
            ];
            all.iter().all(|v| v.is_finite()).then_some(all)
        })
        .collect::<Option<Vec<_>>>()
        .unwrap_or_default();
    let system = match (&transform, list) {
        (None, Some(list)) if !points.is_empty() => list.attribute("Projection"),
        _ => None,
    };
    let keys = keys(system.unwrap_or(xml::text_of(root, "SRS")));
    let coefficients: BTreeMap<String, Vec<f64>> = xml::all(root, "Metadata")
        .filter(|domain| domain.attribute("domain") == Some("RPC"))
        .flat_map(|domain| xml::all(domain, "MDI"))
        .filter_map(|item| Some((item.attribute("key")?.to_owned(), numbers(xml::text(item))?)))
        .collect();
    Some(Georeference {
        points,
        transform,
        keys,
        rpc: rpc(&RPC_KEYS, &coefficients).unwrap_or_default(),
    })
}

/// A coordinate system as `EPSG:32633`, or as well-known text that states a code or
/// whose name is one of those that ESRI writes without.
fn keys(text: &str) -> Option<GeoKeys> {
    let text = text.trim();
    let upper = text.to_uppercase();
    for prefix in ["EPSG:", "URN:OGC:DEF:CRS:EPSG::"] {
        if let Some(code) = upper.strip_prefix(prefix) {
            let code = code.parse().ok()?;
            let system = proj4rs::Proj::from_epsg_code(code).ok();
            let geographic = system.map_or((4000..5000).contains(&code), |s| s.is_latlong());
            return Some(GeoKeys::of_epsg(code, geographic));
        }
    }
    let geographic = ["GEOGCS", "GEOGCRS", "GEODCRS", "GEODETICCRS"]
        .iter()
        .any(|word| upper.starts_with(word));
    let projected = ["PROJCS", "PROJCRS"]
        .iter()
        .any(|word| upper.starts_with(word));
    if !geographic && !projected {
        return None;
    }
    Some(GeoKeys::of_epsg(
        stated_code(&upper).or(esri_code(&upper))?,
        geographic,
    ))
}

/// The code at the end of well-known text: only there it is that of the whole system.
fn stated_code(upper: &str) -> Option<u16> {
    let (start, word) = ["AUTHORITY[\"EPSG\",", "ID[\"EPSG\","]
        .iter()
        .filter_map(|word| Some((upper.rfind(word)?, *word)))
        .max()?;
    let rest: String = (upper[start + word.len()..].chars())
        .filter(|c| !c.is_whitespace() && *c != '"')
        .collect();
    rest.strip_suffix("]]")?.parse().ok()
}

/// The code of the systems that ESRI names in a way of its own.
fn esri_code(upper: &str) -> Option<u16> {
    let name = upper.split('"').nth(1)?;
    match name {
        "GCS_WGS_1984" | "WGS 84" => return Some(4326),
        "WGS_1984_WEB_MERCATOR_AUXILIARY_SPHERE" | "WGS 84 / PSEUDO-MERCATOR" => {
            return Some(3857);
        }
        _ => {}
    }
    let zone = name.strip_prefix("WGS_1984_UTM_ZONE_")?;
    let number: u16 = zone.get(..zone.len() - 1)?.parse().ok()?;
    match (zone.as_bytes().last(), number) {
        (Some(b'N'), 1..=60) => Some(32600 + number),
        (Some(b'S'), 1..=60) => Some(32700 + number),
        _ => None,
    }
}

/// Coefficients of a file of their own: `NAME_RPC.TXT` of lines `KEY: number`, or
/// `NAME.RPB` of `key = number;` and lists in brackets.
fn rpc_file(path: &Path) -> Option<Vec<f64>> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let named = |ending: &str| text(&path.with_file_name(format!("{stem}{ending}")));
    if let Some(text) = ["_RPC.TXT", "_rpc.txt", "_RPC.txt", "_rpc.TXT"]
        .into_iter()
        .find_map(named)
    {
        let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let number = value.split_whitespace().next().and_then(|v| v.parse().ok());
            let key = key.trim();
            // `LINE_NUM_COEFF_7` is one of twenty, in order.
            let list = key
                .rsplit_once("COEFF_")
                .map(|(list, _)| format!("{list}COEFF"));
            if let Some(number) = number {
                all.entry(list.unwrap_or(key.to_owned()))
                    .or_default()
                    .push(number);
            }
        }
        return rpc(&RPC_KEYS, &all);
    }
    let text = [".RPB", ".rpb"].into_iter().find_map(named)?;
    let all = (text.split(';'))
        .filter_map(|item| {
            let (key, value) = item.rsplit_once('=')?;
            // The first item follows the names of its group.
            let key = key.split_whitespace().last()?.to_owned();
            let numbers: Option<Vec<f64>> = (value.split(['(', ')', ',', ' ', '\n', '\r', '\t']))
                .filter(|part| !part.is_empty())
                .map(|part| part.parse().ok())
                .collect();
            Some((key, numbers?))
        })
        .collect();
    rpc(&RPB_KEYS, &all)
}

/// The 92 numbers, where all are there.
fn rpc(keys: &[&str; 16], all: &BTreeMap<String, Vec<f64>>) -> Option<Vec<f64>> {
    let mut numbers = Vec::with_capacity(RPC_NUMBERS);
    for (position, key) in keys.iter().enumerate() {
        let expected = if position < SINGLE { 1 } else { 20 };
        match all.get(*key) {
            Some(found) if found.len() == expected => numbers.extend_from_slice(found),
            // The errors are often not stated: unknown.
            None if position < 2 => numbers.push(-1.0),
            _ => return None,
        }
    }
    numbers.iter().all(|v| v.is_finite()).then_some(numbers)
}

/// Coefficients as GDAL's metadata have them: names and values.
pub(crate) fn rpc_items(rpc: &[f64]) -> Vec<(&'static str, String)> {
    let mut rest = rpc;
    let mut items = Vec::new();
    for (position, key) in RPC_KEYS.iter().enumerate() {
        let count = if position < SINGLE { 1 } else { 20 };
        let Some((own, others)) = rest.split_at_checked(count) else {
            return Vec::new();
        };
        rest = others;
        let numbers: Vec<String> = own.iter().map(f64::to_string).collect();
        items.push((*key, numbers.join(" ")));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_whole_system() {
        let epsg = |text: &str| keys(text).and_then(|keys| keys.epsg());
        assert_eq!(epsg("EPSG:32633"), Some(32633));
        let wkt1 = r#"PROJCS["x",GEOGCS["WGS 84",AUTHORITY["EPSG","4326"]],UNIT["metre",1,AUTHORITY["EPSG","9001"]],AUTHORITY["EPSG","32633"]]"#;
        assert_eq!(epsg(wkt1), Some(32633));
        let bare = r#"PROJCS["x",GEOGCS["WGS 84",AUTHORITY["EPSG","4326"]],UNIT["metre",1,AUTHORITY["EPSG","9001"]]]"#;
        assert_eq!(epsg(bare), None);
        assert_eq!(epsg(r#"GEOGCRS["WGS 84",ID["EPSG",4326]]"#), Some(4326));
        assert_eq!(
            epsg(r#"PROJCS["WGS_1984_UTM_Zone_33S",GEOGCS["GCS_WGS_1984"]]"#),
            Some(32733)
        );
        assert_eq!(epsg("nonsense"), None);
    }

    #[test]
    fn coefficients_of_both_kinds_of_file() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("s.tif");
        let mut expected = vec![-1.0; 2];
        expected.extend((2..12).map(f64::from));
        expected.extend((0..80).map(|n| f64::from(n) / 8.0));
        let mut lines = String::new();
        let mut rpb = "satId = \"X\";\nBEGIN_GROUP = IMAGE\n".to_owned();
        for position in 2..12 {
            lines += &format!("{}: +{position}.00 pixels\n", RPC_KEYS[position]);
            rpb += &format!("\t{} = {position};\n", RPB_KEYS[position]);
        }
        for list in 0..4 {
            let numbers: Vec<String> = (0..20)
                .map(|n| format!("{:e}", f64::from(20 * list as u8 + n) / 8.0))
                .collect();
            for (n, number) in numbers.iter().enumerate() {
                lines += &format!("{}_{}: {number}\n", RPC_KEYS[12 + list], n + 1);
            }
            rpb += &format!(
                "\t{} = (\n\t\t{});\n",
                RPB_KEYS[12 + list],
                numbers.join(",\n\t\t")
            );
        }
        rpb += "END_GROUP = IMAGE\nEND;\n";
        std::fs::write(folder.path().join("s.RPB"), rpb).unwrap();
        assert_eq!(rpc_file(&scene).unwrap(), expected);
        std::fs::write(folder.path().join("s_RPC.TXT"), &lines).unwrap();
        assert_eq!(rpc_file(&scene).unwrap(), expected);
        assert_eq!(rpc_items(&expected).len(), 16);
        std::fs::write(folder.path().join("s_RPC.TXT"), &lines[..200]).unwrap();
        assert_eq!(rpc_file(&scene), None);
    }

    #[test]
    fn world_files_go_by_the_extension() {
        let folder = tempfile::tempdir().unwrap();
        for (raster, world) in [
            ("a.png", "a.pgw"),
            ("b.jpg", "b.JGW"),
            ("c.jpeg", "c.jpegw"),
            ("d.png", "d.wld"),
        ] {
            std::fs::write(folder.path().join(world), "10\n0\n0\n-10\n505\n95\n").unwrap();
            let place = with_files(&folder.path().join(raster), Georeference::default());
            assert_eq!(
                place.transform,
                Some([500.0, 10.0, 0.0, 100.0, 0.0, -10.0]),
                "{raster}"
            );
        }
    }
}
