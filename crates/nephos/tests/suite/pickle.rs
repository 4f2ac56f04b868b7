//! Pickles that real NumPy wrote, hostile pickles, and pickles that we
//! write, read by real NumPy.

use std::path::{Path, PathBuf};

use nephos::Error;
use nephos::raster::DType;
use nephos::samples::pickle::{PickleSource, Writer};
use nephos::samples::{self, SampleSource};
use proptest::prelude::*;

use super::outside;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/pickle")
}

/// The pickles of a folder, sorted.
fn pickles(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pkl"))
        .collect();
    files.sort();
    files
}

/// Reads everything there is in a source.
fn read_all(source: &dyn SampleSource) -> nephos::Result<()> {
    for index in 0..source.len() {
        let [channels, ..] = source.shape(index)?;
        let all: Vec<usize> = (0..channels).collect();
        source.read(index, &all)?;
        source.read_raw(index)?;
    }
    Ok(())
}

/// Little-endian numbers as f64.
fn numbers(dtype: DType, raw: &[u8]) -> Vec<f64> {
    let chunks = raw.chunks_exact(dtype.size());
    chunks
        .map(|b| match dtype {
            DType::Bool | DType::U8 => f64::from(b[0]),
            DType::I8 => f64::from(b[0] as i8),
            DType::U16 => f64::from(u16::from_le_bytes(b.try_into().unwrap())),
            DType::I16 => f64::from(i16::from_le_bytes(b.try_into().unwrap())),
            DType::U32 => f64::from(u32::from_le_bytes(b.try_into().unwrap())),
            DType::I32 => f64::from(i32::from_le_bytes(b.try_into().unwrap())),
            DType::I64 => i64::from_le_bytes(b.try_into().unwrap()) as f64,
            DType::F16 => half::f16::from_le_bytes(b.try_into().unwrap()).to_f64(),
            DType::F32 => f64::from(f32::from_le_bytes(b.try_into().unwrap())),
            DType::F64 => f64::from_le_bytes(b.try_into().unwrap()),
        })
        .collect()
}

#[test]
fn real_pickles_are_read_exactly() {
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join("expected.json")).unwrap())
            .unwrap();
    let files = pickles(&folder());
    assert_eq!(files.len(), 2 * expected.as_object().unwrap().len());
    let mut samples = 0;
    for path in files {
        let file = path.file_name().unwrap().to_str().unwrap();
        let (_, case) = file.split_once('_').unwrap();
        let expected = expected[case].as_array().unwrap();
        let source = samples::open(&path).unwrap();
        assert_eq!(source.len(), expected.len(), "{file}");
        for (index, expected) in expected.iter().enumerate() {
            let shape = source.shape(index).unwrap();
            let values: Vec<f64> = serde_json::from_value(expected["values"].clone()).unwrap();
            assert_eq!(source.name(index), expected["name"].as_str().unwrap());
            assert_eq!(source.dtype(index).unwrap().name(), expected["dtype"]);
            assert_eq!(
                serde_json::json!(shape),
                expected["shape"],
                "{file} {index}"
            );
            let all: Vec<usize> = (0..shape[0]).collect();
            let read = source.read(index, &all).unwrap();
            assert!(
                read.iter()
                    .map(|v| f64::from(*v))
                    .eq(values.iter().copied()),
                "{file}, sample {index}: {read:?}"
            );
            let last = shape[0] - 1;
            assert_eq!(
                source
                    .read(index, &[last])
                    .unwrap()
                    .index_axis(ndarray::Axis(0), 0),
                read.index_axis(ndarray::Axis(0), last)
            );
            let (dtype, raw_shape, raw) = source.read_raw(index).unwrap();
            assert_eq!(raw_shape, shape);
            assert_eq!(numbers(dtype, &raw), values, "{file}, sample {index}, raw");
            samples += 1;
        }
    }
    assert!(samples > 500, "{samples}");
}

#[test]
fn hostile_pickles_are_refused() {
    let files = pickles(&folder().join("hostile"));
    assert!(files.len() >= 30);
    for path in &files {
        let error = match PickleSource::open(path).and_then(|source| read_all(&source)) {
            Ok(()) => panic!("{} was read", path.display()),
            Err(error) => error,
        };
        assert!(
            matches!(
                error,
                Error::Format {
                    offset: Some(_),
                    ..
                }
            ),
            "{}: {error}",
            path.display()
        );
        println!("{error}");
        assert!(samples::open(path).is_err());
    }
    // The command that several of them would run.
    for place in [
        std::env::current_dir().unwrap(),
        folder(),
        folder().join("hostile"),
    ] {
        assert!(!place.join("nephos-canary").exists());
    }
}

#[test]
fn every_cut_of_a_pickle_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("cut.pkl");
    for case in [
        "numpy1_dict_p0.pkl",
        "numpy2_dict_p2.pkl",
        "numpy2_shared_p5.pkl",
    ] {
        let whole = std::fs::read(folder().join(case)).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert!(PickleSource::open(&path).is_err(), "{case} cut to {len}");
        }
    }
}

/// What Python 2 wrote: `str` in quotes or as raw bytes, long integers.
#[test]
fn pickles_of_python_2_are_read() {
    let numbers = [0u16, 0x0a01, 0x5c27, 0x22ff, 513, 7];
    let raw: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    let head = b"(lp0\ncnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntp3\n\
        S'b'\np4\ntp5\nRp6\n(I1\n(L1L\nL2L\nL3L\ntp7\ncnumpy\ndtype\np8\n(S'u2'\np9\nI0\nI1\ntp10\n\
        Rp11\n(I3\nS'<'\np12\nNNNI-1\nI-1\nI0\ntp13\nbI00\n";
    let quoted = b"S\"\\x00\\0\\x01\\n'\\\\\xff\\\"\\001\\x02\\007\\0\"\n";
    let mut counted = b"T".to_vec();
    counted.extend((raw.len() as u32).to_le_bytes());
    counted.extend(&raw);
    for payload in [quoted.as_slice(), &counted] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [head, payload, b"tba."].concat()).unwrap();
        let source = PickleSource::open(file.path()).unwrap();
        let sample = source.read_raw(0).unwrap();
        assert_eq!(sample, (DType::U16, [1, 2, 3], raw.clone()));
    }
}

/// Too many operations are refused before they fill the memory.
#[test]
fn work_is_bounded() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for opcode in [b"]".as_slice(), b"N", b"(", b"})", b"N\x94"] {
        std::fs::write(file.path(), opcode.repeat((8 << 20) / opcode.len())).unwrap();
        let error = match PickleSource::open(file.path()) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("operations"), "{error}");
    }
}

/// Writes one array of each type with `Writer`, several of some.
fn write_types(path: &Path) -> Vec<(DType, [usize; 3], Vec<u8>)> {
    use DType::*;
    let arrays: Vec<_> = [
        Bool, U8, I8, U16, I16, U32, I32, I64, F16, F32, F64, U16, F32,
    ]
    .into_iter()
    .enumerate()
    .map(|(i, dtype)| {
        let shape = [1 + i % 3, 2, 300];
        let len = shape.iter().product::<usize>();
        let bytes: Vec<u8> = match dtype {
            Bool => (0..len).map(|v| (v % 2) as u8).collect(),
            F16 => (0..len)
                .flat_map(|v| half::f16::from_f32(v as f32 / 4.0).to_le_bytes())
                .collect(),
            F32 => (0..len)
                .flat_map(|v| (v as f32 / 4.0).to_le_bytes())
                .collect(),
            F64 => (0..len)
                .flat_map(|v| (v as f64 / 4.0).to_le_bytes())
                .collect(),
            _ => (0..len * dtype.size())
                .map(|v| (v * 7) as u8 & 0x7f)
                .collect(),
        };
        (dtype, shape, bytes)
    })
    .collect();
    let mut writer = Writer::new(std::fs::File::create(path).unwrap()).unwrap();
    for (dtype, shape, bytes) in &arrays {
        writer.push(*dtype, *shape, bytes).unwrap();
    }
    writer.finish().unwrap();
    arrays
}

#[test]
fn written_pickles_are_read_back_raw() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("types.pkl");
    let arrays = write_types(&path);
    let source = samples::open(&path).unwrap();
    assert_eq!(source.len(), arrays.len());
    for (index, array) in arrays.iter().enumerate() {
        assert_eq!(source.read_raw(index).unwrap(), *array);
    }
}

#[test]
fn numpy_reads_written_pickles() {
    let Some(mut python) = outside::python("numpy") else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("types.pkl");
    let arrays = write_types(&path);
    // Any warning is an error there.
    let script = "import pickle, sys, numpy\n\
        for a in pickle.load(open(sys.argv[1], 'rb')):\n    \
        assert type(a) is numpy.ndarray and a.flags.c_contiguous\n    \
        print(a.dtype.name, *a.shape, a.tobytes().hex())\n";
    let lines = outside::output(python.args(["-W", "error", "-c", script]).arg(&path));
    assert_eq!(lines.lines().count(), arrays.len());
    for (line, (dtype, [c, h, w], bytes)) in lines.lines().zip(arrays) {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(line, format!("{} {c} {h} {w} {hex}", dtype.name()));
    }
}

/// Peak and current resident memory of this process in bytes, where the system reports it.
fn resident(key: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// A pickle of five gigabytes whose numbers are a hole in the file.
#[test]
fn a_large_pickle_costs_little_to_open() {
    use std::io::{Seek, SeekFrom, Write};

    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("large.pkl");
    let shape = [15, 509, 509];
    let (side, count) = (shape.iter().product::<usize>() * 2, 650);
    // Head and tail of an array as the writer writes them, from a small pickle of
    // three: the last two arrays are alike.
    let mut writer = Writer::new(Vec::new()).unwrap();
    let small = vec![0xab; 4];
    for _ in 0..3 {
        writer.push(DType::U16, [1, 1, 2], &small).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let places: Vec<usize> = (0..bytes.len() - 3)
        .filter(|at| bytes[*at..].starts_with(&small))
        .collect();
    let resize = |head: &[u8]| {
        let mut head = head.to_vec();
        let end = head.len();
        head[end - 4..].copy_from_slice(&(side as u32).to_le_bytes());
        let old: Vec<u8> = [1u32, 1, 2]
            .iter()
            .flat_map(|v| [vec![b'J'], v.to_le_bytes().to_vec()].concat())
            .collect();
        let new: Vec<u8> = shape
            .iter()
            .flat_map(|v| [vec![b'J'], (*v as u32).to_le_bytes().to_vec()].concat())
            .collect();
        let at = head
            .windows(old.len())
            .position(|window| window == old)
            .unwrap();
        head[at..at + old.len()].copy_from_slice(&new);
        head
    };
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&resize(&bytes[..places[0]])).unwrap();
    for index in 0..count {
        if index > 0 {
            file.write_all(&resize(&bytes[places[0] + 4..places[1]]))
                .unwrap();
        }
        file.seek(SeekFrom::Current(side as i64)).unwrap();
    }
    file.write_all(&bytes[places[2] + 4..]).unwrap();
    drop(file);
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(len > 5_000_000_000, "{len}");

    let before = resident("VmRSS:");
    let start = std::time::Instant::now();
    let source = samples::open(&path).unwrap();
    let opened = start.elapsed();
    assert_eq!(source.len(), count);
    assert_eq!(source.shape(count - 1).unwrap(), shape);
    let image = source.read(count - 1, &[3, 2, 1]).unwrap();
    assert_eq!(image.dim(), (3, 509, 509));
    println!("opened {len} bytes in {opened:?}");
    if let (Some(before), Some(after)) = (before, resident("VmRSS:")) {
        println!("resident {before} before, {after} after");
        assert!(after.saturating_sub(before) < 64 << 20);
    }
    assert!(opened.as_secs_f64() < 5.0, "{opened:?}");
}

/// Reads `bytes` as a pickle; whatever comes, it is no panic.
fn survive(bytes: &[u8]) -> Result<(), TestCaseError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    if let Ok(source) = PickleSource::open(file.path()) {
        let _ = read_all(&source);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn arbitrary_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survive(&bytes)?;
    }

    #[test]
    fn opcodes_in_any_order_are_survived(
        codes in proptest::collection::vec(
            proptest::sample::select(b"N()]}tl0abesud2R1.K\x85\x86\x87\x88\x89\x93\x94h\x00\x01b".to_vec()), 0..200,
        )
    ) {
        survive(&codes)?;
    }

    #[test]
    fn mutated_pickles_are_survived(
        which in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let files = pickles(&folder());
        let mut bytes = std::fs::read(which.get(&files)).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        survive(&bytes)?;
    }

    #[test]
    fn any_array_is_written_and_read_back(
        shape in [1usize..4, 1usize..5, 1usize..6],
        seed in any::<u64>(),
        count in 1usize..4,
    ) {
        let mut writer = Writer::new(Vec::new()).unwrap();
        let arrays: Vec<Vec<u8>> = (0..count).map(|n| {
            (0..shape.iter().product::<usize>() * 8)
                .map(|i| (seed.wrapping_mul(i as u64 + 1).wrapping_add(n as u64) >> 32) as u8)
                .collect()
        }).collect();
        for bytes in &arrays {
            writer.push(DType::I64, shape, bytes).unwrap();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), writer.finish().unwrap()).unwrap();
        let source = PickleSource::open(file.path()).unwrap();
        prop_assert_eq!(source.len(), count);
        for (index, bytes) in arrays.iter().enumerate() {
            prop_assert_eq!(source.read_raw(index).unwrap(), (DType::I64, shape, bytes.clone()));
        }
    }
}
