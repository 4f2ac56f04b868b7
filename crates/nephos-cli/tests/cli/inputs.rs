//! Errors of unsupported paths, the same in every command; and bands as
//! a user names them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::scenes::write_scene;
use super::tiny::save_untrained;

const DATA: &str = r#"
[data]
bands = ["red", "green", "blue"]
scale = 10000.0
"#;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        save_untrained(DATA, &folder.path().join("m.nephos"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nephos"));
        command.current_dir(self.folder.path()).args(arguments);
        command.output().unwrap()
    }

    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && !error.contains("panicked"),
            "{arguments:?}: {error}"
        );
        error
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// Every command that takes an image, on `input`.
fn commands(input: &str) -> Vec<Vec<String>> {
    let train = format!("data.train={input}");
    [
        vec!["predict", input, "--model", "m.nephos", "--out", "o.tif"],
        vec!["evaluate", input, "--model", "m.nephos"],
        vec![
            "evaluate", input, "--model", "m.nephos", "--labels", "m.nephos",
        ],
        vec!["info", input],
        vec!["overlay", input, "-o", "o.png"],
        vec![
            "explain", input, "--model", "m.nephos", "--at", "1,1", "-o", "o.png",
        ],
        vec![
            "train",
            "--config",
            "t.toml",
            "--set",
            &train,
            "--set",
            "data.val=v.npy",
            "--out",
            "r",
        ],
    ]
    .into_iter()
    .map(|command| command.into_iter().map(str::to_owned).collect())
    .collect()
}

#[test]
fn unsupported_files_give_the_same_error_in_every_command() {
    let place = Place::new();
    let tar = [vec![b'x'; 257], b"ustar\x0000".to_vec(), vec![0; 300]].concat();
    place.write("LC08_L2SP_x.tar", &tar);
    place.write("LC08_L2SP_x.tar.gz", b"\x1f\x8b\x08rest");
    place.write("scene.tif.gz", b"\x1f\x8b\x08rest");
    place.write(
        "mosaic.vrt",
        b"<VRTDataset rasterXSize=\"1\" rasterYSize=\"1\">",
    );
    place.write("cube.nc", b"CDF\x01rest of it");
    place.write("cube4.nc", b"\x89HDF\r\n\x1a\n and so on");
    place.write("granule.h5", b"\x89HDF\r\n\x1a\n and so on");
    place.write("MOD09.hdf", b"\x0e\x03\x13\x01 and so on");
    place.write("cube.zarr/.zgroup", b"{}");
    place.write("v3/zarr.json", b"{}");
    let item = br#"{"type": "Feature", "stac_version": "1.0.0", "assets": {}}"#;
    place.write("item.json", item);
    let collection = br#"{"stac_version":"1.0.0","type":"Collection"}"#;
    place.write("collection.json", collection);
    place.write(
        "bands/T29UNU_20221005T115411_B02_10m.jp2",
        b"\0\0\0\x0cjP  \r\n\x87\n",
    );
    place.write("picture.jp2", b"\0\0\0\x0cjP  \r\n\x87\n");
    place.write("a.ecw", b"\x65\x02\x01rest");
    place.write("img.hdr", b"ENVI\nsamples = 3");
    place.write("img.img", &[7; 64]);
    place.write("fields.shp", &[0, 0, 0x27, 0x0a, 0, 0]);
    place.write(
        "fields.geojson",
        br#"{"type": "FeatureCollection", "features": []}"#,
    );
    place.write(
        "page.tif",
        b"<!DOCTYPE html><html><body>log in</body></html>",
    );
    place.write(
        "lfs.tif",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    );
    place.write("S1A_IW_GRDH_X.SAFE/manifest.safe", b"<x/>");
    for (input, parts) in [
        (
            "https://example.org/scene.tif",
            ["a URL", "curl -LO 'https://example.org/scene.tif'"],
        ),
        (
            "s3://bucket/scene.tif",
            ["a URL", "aws s3 cp s3://bucket/scene.tif ."],
        ),
        (
            "gs://bucket/scene.tif",
            ["a URL", "gcloud storage cp gs://bucket/scene.tif ."],
        ),
        (
            "/vsicurl/https://a.org/b.tif",
            [
                "virtual file system",
                "gdal_translate /vsicurl/https://a.org/b.tif scene.tif",
            ],
        ),
        (
            "NETCDF:cube.nc:red",
            [
                "subdataset",
                "gdal_translate 'NETCDF:cube.nc:red' scene.tif",
            ],
        ),
        ("-", ["standard input", "a file first"]),
        (
            "LC08_L2SP_x.tar",
            [
                "a tar archive",
                "mkdir LC08_L2SP_x && tar xf LC08_L2SP_x.tar -C LC08_L2SP_x",
            ],
        ),
        (
            "LC08_L2SP_x.tar.gz",
            [
                "a compressed tar archive",
                "tar xzf LC08_L2SP_x.tar.gz -C LC08_L2SP_x",
            ],
        ),
        ("scene.tif.gz", ["a compressed file", "`gunzip`"]),
        (
            "mosaic.vrt",
            [
                "a virtual raster (VRT)",
                "gdal_translate mosaic.vrt scene.tif",
            ],
        ),
        (
            "cube.nc",
            [
                "a NetCDF file",
                "gdal_translate NETCDF:\"cube.nc\":VARIABLE scene.tif",
            ],
        ),
        ("cube4.nc", ["a NetCDF file", "--features gdal"]),
        (
            "granule.h5",
            [
                "an HDF5 file",
                "gdal_translate HDF5:\"granule.h5\":VARIABLE scene.tif",
            ],
        ),
        ("MOD09.hdf", ["an HDF4 file", "gdalinfo MOD09.hdf"]),
        ("cube.zarr", ["a Zarr store", "xarray"]),
        ("v3", ["a Zarr store", "xarray"]),
        (
            "item.json",
            ["a STAC item, which points to images", "assets"],
        ),
        ("collection.json", ["a STAC collection", "item"]),
        (
            "bands/T29UNU_20221005T115411_B02_10m.jp2",
            [
                "a single band, B02, of Sentinel-2",
                "all of its bands: bands",
            ],
        ),
        (
            "picture.jp2",
            ["a JPEG 2000 image", "gdal_translate picture.jp2 scene.tif"],
        ),
        ("a.ecw", ["an ECW image", "gdal_translate a.ecw scene.tif"]),
        ("img.hdr", ["the header of an ENVI image", "gdal_translate"]),
        (
            "img.img",
            ["an ENVI image", "gdal_translate img.img scene.tif"],
        ),
        ("fields.shp", ["a shapefile", "not an image"]),
        ("fields.geojson", ["a GeoJSON file", "not an image"]),
        ("page.tif", ["a web page", "log in"]),
        ("lfs.tif", ["Git LFS", "git lfs pull"]),
        (
            "S1A_IW_GRDH_X.SAFE",
            ["a product of Sentinel-1", "Sentinel-2's MSI"],
        ),
    ] {
        for command in commands(input) {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            // What nephos writes itself is described.
            if command[0] == "info" && input.ends_with("json") {
                continue;
            }
            place.write(
                "t.toml",
                b"[data]\nbands = ['red', 'green', 'blue']\n[train]\nepochs = 1\n",
            );
            if command.contains(&"--labels") {
                write_scene(&place.path("labels.tif"), [32, 32], 0);
            }
            let error = place.fail(&command);
            for part in parts
                .iter()
                .chain(&["which nephos does not read", "GeoTIFF"])
            {
                assert!(error.contains(part), "{command:?}, {part}: {error}");
            }
        }
    }
    for command in commands("missing.tif") {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let error = place.fail(&command);
        assert!(
            error.contains("missing.tif: No such file"),
            "{command:?}: {error}"
        );
    }
}

#[test]
fn the_error_of_a_folder_lists_its_content() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    place.write("other/a.nc", b"CDF\x01");
    place.write("other/LC08_x.tar", b"x");
    for (input, part) in [
        ("empty", "it is empty"),
        (
            "other",
            "it holds LC08_x.tar, which is to be unpacked first",
        ),
    ] {
        let predict = ["predict", input, "--model", "m.nephos", "--out", "o.tif"];
        let error = place.fail(&predict);
        assert!(
            error.contains(part) && error.contains("without GeoTIFFs"),
            "{error}"
        );
    }
}

#[test]
fn bands_are_named_skipped_and_refused() {
    let place = Place::new();
    write_scene(&place.path("a.tif"), [60, 50], 1);
    let predict = |bands: &str, out: &str| {
        place.run(&[
            "predict", "a.tif", "--scale", "255", "--model", "m.nephos", "--bands", bands, "--out",
            out,
        ])
    };
    assert!(predict("blue,green,red", "named.tif").status.success());
    assert!(predict("B02,Green,RED", "agency.tif").status.success());
    let read = |name: &str| nephos::mask::read(&place.path(name)).unwrap();
    assert_eq!(read("named.tif"), read("agency.tif"));
    for (bands, part) in [
        ("-,green,red", "needs band `blue`"),
        ("bleu,green,red", "Did you mean `blue`?"),
        ("red,green,red", "bands 1 and 3 are both `red`"),
        ("red,green", "gives 2 names, there are 3 bands"),
    ] {
        let output = predict(bands, "o.tif");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains(part),
            "{bands}: {error}"
        );
    }
    assert!(!place.path("o.tif").exists());
}
