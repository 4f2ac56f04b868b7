//! Any bytes as a container of CloudSEN12+: an error or samples, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nephos::samples::{SampleSource, TacoSource};

thread_local! {
    /// The reader maps files, so that the input goes through one.
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().unwrap();
}

fuzz_target!(init: {
    // The reader catches what the Parquet decoder panics about; libFuzzer's hook would
    // stop before that. What is not caught still stops.
    std::panic::set_hook(Box::new(|_| {}));
}, |bytes: &[u8]| {
    FILE.with(|file| {
        std::fs::write(file.path(), bytes).unwrap();
        let Ok(source) = TacoSource::open(file.path()) else {
            return;
        };
        for index in 0..source.len().min(8) {
            if source.shape(index).is_ok_and(|shape| shape[0] > 0) {
                let _ = source.read(index, &[0]);
                let _ = source.read_label(index);
                let _ = source.read_raw(index);
            }
        }
    });
});
