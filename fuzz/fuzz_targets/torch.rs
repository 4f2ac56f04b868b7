//! Any bytes as a PyTorch state dict: an error or tensors, never a panic.
//!
//! An input that is no zip archive is taken as the `data.pkl` of one, so that the
//! fuzzer need not invent checksums.

#![no_main]

use libfuzzer_sys::fuzz_target;

thread_local! {
    /// The reader maps files, so that the input goes through one.
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().unwrap();
}

fuzz_target!(|bytes: &[u8]| {
    FILE.with(|file| {
        let archive = if bytes.starts_with(b"PK") {
            bytes.to_vec()
        } else {
            archive(&[("x/data.pkl", bytes), ("x/data/0", &[0; 64])])
        };
        std::fs::write(file.path(), archive).unwrap();
        let _ = nephos::weights::torch::read(file.path());
    });
});

/// A zip archive of stored entries without checksums (PKWARE APPNOTE 6.3).
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let start = out.len() as u32;
        let sizes = [0, content.len() as u32, content.len() as u32].map(u32::to_le_bytes);
        let name_len = (name.len() as u16).to_le_bytes();
        // Version, flags, method, time, date; checksum and sizes; lengths.
        let common = [
            &[10u8, 0, 0, 0, 0, 0, 0, 0, 0x21, 0],
            sizes.as_flattened(),
            &name_len,
            &[0, 0],
        ];
        out.extend(b"PK\x03\x04");
        out.extend(common.concat());
        out.extend(name.as_bytes());
        out.extend(*content);
        directory.extend(b"PK\x01\x02\x0a\x00");
        directory.extend(common.concat());
        // Comment, disk, attributes.
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let (start, len) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].concat());
    out.extend(len.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}
