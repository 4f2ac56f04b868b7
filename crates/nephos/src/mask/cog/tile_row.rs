//! The rows of a row of tiles, until it is full.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// Rows of so many bytes together are kept in memory.
const MEMORY: usize = 32 << 20;

/// Rows of one length, in memory or, where they are many bytes, in a file: memory does not grow
/// with the raster's width.
pub(super) struct TileRow {
    /// Bytes of a row.
    line: usize,
    rows: usize,
    place: Place,
}

enum Place {
    Memory(Vec<u8>),
    File(Mutex<File>),
}

impl TileRow {
    /// For at most `most` rows of `line` bytes; `file` makes a file where they are too many.
    ///
    /// # Errors
    /// What `file` returns.
    pub fn new<E>(
        line: usize,
        most: usize,
        file: impl FnOnce() -> Result<File, E>,
    ) -> Result<Self, E> {
        let place = match line.saturating_mul(most) <= MEMORY {
            true => Place::Memory(Vec::with_capacity(line * most)),
            false => Place::File(Mutex::new(file()?)),
        };
        Ok(Self {
            line,
            rows: 0,
            place,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row.
    pub fn push(&mut self, row: &[u8]) -> io::Result<()> {
        debug_assert_eq!(row.len(), self.line);
        match &mut self.place {
            Place::Memory(rows) => rows.extend_from_slice(row),
            Place::File(file) => {
                let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
                file.write_all(row)?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Copies the bytes from `first` on of each row into `to`, a row every `stride` bytes.
    pub fn copy(&self, first: usize, bytes: usize, to: &mut [u8], stride: usize) -> io::Result<()> {
        let lines = to.chunks_exact_mut(stride).take(self.rows);
        match &self.place {
            Place::Memory(rows) => {
                for (to, row) in lines.zip(rows.chunks_exact(self.line)) {
                    to[..bytes].copy_from_slice(&row[first..first + bytes]);
                }
            }
            Place::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                for (row, to) in lines.enumerate() {
                    file.seek(SeekFrom::Start((row * self.line + first) as u64))?;
                    file.read_exact(&mut to[..bytes])?;
                }
            }
        }
        Ok(())
    }

    /// Makes ready for the next rows.
    pub fn clear(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Memory(rows) => rows.clear(),
            Place::File(file) => {
                let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(0))?;
            }
        }
        self.rows = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_in_memory_and_in_a_file() {
        let line = 1000;
        let row =
            |number: usize| -> Vec<u8> { (0..line).map(|at| (at * number % 251) as u8).collect() };
        let make = |most: usize| {
            let mut made = false;
            let rows = TileRow::new(line, most, || {
                made = true;
                tempfile::tempfile()
            });
            (rows.unwrap(), made)
        };
        let (mut small, in_file) = make(3);
        assert!(!in_file);
        let (mut large, in_file) = make(1 << 20);
        assert!(in_file);
        for round in 1..3 {
            for number in 0..3 {
                small.push(&row(round + number)).unwrap();
                large.push(&row(round + number)).unwrap();
            }
            let mut found = [vec![9; 4 * 50], vec![9; 4 * 50]];
            small.copy(990, 10, &mut found[0], 50).unwrap();
            large.copy(990, 10, &mut found[1], 50).unwrap();
            assert_eq!(found[0], found[1]);
            assert_eq!(found[0][50..60], row(round + 1)[990..]);
            assert_eq!(found[0][160], 9, "there are three rows");
            small.clear().unwrap();
            large.clear().unwrap();
        }
    }
}
