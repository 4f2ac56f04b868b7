//! A network of one's own, here a threshold on brightness, with nephos's reading of scenes,
//! windows, blending and masks.
//!
//! ```text
//! cargo run --release --example own_network SCENE MASK.tif
//! ```

use ndarray::{Array3, Array4, Axis, s};
use nephos::network::{Explanation, Forward, GraphForward, Network};
use nephos::{Config, Error, Model, Result};

/// Thick cloud where blue, green and red are brighter than this reflectance on average.
#[derive(Debug)]
struct Threshold(f32);

impl Forward for Threshold {
    /// `[n, 3, height, width]` to the scores `[n, 4, height, width]` of clear, thick cloud, thin
    /// cloud and shadow.
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, _, height, width) = windows.dim();
        let mut scores = Array4::from_elem((count, 4, height, width), -10.0);
        let bright = windows.mean_axis(Axis(1)).expect("three bands") - self.0;
        scores
            .slice_mut(s![.., 1, .., ..])
            .assign(&(&bright * 20.0));
        scores
            .slice_mut(s![.., 0, .., ..])
            .assign(&(bright * -20.0));
        Ok(scores)
    }
}

impl Network for Threshold {
    fn parts(&self) -> Option<&dyn GraphForward> {
        None
    }

    fn explain(&self, _image: Array3<f32>) -> Result<Explanation> {
        Err(Error::unsupported(
            "a threshold",
            "it has no graph of patches",
        ))
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(scene), Some(mask)) = (arguments.next(), arguments.next()) else {
        return Err(Error::usage("expected SCENE MASK.tif"));
    };
    let text = "
        name = 'threshold'
        data.bands = ['blue', 'green', 'red']
        data.scale = 10000.0 # The input is reflectance.
    ";
    let config = Config::parse(text, "own_network.rs", &[])?;
    let model = Model::of_network(config, Box::new(Threshold(0.3)));
    let summary = model.predict(&nephos::open(scene)?)?.write(&mask)?;
    println!("{mask}: {summary}");
    Ok(())
}
