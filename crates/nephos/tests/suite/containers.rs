//! `.npy`, `.npz`, rasters and folders of them.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use nephos::raster::DType;
use nephos::samples::{self, SampleSource};
use nephos::scene::{self, Kind};
use nephos::{Error, band};
use proptest::prelude::*;

use super::outside;

/// A version 1 `.npy` file.
fn npy(descr: &str, fortran: bool, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}

/// `[2, 3, 2, 4]` with the number 100 n + 10 c + 4 h + w, first or last index fastest.
fn counted(fortran: bool) -> Vec<u16> {
    let shape = [2, 3, 2, 4];
    let number = |n: usize, c: usize, h: usize, w: usize| (100 * n + 10 * c + 4 * h + w) as u16;
    let array = ndarray::Array4::from_shape_fn(shape, |(n, c, h, w)| number(n, c, h, w));
    if fortran {
        array.reversed_axes().iter().copied().collect()
    } else {
        array.iter().copied().collect()
    }
}

fn check_counted(source: &dyn SampleSource) {
    assert_eq!(source.len(), 2);
    for n in 0..2 {
        assert_eq!(source.shape(n).unwrap(), [3, 2, 4]);
        assert_eq!(source.dtype(n).unwrap(), DType::U16);
        let expected = Array3::from_shape_fn((2, 2, 4), |(c, h, w)| {
            (100 * n + 10 * [2, 1][c] + 4 * h + w) as f32
        });
        assert_eq!(source.read(n, &[2, 1]).unwrap(), expected);
        let (_, shape, raw) = source.read_raw(n).unwrap();
        let expected: Vec<u8> = (0..3 * 2 * 4)
            .flat_map(|i| ((100 * n + 10 * (i / 8) + i % 8) as u16).to_le_bytes())
            .collect();
        assert_eq!((shape, raw), ([3, 2, 4], expected));
    }
    assert!(matches!(source.read(0, &[3]), Err(Error::Usage(_))));
    assert!(matches!(source.read(2, &[0]), Err(Error::Usage(_))));
    assert!(source.read_label(0).unwrap().is_none());
}

#[test]
fn npy_is_read_in_both_orders() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.npy");
    for fortran in [false, true] {
        for big_endian in [false, true] {
            let numbers: Vec<u8> = counted(fortran)
                .iter()
                .flat_map(|v| {
                    if big_endian {
                        v.to_be_bytes()
                    } else {
                        v.to_le_bytes()
                    }
                })
                .collect();
            let descr = if big_endian { ">u2" } else { "<u2" };
            let whole = npy(descr, fortran, "(2, 3, 2, 4)", &numbers);
            std::fs::write(&path, &whole).unwrap();
            check_counted(samples::open(&path).unwrap().as_ref());
            for len in 0..whole.len() {
                std::fs::write(&path, &whole[..len]).unwrap();
                assert!(samples::open(&path).is_err(), "cut to {len}");
            }
        }
    }
    let overflow = npy("<u2", false, "(4611686018427387904, 4, 4, 4)", &[0; 8]);
    std::fs::write(&path, overflow).unwrap();
    assert!(matches!(samples::open(&path), Err(Error::Format { .. })));
}

fn npz(path: &Path, entries: &[(&str, Vec<u8>)]) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (position, (name, bytes)) in entries.iter().enumerate() {
        let method = [
            zip::CompressionMethod::Stored,
            zip::CompressionMethod::Deflated,
        ];
        let options =
            zip::write::SimpleFileOptions::default().compression_method(method[position % 2]);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn npz_holds_samples_or_images_with_labels() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.npz");
    let images: Vec<u8> = counted(false)
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let images = npy("<u2", false, "(2, 3, 2, 4)", &images);
    npz(&path, &[("x.npy", images.clone())]);
    check_counted(samples::open(&path).unwrap().as_ref());

    let labels: Vec<u8> = (0..16).collect();
    let labels = npy("|u1", false, "(2, 2, 4)", &labels);
    npz(
        &path,
        &[
            ("images.npy", images.clone()),
            ("labels.npy", labels.clone()),
        ],
    );
    let source = samples::open(&path).unwrap();
    assert_eq!((source.len(), source.name(1).as_str()), (2, "images/1"));
    let label = source.read_label(1).unwrap().unwrap();
    assert_eq!(label.dim(), (2, 4));
    assert!(label.iter().copied().eq(8..16));

    let other = npy("|u1", false, "(3, 2, 4)", &[0; 24]);
    npz(&path, &[("images.npy", images), ("labels.npy", other)]);
    // Broken labels are no error where labels are not read.
    let source = samples::open(&path).unwrap();
    assert_eq!(source.read(1, &[0]).unwrap().dim(), (1, 2, 4));
    assert!(matches!(source.read_label(0), Err(Error::Format { .. })));

    let whole = std::fs::read(&path).unwrap();
    for len in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(samples::open(&path).is_err(), "cut to {len}");
    }
}

#[test]
fn a_zip_bomb_is_over_the_limit() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("bomb.npz");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    archive
        .start_file("x.npy", zip::write::SimpleFileOptions::default())
        .unwrap();
    archive
        .write_all(&npy("|u1", false, "(1, 1100, 1048576)", &[]))
        .unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1100 {
        archive.write_all(&zeros).unwrap();
    }
    archive.finish().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 16 << 20);
    let source = samples::open(&path).unwrap();
    assert!(matches!(source.read(0, &[0]), Err(Error::Limits { .. })));
}

/// A reader that takes the first plane of a band-interleaved file for all of them
/// fails here.
#[test]
fn tiffs_of_both_interleavings_have_all_their_bands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/raster");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "tif") {
            continue;
        }
        files += 1;
        let file = path.file_name().unwrap().to_str().unwrap();
        let (dtype, half) = if file.contains("u16") {
            (DType::U16, 0.0)
        } else {
            (DType::F32, 0.5)
        };
        let source = samples::open(&path).unwrap();
        assert_eq!(source.len(), 1);
        assert_eq!(source.shape(0).unwrap(), [4, 18, 20], "{file}");
        assert_eq!(source.dtype(0).unwrap(), dtype);
        let names = source.channel_names(0).unwrap().unwrap();
        assert_eq!(names, ["blue", "green", "red", "near & infra"]);
        let number = |c: usize, h: usize, w: usize| (1000 * c + 10 * h + w) as f32 + half;
        let expected = Array3::from_shape_fn((3, 18, 20), |(c, h, w)| number([3, 0, 2][c], h, w));
        assert_eq!(source.read(0, &[3, 0, 2]).unwrap(), expected, "{file}");
        let (_, shape, raw) = source.read_raw(0).unwrap();
        let all = Array3::from_shape_fn(shape, |(c, h, w)| number(c, h, w));
        let expected: Vec<u8> = match dtype {
            DType::U16 => all.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect(),
            _ => all.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        assert_eq!(raw, expected, "{file}");
        assert!(source.read(0, &[4]).is_err());

        let whole = std::fs::read(&path).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let cut = scratch.path().join("cut.tif");
        for len in (0..whole.len()).step_by(97) {
            std::fs::write(&cut, &whole[..len]).unwrap();
            let read = samples::open(&cut).and_then(|source| source.read(0, &[0, 1, 2, 3]));
            assert!(read.is_err(), "{file} cut to {len}");
        }
    }
    assert_eq!(files, 12);
}

#[test]
fn pictures_are_red_green_blue() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.png");
    let picture = image::RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, 100 + y as u8, 200]));
    picture.save(&path).unwrap();
    let source = samples::open(&path).unwrap();
    assert_eq!(source.shape(0).unwrap(), [3, 3, 5]);
    assert_eq!(
        source.channel_names(0).unwrap().unwrap(),
        ["red", "green", "blue"]
    );
    let read = source.read(0, &[2, 1, 0]).unwrap();
    let expected = Array3::from_shape_fn((3, 3, 5), |(c, h, w)| [200, 100 + h, w][c] as f32);
    assert_eq!(read, expected);
    let (dtype, _, raw) = source.read_raw(0).unwrap();
    assert_eq!(dtype, DType::U8);
    assert_eq!(raw[..5], [0, 1, 2, 3, 4]);

    let deep =
        image::ImageBuffer::from_fn(4, 2, |x, y| image::Rgb([x as u16 * 1000, y as u16, 65535]));
    deep.save(&path).unwrap();
    let source = samples::open(&path).unwrap();
    assert_eq!(source.dtype(0).unwrap(), DType::U16);
    assert_eq!(source.read(0, &[0]).unwrap()[[0, 1, 3]], 3000.0);

    let whole = std::fs::read(&path).unwrap();
    for len in 0..whole.len() - 12 {
        std::fs::write(&path, &whole[..len]).unwrap();
        let read = samples::open(&path).and_then(|source| source.read(0, &[0]));
        assert!(read.is_err(), "cut to {len}");
    }
    let jpeg = scratch.path().join("a.jpg");
    image::RgbImage::from_pixel(16, 16, image::Rgb([10, 200, 30]))
        .save(&jpeg)
        .unwrap();
    let read = samples::open(&jpeg).unwrap().read(0, &[1]).unwrap();
    assert!(read.iter().all(|v| (v - 200.0).abs() < 4.0));
}

#[test]
fn a_folder_pairs_images_with_labels_by_name() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    assert!(matches!(
        samples::open(root),
        Err(Error::Unsupported { .. })
    ));
    for folder in ["image", "label"] {
        std::fs::create_dir(root.join(folder)).unwrap();
    }
    assert!(matches!(samples::open(root), Err(Error::Format { .. })));
    for (name, value) in [("b", 20), ("a", 10), ("c", 30)] {
        let image = image::RgbImage::from_pixel(4, 3, image::Rgb([value, 0, 0]));
        image.save(root.join(format!("image/{name}.png"))).unwrap();
    }
    image::GrayImage::from_fn(4, 3, |x, y| image::Luma([(x + 4 * y) as u8]))
        .save(root.join("label/b.png"))
        .unwrap();
    image::GrayImage::new(4, 4)
        .save(root.join("label/c.png"))
        .unwrap();
    let source = samples::open(root).unwrap();
    let names: Vec<String> = (0..source.len()).map(|i| source.name(i)).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(source.read_label(0).unwrap().is_none());
    assert!(
        source
            .read_label(1)
            .unwrap()
            .unwrap()
            .iter()
            .copied()
            .eq(0..12)
    );
    assert!(matches!(source.read_label(2), Err(Error::Format { .. })));
    assert_eq!(source.read(2, &[0]).unwrap()[[0, 2, 3]], 30.0);
}

#[test]
fn unsupported_files_are_refused_by_name() {
    let scratch = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let message = |path: &Path| match samples::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    };
    assert!(message(&write("a.pkl", b"")).contains("empty"));
    assert!(message(&write("a.pkl.gz", b"\x1f\x8b\x08rest")).contains("gunzip"));
    assert!(message(&write("a.txt", b"hello world, no samples")).contains(".npz"));
    let weights = write("w.safetensors", b"\x08\0\0\0\0\0\0\0{}      ");
    assert_eq!(scene::detect(&weights).unwrap(), Kind::Safetensors);
    assert!(message(&weights).contains("weights"));
    assert!(matches!(
        samples::open(&scratch.path().join("none.pkl")),
        Err(Error::Io { .. })
    ));
}

#[test]
fn real_landsat_patches_are_read() {
    let Some(folder) = outside::images("l8biome") else {
        return;
    };
    let source = samples::open(&folder).unwrap();
    assert_eq!(source.len(), 24);
    let mut seen = [0usize; 256];
    for index in 0..source.len() {
        assert_eq!(source.shape(index).unwrap(), [8, 256, 256]);
        assert_eq!(source.dtype(index).unwrap(), DType::U16);
        let names = source.channel_names(index).unwrap().unwrap();
        let expected = [
            "blue", "green", "red", "nir", "swir16", "swir22", "cirrus", "lwir11",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            band::positions(&["red".into(), "nir".into()], &names),
            Ok(vec![2, 3])
        );
        let image = source.read(index, &[7, 2]).unwrap();
        assert!(image.iter().all(|v| v.is_finite()));
        for value in source.read_label(index).unwrap().unwrap() {
            seen[usize::try_from(value).unwrap()] += 1;
        }
    }
    // Sums of bands of Barren_00 as tifffile reads them.
    assert_eq!(source.name(0), "Barren_00");
    let all = source.read(0, &[0, 3, 7]).unwrap();
    let sums: Vec<f64> = all
        .axis_iter(Axis(0))
        .map(|plane| plane.iter().map(|v| f64::from(*v)).sum())
        .collect();
    assert_eq!(sums, [76_732_365.0, 12_949_915.0, 1_775_210_305.0]);
    // The shares that the data's own description gives.
    let labelled: usize = seen[..4].iter().sum();
    let share = seen.map(|count| (count as f64 / labelled as f64 * 1000.0).round());
    assert_eq!(share[..4], [554.0, 353.0, 83.0, 10.0]);
    assert_eq!(labelled + seen[255], 24 * 256 * 256);
}

/// Reads a file as samples; whatever comes, it is no panic.
fn survive(name: &str, bytes: &[u8]) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    if let Ok(source) = samples::open(&path)
        && let Ok([channels, ..]) = source.shape(0)
    {
        let _ = source.channel_names(0);
        let _ = source.read(0, &[0, channels - 1]);
        let _ = source.read_raw(0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn mutated_rasters_are_survived(
        which in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((0usize..400, any::<u8>()), 1..6),
    ) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/raster");
        let files: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "tif"))
            .collect();
        let mut bytes = std::fs::read(which.get(&files)).unwrap();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        survive("a.tif", &bytes);
    }

    #[test]
    fn mutated_arrays_are_survived(
        zipped in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let array = npy("<u2", false, "(2, 3, 2, 4)", &[7; 96]);
        let mut bytes = array.clone();
        if zipped {
            let file = tempfile::NamedTempFile::new().unwrap();
            npz(file.path(), &[("image.npy", array.clone()), ("x.npy", array)]);
            bytes = std::fs::read(file.path()).unwrap();
        }
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        survive("a.npz", &bytes);
    }
}
