//! Any bytes as a pickle of samples: an error or samples, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nephos::samples::SampleSource;
use nephos::samples::pickle::PickleSource;

thread_local! {
    /// The reader maps files, so that the input goes through one.
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().unwrap();
}

fuzz_target!(|bytes: &[u8]| {
    FILE.with(|file| {
        std::fs::write(file.path(), bytes).unwrap();
        let Ok(source) = PickleSource::open(file.path()) else {
            return;
        };
        for index in 0..source.len().min(8) {
            let [channels, ..] = source.shape(index).unwrap();
            let _ = source.read(index, &[0, channels - 1]);
            let _ = source.read_raw(index);
        }
    });
});
