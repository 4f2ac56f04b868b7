//! Any bytes as a JPEG 2000 image of one band: an error or samples, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// Most samples that are decoded: the limits of the reader allow images that take
/// a fuzzer too long.
const MOST: usize = 1 << 18;

thread_local! {
    /// The reader maps files, so that the input goes through one.
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().unwrap();
}

fuzz_target!(|bytes: &[u8]| {
    FILE.with(|file| {
        std::fs::write(file.path(), bytes).unwrap();
        let _ = nephos::scene::fuzz::jp2(file.path(), MOST);
    });
});
