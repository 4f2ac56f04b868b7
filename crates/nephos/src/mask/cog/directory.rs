//! TIFF's header and directories, little-endian (TIFF 6.0; BigTIFF as libtiff
//! has it).

/// A tag's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Short(Vec<u16>),
    Long(Vec<u32>),
    /// Positions in the file: 32 bits, in BigTIFF 64.
    Offsets(Vec<u64>),
    Double(Vec<f64>),
    /// Text, ended by a zero byte where the file has it.
    Ascii(String),
}

impl Value {
    /// Code of the type, and number of values.
    fn kind(&self, big: bool) -> (u16, usize) {
        match self {
            Self::Ascii(text) => (2, text.len() + 1),
            Self::Short(values) => (3, values.len()),
            Self::Long(values) => (4, values.len()),
            Self::Offsets(values) => (if big { 16 } else { 4 }, values.len()),
            Self::Double(values) => (12, values.len()),
        }
    }

    fn bytes(&self, big: bool) -> Vec<u8> {
        match self {
            Self::Ascii(text) => [text.as_bytes(), &[0]].concat(),
            Self::Short(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Long(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Offsets(values) if big => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Offsets(values) => {
                let low = |v: &u64| (*v as u32).to_le_bytes();
                values.iter().flat_map(low).collect()
            }
            Self::Double(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    fn length(&self, big: bool) -> usize {
        let (kind, count) = self.kind(big);
        count
            * match kind {
                2 => 1,
                3 => 2,
                4 => 4,
                _ => 8,
            }
    }
}

/// The bytes of a file before its first directory.
pub(super) fn header(big: bool) -> Vec<u8> {
    let mut bytes = b"II".to_vec();
    let structure = structure();
    if big {
        bytes.extend([43u16, 8, 0].iter().flat_map(|v| v.to_le_bytes()));
    } else {
        bytes.extend(42u16.to_le_bytes());
    }
    // The position of the first directory: right after what follows.
    let width = if big { 8 } else { 4 };
    let first = (bytes.len() + width + structure.len()).next_multiple_of(2);
    bytes.extend(&(first as u64).to_le_bytes()[..width]);
    bytes.extend(structure.as_bytes());
    bytes.resize(first, 0);
    bytes
}

/// What GDAL reads to recognise a COG's order (GDAL, COG driver, header ghost area).
fn structure() -> String {
    let structure = "LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\n\
                     BLOCK_LEADER=SIZE_AS_UINT4\nBLOCK_TRAILER=LAST_4_BYTES_REPEATED\n\
                     KNOWN_INCOMPATIBLE_EDITION=NO\n ";
    format!(
        "GDAL_STRUCTURAL_METADATA_SIZE={:06} bytes\n{structure}",
        structure.len()
    )
}

/// The tags of an image with their numbers, in ascending order.
pub(super) type Directory = Vec<(u16, Value)>;

/// Bytes of a directory with the values that don't fit into it.
pub(super) fn length(directory: &Directory, big: bool) -> usize {
    let (count, entry, inline) = sizes(big);
    let values = directory.iter().map(|(_, value)| value.length(big));
    let outside: usize = values
        .filter(|length| *length > inline)
        .map(|length| length.next_multiple_of(2))
        .sum();
    count + directory.len() * entry + inline + outside
}

/// Bytes of the number of entries, of an entry, and of its value.
fn sizes(big: bool) -> (usize, usize, usize) {
    if big { (8, 20, 8) } else { (2, 12, 4) }
}

/// A directory at byte `start`; the next one follows it unless it is
/// the `last`.
pub(super) fn encode(directory: &Directory, big: bool, start: u64, last: bool) -> Vec<u8> {
    let (count, entry, inline) = sizes(big);
    let length = length(directory, big);
    let place = |at: u64| at.to_le_bytes()[..inline].to_vec();
    let mut bytes = (directory.len() as u64).to_le_bytes()[..count].to_vec();
    let mut outside = Vec::new();
    let first_outside = start + (count + directory.len() * entry + inline) as u64;
    for (tag, value) in directory {
        let (kind, number) = value.kind(big);
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(&(number as u64).to_le_bytes()[..inline]);
        let mut data = value.bytes(big);
        if data.len() <= inline {
            data.resize(inline, 0);
            bytes.extend(data);
        } else {
            bytes.extend(place(first_outside + outside.len() as u64));
            data.resize(data.len().next_multiple_of(2), 0);
            outside.extend(data);
        }
    }
    bytes.extend(place(if last { 0 } else { start + length as u64 }));
    bytes.extend(outside);
    debug_assert_eq!(bytes.len(), length);
    bytes
}
