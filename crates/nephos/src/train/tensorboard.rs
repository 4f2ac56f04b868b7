//! Scalars for TensorBoard: an event file of TFRecords.
//!
//! A record is the length of its payload (u64), a masked CRC-32C of the length,
//! the payload, and a masked CRC-32C of the payload, all little-endian
//! (tensorflow/core/lib/io/record_writer.h). The payload is a protocol buffer
//! `Event` { double wall_time = 1; int64 step = 2; string file_version = 3;
//! Summary summary = 5 }, `Summary` { repeated Value value = 1 }, `Value`
//! { string tag = 1; float simple_value = 2 }.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// Name of the event file in a run's folder; TensorBoard looks for `tfevents`.
pub const FILE_NAME: &str = "events.out.tfevents.nephos";

/// Prefix of the tags of values that are written once per epoch.
pub(super) const EPOCH: &str = "epoch/";

/// Appends scalars to an event file.
#[derive(Debug)]
pub struct EventWriter {
    file: BufWriter<File>,
    path: PathBuf,
}

impl EventWriter {
    /// Opens `path` to continue after optimiser step `step`, when `epochs_end`
    /// was the step of the last finished epoch: later records, and a record cut
    /// off by a crash, are dropped. A missing file is created.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn open(path: &Path, step: u64, epochs_end: u64) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(fail(e)),
        };
        let records = Records {
            bytes: &bytes,
            end: 0,
        };
        let complete = records
            .take_while(|(_, payload)| {
                let event = Event::read(payload);
                event.step <= step
                    && (event.step <= epochs_end
                        || !event.tags.iter().any(|t| t.starts_with(EPOCH)))
            })
            .last()
            .map_or(0, |(end, _)| end);
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(fail)?;
        file.set_len(complete as u64).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        let mut writer = Self {
            file: BufWriter::new(file),
            path: path.to_owned(),
        };
        if complete == 0 {
            let mut event = wall_time();
            field_bytes(&mut event, 3, b"brain.Event:2");
            writer.record(&event)?;
        }
        Ok(writer)
    }

    /// Appends one event with the values of `scalars` (tag, value) at `step`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            field_bytes(&mut entry, 1, tag.as_bytes());
            entry.push(2 << 3 | 5);
            entry.extend((*value as f32).to_le_bytes());
            field_bytes(&mut summary, 1, &entry);
        }
        let mut event = wall_time();
        event.push(2 << 3);
        varint(&mut event, step);
        field_bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    /// Hands everything written to the operating system.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::io(&self.path, e))
    }

    fn record(&mut self, payload: &[u8]) -> Result<()> {
        let length = (payload.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(payload.len() + 16);
        record.extend(length);
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(payload);
        record.extend(masked_crc(payload).to_le_bytes());
        self.file
            .write_all(&record)
            .map_err(|e| Error::io(&self.path, e))
    }
}

/// A protocol buffer that so far holds the time only.
fn wall_time() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut event = vec![1 << 3 | 1];
    event.extend(now.map_or(0.0, |t| t.as_secs_f64()).to_le_bytes());
    event
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), rotated and offset as
/// TFRecords require, so that a checksum of checksums is not degenerate.
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82F6_3B78 * (crc & 1))
        })
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The whole, undamaged records at the head of a file: the offset where each
/// ends, and its payload.
struct Records<'a> {
    bytes: &'a [u8],
    end: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.end..)?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (length_crc, rest) = rest.split_first_chunk::<4>()?;
        if masked_crc(length).to_le_bytes() != *length_crc {
            return None;
        }
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let payload = rest.get(..length)?;
        let (crc, _) = rest.get(length..)?.split_first_chunk::<4>()?;
        if masked_crc(payload).to_le_bytes() != *crc {
            return None;
        }
        self.end += 16 + length;
        Some((self.end, payload))
    }
}

/// The parts of an event that decide whether it is retained.
#[derive(Default)]
struct Event {
    step: u64,
    tags: Vec<String>,
}

impl Event {
    fn read(payload: &[u8]) -> Self {
        let mut event = Self::default();
        for (field, value) in Fields(payload) {
            match (field, value) {
                (2, Field::Number(step)) => event.step = step,
                (5, Field::Bytes(summary)) => event.tags.extend(tags(summary)),
                _ => {}
            }
        }
        event
    }
}

/// The tags of a summary.
fn tags(summary: &[u8]) -> Vec<String> {
    let bytes = |(_, field)| match field {
        Field::Bytes(bytes) => Some(bytes),
        _ => None,
    };
    Fields(summary)
        .filter_map(bytes)
        .filter_map(|value| Fields(value).find(|(field, _)| *field == 1).and_then(bytes))
        .map(|tag| String::from_utf8_lossy(tag).into_owned())
        .collect()
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a protocol buffer; ends at the first that makes no sense.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(path: &Path) -> Vec<(u64, Vec<String>)> {
        let bytes = std::fs::read(path).unwrap();
        Records {
            bytes: &bytes,
            end: 0,
        }
        .map(|(_, payload)| {
            let event = Event::read(payload);
            (event.step, event.tags)
        })
        .collect()
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // CRC-32C of "123456789" is 0xE3069283 (RFC 3720's polynomial).
        let crc = 0xE306_9283u32;
        let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_crc(b"123456789"), masked);
    }

    #[test]
    fn a_resumed_file_drops_what_comes_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let mut writer = EventWriter::open(&path, 0, 0).unwrap();
        for step in 1..=300 {
            writer.scalars(step, &[("train/loss", 0.5)]).unwrap();
        }
        writer.scalars(300, &[("epoch/val_loss", 0.5)]).unwrap();
        writer.flush().unwrap();
        drop(writer);
        // A record that a crash cut off.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[9, 0, 0, 0, 0]).unwrap();
        drop(file);

        // Stopped before validation: the epoch's record will come again.
        drop(EventWriter::open(&path, 300, 0).unwrap());
        assert_eq!(steps(&path).len(), 301);
        let mut writer = EventWriter::open(&path, 200, 0).unwrap();
        writer.scalars(201, &[("train/loss", 0.25)]).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let steps = steps(&path);
        assert_eq!(steps.len(), 202);
        assert_eq!(steps[201], (201, vec!["train/loss".to_owned()]));
    }

    /// TensorBoard's own reader, where Python has it.
    #[test]
    fn tensorboard_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let mut writer = EventWriter::open(&path, 0, 0).unwrap();
        writer
            .scalars(1, &[("train/loss", 0.5), ("train/lr", 1e-4)])
            .unwrap();
        writer.scalars(70000, &[("train/loss", 0.25)]).unwrap();
        writer.flush().unwrap();
        let python = std::env::var("NEPHOS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = "import sys\n\
            try:\n from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
            except ImportError: sys.exit(77)\n\
            a = EventAccumulator(sys.argv[1]); a.Reload()\n\
            print([(e.step, e.value) for e in a.Scalars('train/loss')])";
        let run = std::process::Command::new(python)
            .args(["-c", script])
            .arg(&path)
            .output();
        match run {
            Ok(run) if run.status.success() => {
                let text = String::from_utf8_lossy(&run.stdout).trim().to_owned();
                assert_eq!(text, "[(1, 0.5), (70000, 0.25)]");
            }
            Ok(run) if run.status.code() != Some(77) => {
                panic!("{}", String::from_utf8_lossy(&run.stderr))
            }
            _ => {
                // Past the harness, which keeps what a passing test prints.
                let line = b"SKIPPED: no Python with tensorboard (set NEPHOS_PYTHON)\n";
                std::io::Write::write_all(&mut std::io::stderr(), line).unwrap();
            }
        }
    }
}
