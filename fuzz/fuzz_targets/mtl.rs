//! Any bytes as the metadata of a Landsat product: an error or groups, never a panic.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nephos::scene::landsat::Mtl;

fuzz_target!(|bytes: &[u8]| {
    let _ = Mtl::parse(Path::new("fuzz_MTL.txt"), bytes);
});
