//! A scene to its mask and the files beside it.
//!
//! ```text
//! cargo run --release --example predict SCENE MASK.tif
//! ```

use std::sync::Arc;

use nephos::{Model, PredictOptions, SideOutput};

fn main() -> nephos::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(scene), Some(mask)) = (arguments.next(), arguments.next()) else {
        return Err(nephos::Error::usage("expected SCENE MASK.tif"));
    };
    let model = Model::load("tiny")?;
    let scene = nephos::open(scene)?;
    let options = PredictOptions {
        dilate: Some(60.0),
        side_outputs: [SideOutput::Probabilities, SideOutput::Summary].into(),
        progress: Some(Arc::new(|progress| {
            let percent = 100 * progress.pixels_done / progress.pixels_total.max(1);
            eprint!("\r{percent:3} %");
        })),
        ..PredictOptions::default()
    };
    let prediction = model.predict_with(&scene, &options)?;
    for note in &prediction.input().notes {
        eprintln!("note: {note}");
    }
    let summary = prediction.write(&mask)?;
    println!("\n{mask}: {summary}");
    Ok(())
}
