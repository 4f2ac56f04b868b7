//! From stored samples to model inputs: bands, scale, no-data, labels, size.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, Array3, Axis, array, s, stack};
use nephos::Result;
use nephos::config::DataConfig;
use nephos::data::{Dataset, Example, Loader};
use nephos::raster::DType;
use nephos::samples::SampleSource;

/// One sample in memory; with `label`, labels are separate from the channels.
struct Memory {
    channels: Array3<f32>,
    names: Option<Vec<String>>,
    label: Option<Array2<i64>>,
}

impl SampleSource for Memory {
    fn len(&self) -> usize {
        1
    }

    fn name(&self, _index: usize) -> String {
        "only".to_owned()
    }

    fn shape(&self, _index: usize) -> Result<[usize; 3]> {
        let (channels, height, width) = self.channels.dim();
        Ok([channels, height, width])
    }

    fn dtype(&self, _index: usize) -> Result<DType> {
        Ok(DType::F32)
    }

    fn channel_names(&self, _index: usize) -> Result<Option<Vec<String>>> {
        Ok(self.names.clone())
    }

    fn read(&self, _index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        Ok(self.channels.select(Axis(0), channels))
    }

    fn read_raw(&self, _index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let bytes = self.channels.iter().flat_map(|v| v.to_le_bytes()).collect();
        Ok((DType::F32, self.shape(0)?, bytes))
    }

    fn read_label(&self, _index: usize) -> Result<Option<Array2<i64>>> {
        Ok(self.label.clone())
    }
}

fn config(text: &str) -> DataConfig {
    let data = nephos::config::Config::parse(text, "test.toml", &[]);
    data.unwrap().data
}

fn open(memory: Memory, text: &str) -> Dataset {
    Dataset::from_source(Arc::new(memory), Path::new("x.pkl"), &config(text)).unwrap()
}

/// Blue, green, red, then a channel of labels.
fn bgr(label: Array2<f32>) -> Memory {
    let plane = |value: f32| Array2::from_elem(label.dim(), value);
    let planes = [plane(1000.0), plane(2000.0), plane(3000.0), label.clone()];
    Memory {
        channels: stack(Axis(0), &planes.each_ref().map(|plane| plane.view())).unwrap(),
        names: None,
        label: None,
    }
}

const BGR: &str = "[data]\nchannels = ['blue', 'B03', 'red']\nlabel_channel = 3\n";

fn first(memory: Memory, text: &str) -> Result<Example> {
    open(memory, text).get(0)
}

#[test]
fn bands_are_found_by_name_and_scaled() {
    let text = format!("{BGR}scale = 1000.0\noffset = -500.0");
    let example = first(bgr(array![[0.0, 3.0]]), &text).unwrap();
    let of_band = |band: usize| example.image[[band, 0, 0]];
    assert_eq!([of_band(0), of_band(1), of_band(2)], [2.5, 1.5, 0.5]);
    assert_eq!(example.label, array![[0, 3]]);
    assert!(example.valid.iter().all(|valid| *valid));
}

#[test]
fn the_error_of_a_missing_band_lists_the_bands() {
    let error = first(bgr(array![[0.0]]), &format!("{BGR}bands = ['red', 'nir']")).unwrap_err();
    let text = error.to_string();
    for part in ["x.pkl", "only", "`nir`", "data.channels", "blue, B03, red"] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
}

#[test]
fn labels_are_mapped_ignored_or_refused() {
    let stored = || bgr(array![[1.0, 99.0, 4.0]]);
    let mapped = format!("{BGR}[data.labels.map]\n4 = 2");
    assert_eq!(first(stored(), &mapped).unwrap().label, array![[1, 255, 2]]);
    let error = first(stored(), BGR).unwrap_err().to_string();
    assert!(error.contains("label 4"), "{error}");
    let fraction = first(bgr(array![[0.5]]), BGR).unwrap_err().to_string();
    assert!(fraction.contains("no class"), "{fraction}");
    assert!(first(bgr(array![[f32::NAN]]), BGR).is_err());
}

#[test]
fn no_data_and_nan_are_not_valid_and_not_counted() {
    let mut memory = bgr(array![[1.0, 2.0, 3.0]]);
    memory.channels[[0, 0, 0]] = f32::NAN;
    memory.channels[[2, 0, 1]] = 7.0;
    let example = first(memory, &format!("{BGR}nodata = 7.0")).unwrap();
    assert_eq!(example.valid, array![[false, false, true]]);
    assert_eq!(example.label, array![[255, 255, 3]]);
    assert!(example.image.iter().all(|v| v.is_finite()));
    assert_eq!(example.image[[2, 0, 1]], 0.0);
}

#[test]
fn samples_are_cropped_to_a_size_and_padded_in_batches() {
    let dataset = open(bgr(array![[1.0, 2.0, 3.0]]), &format!("{BGR}size = 2"));
    let example = dataset.get(0).unwrap();
    assert_eq!(example.image.dim(), (3, 1, 2));
    assert_eq!(example.label, array![[1, 2]]);
    let mut loader = Loader::start(&dataset, vec![0], 1, 1).unwrap();
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(batch.labels, array![[[1, 2], [255, 255]]]);
    // What is added is the sample's reflection: of one row, the row itself.
    let row = |row: usize| batch.images.slice(s![0, .., row, ..]).to_owned();
    assert_eq!(row(1), row(0));
    assert_eq!(row(0), example.image.slice(s![.., 0, ..]));
}

#[test]
fn a_source_with_names_keeps_its_label_separate() {
    let mut memory = bgr(array![[0.0]]);
    memory.names = Some(
        ["blue", "green", "red", "swir16"]
            .map(String::from)
            .to_vec(),
    );
    let unlabelled = open(memory, BGR);
    assert!(unlabelled.get(0).is_err());
    assert_eq!(unlabelled.get_unlabelled(0).unwrap().label, array![[255]]);

    let mut memory = bgr(array![[0.0]]);
    memory.names = Some(
        ["blue", "green", "red", "swir16"]
            .map(String::from)
            .to_vec(),
    );
    memory.label = Some(array![[2]]);
    let labelled = first(memory, &format!("{BGR}bands = ['swir16', 'B04']")).unwrap();
    assert_eq!(labelled.label, array![[2]]);
    assert_eq!(labelled.image.dim(), (2, 1, 1));
}

#[test]
fn absent_bands_are_zero_and_declared() {
    let text = "[data]\nscale = 1000.0\nnodata = 2000.0\nbands = ['nir', 'red', 'blue']\n\
        optional_bands = ['blue', 'nir']\nchannels = ['blue', 'green', 'red']\nlabel_channel = 3\n";
    let mut memory = bgr(array![[0.0, 1.0]]);
    memory.channels[[2, 0, 1]] = 2000.0;
    let example = first(memory, text).unwrap();
    assert_eq!(example.absent, [true, false, false]);
    let pixel = |col: usize| example.image.slice(ndarray::s![.., 0, col]).to_vec();
    // nir, red, blue, then whether blue and nir are absent.
    assert_eq!(pixel(0), [0.0, 3.0, 1.0, 0.0, 1.0]);
    // Without data all channels are 0, as beyond the border of an image.
    assert_eq!(pixel(1), [0.0; 5]);
    assert_eq!(example.label, array![[0, 255]]);
}

#[test]
fn a_sample_as_a_scene_has_its_own_bands() {
    let text = format!("{BGR}bands = ['nir', 'red']\noptional_bands = ['nir']");
    let dataset = open(bgr(array![[0.0]]), &text);
    let scene = dataset.scene(0).unwrap();
    let info = nephos::scene::Scene::info(&scene);
    let names: Vec<&str> = info.bands.iter().map(|band| band.name.as_str()).collect();
    assert_eq!(names, ["red"]);
}
