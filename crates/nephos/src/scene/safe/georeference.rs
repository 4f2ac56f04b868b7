//! Georeference in an image itself: the GML in its boxes (OGC 08-085, GMLJP2), which ESA's
//! images have.

use std::path::Path;

use roxmltree::Node;

use crate::raster::xml;

const START: &[u8] = b"<gml:FeatureCollection";
const END: &[u8] = b"</gml:FeatureCollection>";

/// EPSG code and transform in GDAL's order from the beginning of a file; `None` where
/// there is none that can be read.
pub fn of(bytes: &[u8]) -> Option<(u16, [f64; 6])> {
    let find = |what: &[u8]| bytes.windows(what.len()).position(|part| part == what);
    let codestream = find(b"\xff\x4f\xff\x51").unwrap_or(bytes.len());
    let before = &bytes[..codestream];
    let start = before.windows(START.len()).position(|part| part == START)?;
    let end = before.windows(END.len()).rposition(|part| part == END)? + END.len();
    let document = xml::parse(Path::new("GML"), before.get(start..end)?).ok()?;
    let grid = xml::find(document.root_element(), "RectifiedGrid")?;
    let point = xml::find(xml::find(grid, "origin")?, "Point")?;
    let epsg = point
        .attribute("srsName")?
        .rsplit(':')
        .next()?
        .parse()
        .ok()?;
    let pair = |element: Node<'_, '_>| -> Option<[f64; 2]> {
        let numbers: Vec<f64> = (xml::text(element).split_whitespace())
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        let [x, y] = numbers[..] else { return None };
        (x.is_finite() && y.is_finite()).then_some([x, y])
    };
    let [x, y] = pair(xml::find(point, "pos")?)?;
    let vectors: Vec<_> = xml::all(grid, "offsetVector").collect();
    let [along, down] = vectors[..] else {
        return None;
    };
    let ([a, d], [b, e]) = (pair(along)?, pair(down)?);
    // Products are north up; the origin is the centre of the first pixel.
    let is_upright = a > 0.0 && e < 0.0 && b == 0.0 && d == 0.0;
    is_upright.then_some((epsg, [x - a / 2.0, a, 0.0, y - e / 2.0, 0.0, e]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_a_centre() {
        let gml = |pos: &str, vector: &str| {
            format!(
                "junk xml <gml:FeatureCollection xmlns:gml='g'><gml:RectifiedGrid><gml:origin>\
                 <gml:Point srsName='urn:ogc:def:crs:EPSG::32629'><gml:pos>{pos}</gml:pos>\
                 </gml:Point></gml:origin><gml:offsetVector>{vector}</gml:offsetVector>\
                 <gml:offsetVector>0 -60</gml:offsetVector></gml:RectifiedGrid>\
                 </gml:FeatureCollection>jp2c"
            )
        };
        let expected = [499_980.0, 60.0, 0.0, 5_900_040.0, 0.0, -60.0];
        assert_eq!(
            of(gml("500010 5900010", "60 0").as_bytes()),
            Some((32629, expected))
        );
        for (pos, vector) in [
            ("5 x", "60 0"),
            ("5", "60 0"),
            ("5 5", "0 60"),
            ("5 5", "nan 0"),
        ] {
            assert_eq!(of(gml(pos, vector).as_bytes()), None);
        }
        assert_eq!(of(b""), None);
    }
}
