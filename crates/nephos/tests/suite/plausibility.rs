//! Whether real images pass for reflectance, and badly scaled ones don't.

use ndarray::{Array3, Axis};
use nephos::scene::{
    self, Georeference, MemoryScene, SampleSource, SceneOptions, implausible, open_scene,
};

use super::outside;

fn warnings(name: &str, bands: &[String], reflectance: Array3<f32>) -> Vec<String> {
    let scene = MemoryScene::new(name, bands, reflectance, Georeference::default()).unwrap();
    let all: Vec<usize> = (0..bands.len()).collect();
    implausible(&scene, &all).unwrap()
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
    let source = scene::open(&folder).unwrap();
    assert_eq!(source.len(), 24);
    for index in 0..source.len() {
        let name = source.name(index);
        let bands = source.channel_names(index).unwrap().unwrap();
        let stored = sample(&*source, index);
        let found = warnings(&name, &bands, stored.mapv(|dn| dn / 10_000.0));
        assert!(found.is_empty(), "{name}: {found:?}");
        // Not scaled at all, every reflective band is named.
        let found = warnings(&name, &bands, stored.clone());
        assert!(found.len() >= 6, "{name}: {found:?}");
        assert!(found.iter().all(|warning| warning.contains("--scale")));
        // Scaled twice.
        let found = warnings(&name, &bands, stored.mapv(|dn| dn / 1e8));
        assert_eq!(found.len(), 1, "{name}: {found:?}");
    }
}

#[test]
fn sentinel2_frames_are_reflectance_and_the_odd_pair_is_not() {
    if let Some(folder) = outside::images("sentinel2_l1c_frames") {
        let path = folder.join("REFERENCE_SCENES.npy");
        let frames: ndarray::Array4<f32> = ndarray_npy::read_npy(path).unwrap();
        for frame in frames.outer_iter() {
            let frame = frame.permuted_axes([2, 0, 1]).to_owned();
            let found = warnings("frame", &sentinel2(&[]), frame);
            assert!(found.is_empty(), "{found:?}");
        }
    }
    if let Some(folder) = outside::images("sentinel2_clear_cloudy_pair") {
        for name in ["clean.tif", "cloudy.tif"] {
            let source = scene::open(&folder.join(name)).unwrap();
            let found = warnings(name, &sentinel2(&["B10"]), sample(&*source, 0));
            assert!(found.iter().any(|w| w.contains("nir")), "{name}: {found:?}");
        }
    }
}

#[test]
fn a_landsat_scene_without_gain_and_offset_is_warned_of() {
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
                &*scene::open(&folder.join(format!("l8_B{band}.tif"))).unwrap(),
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
    let found = warnings("landsat", &names, reflectance);
    assert!(found.is_empty(), "{found:?}");
    let found = warnings("landsat", &names, stored.mapv(|dn| dn / 10_000.0));
    assert!(
        found.iter().any(|w| w.starts_with("band nir: ")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|w| w.starts_with("band swir16: ")),
        "{found:?}"
    );
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
    let found = implausible(&*scene, &bands).unwrap();
    assert!(found.is_empty(), "{found:?}");
}
