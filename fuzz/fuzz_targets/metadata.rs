//! Any bytes as a product's metadata: an error or metadata, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = nephos::scene::fuzz::sentinel2_metadata(bytes);
});
