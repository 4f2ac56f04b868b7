//! What nephos reads, as text: one list for help, errors and README.

macro_rules! scenes {
    () => {
        "a GeoTIFF, a folder of GeoTIFFs or of Sentinel-2's JPEG 2000 files with one band each, \
         a Sentinel-2 SAFE folder or its zip, a Landsat Collection 2 folder with its MTL file, a \
         PNG or JPEG"
    };
}

macro_rules! samples {
    () => {
        "a Python pickle of NumPy arrays (.pkl), .npy, .npz, a GeoTIFF, a PNG or JPEG, a \
         CloudSEN12+ container (.taco, .tortilla, .tacozip, .mlstac), a list of samples as \
         `nephos split` writes it (.json), or a folder with image/NAME.tif and label/NAME.tif"
    };
}

/// Scenes.
pub const SCENES: &str = scenes!();

/// Containers of samples.
pub const SAMPLES: &str = samples!();

/// Both, in a sentence without its full stop.
pub(crate) const READ: &str = concat!(
    "Scenes are read from ",
    scenes!(),
    "; samples are read from ",
    samples!()
);

/// Weights.
pub const WEIGHTS: &str = "a nephos bundle (.nephos), .safetensors, a PyTorch state dict (.pth, \
     .pt), or the name of the model that comes with nephos, tiny";

/// What nephos writes, and `nephos info` describes.
pub const RESULTS: &str = "a mask, cloud mask or probabilities of nephos (.tif, .png, .npy) with \
     its record, a summary or STAC item (.json), polygons (.geojson), a configuration (.toml), a \
     table (.csv)";
