//! Report on a file of weights.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use nephos::Error;
use nephos::text::{self, one_line};
use nephos::weights::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest header of a safetensors file that is read; the format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// What a file of weights holds.
#[derive(Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    /// Numbers in all tensors together.
    parameters: usize,
    tensors: Vec<Tensor>,
    /// Metadata of a nephos bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<Bundle>,
}

#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Bundle {
    nephos_version: Option<String>,
    /// The training history in short.
    summary: Option<Value>,
    /// The configuration, in TOML.
    config: Option<String>,
}

/// A PyTorch state dict.
pub fn torch(path: &Path) -> nephos::Result<Report> {
    let tensors = nephos::weights::torch::read(path)?;
    let tensor = |(name, shape, _): (String, Vec<usize>, Vec<f32>)| Tensor {
        name,
        dtype: "F32".to_owned(),
        shape,
    };
    Ok(Report::new(
        "PyTorch state dict, read as float32",
        tensors.into_iter().map(tensor).collect(),
        None,
    ))
}

/// One tensor in the header of a safetensors file.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// A safetensors file, which may be a nephos bundle; only its header is read.
pub fn safetensors(path: &Path) -> nephos::Result<Report> {
    let io = |e| Error::io(path, e);
    let bytes = Bytes::of(path)?;
    let (mut file, size) = (&bytes[..], bytes.len() as u64);
    let broken = |message: String| Error::format(path, format!("safetensors header: {message}"));
    let mut len = [0; 8];
    file.read_exact(&mut len).map_err(io)?;
    let len = u64::from_le_bytes(len);
    if len > LONGEST_HEADER || len + 8 > size {
        return Err(broken(format!("{len} bytes long, in a file of {size}")));
    }
    let mut header = Vec::new();
    file.take(len).read_to_end(&mut header).map_err(io)?;
    let mut header: serde_json::Map<String, Value> =
        serde_json::from_slice(&header).map_err(|e| broken(e.to_string()))?;
    let metadata: BTreeMap<String, String> = match header.remove("__metadata__") {
        Some(metadata) => serde_json::from_value(metadata).map_err(|e| broken(e.to_string()))?,
        None => BTreeMap::new(),
    };
    let mut tensors = Vec::new();
    for (name, value) in header {
        let entry: Entry =
            serde_json::from_value(value).map_err(|e| broken(format!("`{name}`: {e}")))?;
        let [start, end] = entry.data_offsets;
        if start > end || end > size - 8 - len {
            return Err(broken(format!("`{name}` is past the end of the file")));
        }
        let count = entry
            .shape
            .iter()
            .try_fold(1usize, |n, axis| n.checked_mul(*axis));
        if count.is_none_or(|count| count as u64 > 8 * (end - start)) {
            return Err(broken(format!("`{name}` is too small for its shape")));
        }
        tensors.push((
            start,
            Tensor {
                name,
                dtype: entry.dtype,
                shape: entry.shape,
            },
        ));
    }
    // In the order of the file.
    tensors.sort_by_key(|(start, _)| *start);
    let bundle = (metadata.get("format").map(String::as_str) == Some("nephos")).then(|| Bundle {
        nephos_version: metadata.get("nephos_version").cloned(),
        summary: metadata
            .get("summary")
            .and_then(|text| serde_json::from_str(text).ok()),
        config: metadata.get("config").cloned(),
    });
    Ok(Report::new(
        match bundle {
            Some(_) => "nephos bundle",
            None => "safetensors",
        },
        tensors.into_iter().map(|(_, tensor)| tensor).collect(),
        bundle,
    ))
}

impl Report {
    fn new(kind: &'static str, tensors: Vec<Tensor>, bundle: Option<Bundle>) -> Self {
        let count = |tensor: &Tensor| tensor.shape.iter().product::<usize>();
        Self {
            kind,
            parameters: tensors.iter().map(count).sum(),
            tensors,
            bundle,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {}, {}",
            self.kind,
            text::count(self.tensors.len(), "tensor"),
            text::count(self.parameters, "parameter")
        )?;
        let width = self.tensors.iter().map(|tensor| tensor.name.len()).max();
        let width = width.unwrap_or(0);
        writeln!(f)?;
        for Tensor { name, dtype, shape } in &self.tensors {
            let (name, dtype) = (one_line(name), one_line(dtype));
            writeln!(f, "  {name:<width$}  {dtype:<5} {shape:?}")?;
        }
        let Some(bundle) = &self.bundle else {
            return Ok(());
        };
        if let Some(version) = &bundle.nephos_version {
            writeln!(f, "\nwritten by nephos {}", one_line(version))?;
        }
        if let Some(Value::Object(summary)) = &bundle.summary {
            writeln!(f, "\ntraining")?;
            for (key, value) in summary.iter().filter(|(_, value)| !value.is_null()) {
                writeln!(f, "  {key}: {value}")?;
            }
        }
        if let Some(config) = &bundle.config {
            writeln!(f, "\nconfiguration")?;
            for line in config.lines() {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}
