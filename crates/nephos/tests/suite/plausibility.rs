//! Real images are plausible reflectance, and badly scaled ones are not.

use ndarray::{Array3, Axis};
use nephos::raster::{self, DType, Georeference};
use nephos::samples::{self, SampleSource};
use nephos::scene::{
    Doubt, MemoryScene, Origin, Radiometry, SceneOptions, implausible, open_scene,
};

use super::outside;

/// The doubt about numbers of unstated scale read as reflectance × 10000, all bands used.
fn doubt(name: &str, bands: &[String], reflectance: Array3<f32>) -> Option<Doubt> {
    let scene = MemoryScene::new(name, bands, reflectance, Georeference::default()).unwrap();
    let radiometry = Radiometry::scaled(10_000.0, 0.0, Origin::Guessed);
    let scene = scene.described(vec![radiometry; bands.len()], DType::U16);
    let all: Vec<usize> = (0..bands.len()).collect();
    implausible(&scene, &all).unwrap()
}

fn refused(doubt: Option<Doubt>, text: &str) {
    let doubt = doubt.unwrap();
    assert!(doubt.refuses && doubt.to_string().contains(text), "{doubt}");
}

fn sample(source: &dyn SampleSource, index: usize) -> Array3<f32> {
    let count = source.shape(index).unwrap()[0];
    source.read(index, &(0..count).collect::<Vec<_>>()).unwrap()
}

fn sentinel2(without: &[&str]) -> Vec<String> {
    (nephos::band::SENTINEL2.iter())
        .filter(|(agency, _, _)| !without.contains(agency))
        .map(|(_, common, _)| (*common).to_owned())
        .collect()
}

#[test]
fn landsat_patches_of_every_biome_are_reflectance() {
    let Some(folder) = outside::images("l8biome") else {
        return;
    };
    let source = samples::open(&folder).unwrap();
    assert_eq!(source.len(), 24);
    for index in 0..source.len() {
        let name = source.name(index);
        let bands = source.channel_names(index).unwrap().unwrap();
        let stored = sample(&*source, index);
        let found = doubt(&name, &bands, stored.mapv(|dn| dn / 10_000.0));
        assert_eq!(found, None, "{name}");
        // Not scaled at all, every reflective band is named.
        let found = doubt(&name, &bands, stored.clone()).unwrap();
        assert!(found.refuses, "{name}: {found}");
        for band in ["blue", "red", "nir", "swir16"] {
            assert!(found.reasons[0].contains(band), "{name}: {found}");
        }
        // Scaled twice.
        let found = doubt(&name, &bands, stored.mapv(|dn| dn / 1e8)).unwrap();
        assert!(
            !found.refuses && found.reasons.len() == 1,
            "{name}: {found}"
        );
    }
}

/// Every image of a folder of samples whose numbers are reflectance × 10000 passes, and
/// most with 1000 added do not.
fn passes(folder: &str, added: usize) {
    let Some(folder) = outside::images(folder) else {
        return;
    };
    let source = samples::open(&folder).unwrap();
    let mut caught = 0;
    for index in 0..source.len() {
        let bands = source.channel_names(index).unwrap().unwrap();
        let stored = sample(&*source, index);
        let found = doubt("a", &bands, stored.mapv(|dn| dn / 10_000.0));
        let name = source.name(index);
        assert!(found.is_none_or(|doubt| !doubt.refuses), "{name}");
        let shifted = stored.mapv(|dn| (dn + 1000.0) / 10_000.0);
        caught += usize::from(doubt("a", &bands, shifted).is_some_and(|doubt| doubt.refuses));
    }
    assert!(caught >= added, "{folder:?}: {caught} of {}", source.len());
}

#[test]
fn real_images_pass_and_most_with_1000_added_do_not() {
    passes("l8biome", 18);
    passes("sentinel2_l1c_clear", 31);
    passes("sentinel2_l1c_unlabelled", 104);
    passes("sentinel2_painted_shadow", 4);
}

#[test]
fn sentinel2_frames_are_reflectance_and_the_odd_pair_is_not() {
    if let Some(folder) = outside::images("sentinel2_l1c_frames") {
        let path = folder.join("REFERENCE_SCENES.npy");
        let frames: ndarray::Array4<f32> = ndarray_npy::read_npy(path).unwrap();
        for frame in frames.outer_iter() {
            let frame = frame.permuted_axes([2, 0, 1]).to_owned();
            assert_eq!(doubt("frame", &sentinel2(&[]), frame.clone()), None);
            refused(
                doubt("frame", &sentinel2(&[]), frame.mapv(|v| v + 0.1)),
                "`options.offset = -1000`",
            );
            // The offset taken off twice.
            refused(
                doubt("frame", &sentinel2(&[]), frame.mapv(|v| v - 0.1)),
                "`options.offset = 0`",
            );
        }
    }
    if let Some(folder) = outside::images("sentinel2_clear_cloudy_pair") {
        for name in ["clean.tif", "cloudy.tif"] {
            let source = samples::open(&folder.join(name)).unwrap();
            refused(
                doubt(name, &sentinel2(&["B10"]), sample(&*source, 0)),
                "nir",
            );
        }
    }
}

#[test]
fn a_landsat_scene_without_gain_and_offset_is_refused() {
    let Some(folder) = outside::images("landsat8_scene") else {
        return;
    };
    let bands = [
        "coastal", "blue", "green", "red", "nir", "swir16", "swir22", "cirrus",
    ];
    let names = bands.map(String::from);
    let planes: Vec<Array3<f32>> = [1, 2, 3, 4, 5, 6, 7, 9]
        .iter()
        .map(|band| {
            sample(
                &*samples::open(&folder.join(format!("l8_B{band}.tif"))).unwrap(),
                0,
            )
        })
        .collect();
    let views: Vec<_> = planes.iter().map(|plane| plane.view()).collect();
    let stored = ndarray::concatenate(Axis(0), &views).unwrap();
    let sine = 64.743_61_f32.to_radians().sin();
    let reflectance = stored.mapv(|dn| {
        if dn == 0.0 {
            f32::NAN
        } else {
            (dn * 2e-5 - 0.1) / sine
        }
    });
    assert_eq!(doubt("landsat", &names, reflectance), None);
    let wrong = stored.mapv(|dn| dn / 10_000.0);
    let found = doubt("landsat", &names, wrong.clone()).unwrap();
    assert!(found.refuses, "{found}");
    for text in ["nir (percentiles", "swir16 (percentiles", "MTL"] {
        assert!(found.to_string().contains(text), "{found}");
    }
    // The visible bands alone are too coloured for cloud.
    let visible = wrong.select(Axis(0), &[1, 2, 3]);
    refused(doubt("landsat", &names[1..4], visible), "MTL");
}

#[test]
fn a_product_with_low_sun_and_no_data_is_reflectance() {
    let Some(folder) = outside::images("sentinel2_safe_60m") else {
        return;
    };
    let product = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let product = product
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "SAFE"));
    let options = SceneOptions {
        resolution: Some(60.0),
        ..SceneOptions::default()
    };
    let scene = open_scene(&product.unwrap(), &options).unwrap();
    let bands = ["blue", "green", "red", "nir08", "swir16", "swir22"].map(String::from);
    let bands = scene.info().positions(&bands).unwrap();
    assert_eq!(implausible(&*scene, &bands).unwrap(), None);
    // The same numbers without their metadata, whole and in parts.
    let [rows, cols] = scene.info().size;
    let all = raster::Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    let names = ["blue", "green", "red", "nir08", "swir16", "swir22"].map(String::from);
    let reflectance = scene.read(&bands, all).unwrap();
    let (mut parts, mut caught) = (0, 0);
    for (row, col) in (0..rows / 256).flat_map(|r| (0..cols / 256).map(move |c| (r, c))) {
        let part = reflectance.slice(ndarray::s![
            ..,
            row * 256..(row + 1) * 256,
            col * 256..(col + 1) * 256
        ]);
        let part = part.to_owned();
        if part.iter().filter(|v| v.is_finite()).count() < 6 * 256 * 128 {
            continue;
        }
        let found = doubt("part", &names, part.clone());
        assert!(found.is_none_or(|doubt| !doubt.refuses), "{row} {col}");
        let added = doubt("part", &names, part.mapv(|v| v + 0.1));
        parts += 1;
        caught += usize::from(added.is_some_and(|doubt| doubt.refuses));
    }
    assert!(2 * caught > parts && parts > 20, "{caught} of {parts}");
    refused(
        doubt("all", &names, reflectance.mapv(|v| v + 0.1)),
        "`options.offset = -1000`",
    );
}
