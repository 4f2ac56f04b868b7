//! What a model says of itself.

use serde_json::{Map, Value, json};

use super::input::Bands;
use super::options::{DEEPNESS, OnnxOptions};
use crate::class::code_name;
use crate::weights::{Bundle, Identity};

/// What the input and the output are, in words.
pub(super) fn about(bands: &Bands, options: &OnnxOptions) -> [String; 2] {
    let divided = match options.divisor {
        1.0 => "as they are".to_owned(),
        DEEPNESS => "divided by 255, as QGIS's Deepness gives them".to_owned(),
        divisor => format!("divided by {divisor}"),
    };
    let input = format!(
        "The input are the numbers of the bands {}, {divided}; reflectance = (number {} {}) / {}; \
         NaN is no data.",
        bands.names.join(", "),
        if options.offset < 0.0 { '-' } else { '+' },
        options.offset.abs(),
        options.scale,
    );
    let output = match options.logits {
        true => "The output are class scores before softmax and calibration.",
        false => "The output are probabilities of the classes.",
    };
    [input, output.to_owned()]
}

/// The metadata: those of Deepness, each value as JSON, and the model's identity.
///
/// Deepness reads the resolution in centimetres per pixel and the overlap in percent. It makes
/// probabilities below its threshold 0, so that only a threshold of 0 leaves each pixel its
/// likeliest class.
pub(super) fn entries<'a>(
    bundle: &Bundle,
    identity: &Identity,
    options: &OnnxOptions,
    bands: &[String],
    side: usize,
) -> Vec<(&'a str, String)> {
    let config = &bundle.config;
    let classes: Map<String, Value> = (0..config.model.classes)
        .map(|class| (class.to_string(), code_name(class).into()))
        .collect();
    let text = |value: Value| value.to_string();
    vec![
        ("model_type", text(json!("Segmentor"))),
        ("class_names", Value::from(classes).to_string()),
        ("resolution", text(json!(options.resolution * 100.0))),
        ("tile_size", text(json!(side))),
        (
            "tiles_overlap",
            text(json!((config.model.overlap * 100.0).round() as i64)),
        ),
        ("seg_thresh", text(json!(0.0))),
        ("seg_small_segment", text(json!(0))),
        ("nephos_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("nephos_model", identity.name.clone()),
        ("nephos_model_sha256", identity.sha256.clone()),
        ("nephos_bands", text(json!(bands))),
        ("nephos_scale", options.scale.to_string()),
        ("nephos_offset", options.offset.to_string()),
        ("nephos_divisor", options.divisor.to_string()),
    ]
}
