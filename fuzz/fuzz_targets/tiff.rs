//! Any bytes as a TIFF scene: an error or pixels, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nephos::raster::{Georeference, Window};
use nephos::scene::{SceneOptions, open_scene};

thread_local! {
    /// Scenes are opened by path, so that the input goes through a file.
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().unwrap();
}

fuzz_target!(|bytes: &[u8]| {
    FILE.with(|file| {
        std::fs::write(file.path(), bytes).unwrap();
        let _ = Georeference::read(file.path());
        let Ok(scene) = open_scene(file.path(), &SceneOptions::default()) else {
            return;
        };
        let bands = [0, scene.info().bands.len() - 1];
        let [rows, cols] = scene.info().size;
        for (row, col) in [(0, 0), (rows / 2, cols / 3)] {
            let window = Window {
                row,
                col,
                rows: (rows - row).min(65),
                cols: (cols - col).min(63),
            };
            let _ = scene.read(&bands, window);
        }
    });
});
