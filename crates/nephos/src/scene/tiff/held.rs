//! The last large blocks that were decoded, held for whoever reads on in them.
//!
//! Small blocks are kept by each open file; a block of hundreds of megabytes is not, but
//! to decode it anew for every few rows takes minutes. So the last of them are held, of
//! all open files together.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// Bytes that are held at most: one of the largest blocks, or some smaller ones.
const HELD_BYTES: usize = super::grid::BLOCK_BYTES;

static HELD: Mutex<VecDeque<(Key, Arc<Vec<u8>>)>> = Mutex::new(VecDeque::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Which block: the image, the plane, and the block's first row and column.
type Key = (u64, usize, [usize; 2]);

/// The blocks of one image that are held; dropped with it.
#[derive(Debug)]
pub(super) struct Held {
    image: u64,
    /// Decoding one block at a time, no two threads decode the same.
    turn: Mutex<()>,
    /// Blocks decoded.
    #[cfg(test)]
    pub decoded: std::sync::atomic::AtomicUsize,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            image: NEXT.fetch_add(1, Ordering::Relaxed),
            turn: Mutex::default(),
            #[cfg(test)]
            decoded: Default::default(),
        }
    }
}

impl Held {
    /// The block of plane `plane` that begins at `place`, decoded by `decode` unless it is
    /// held.
    ///
    /// # Errors
    /// What `decode` returns.
    pub fn get(
        &self,
        plane: usize,
        place: [usize; 2],
        decode: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Arc<Vec<u8>>> {
        let key = (self.image, plane, place);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = find(key) {
            return Ok(block);
        }
        let block = Arc::new(decode()?);
        #[cfg(test)]
        self.decoded.fetch_add(1, Ordering::Relaxed);
        hold(key, &block);
        Ok(block)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|((image, ..), _)| *image != self.image);
    }
}

/// A block that is held, which then is the last to go.
fn find(key: Key) -> Option<Arc<Vec<u8>>> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let position = held.iter().position(|(own, _)| *own == key)?;
    let found = held.remove(position)?;
    let block = found.1.clone();
    held.push_back(found);
    Some(block)
}

/// Holds a block, and lets the oldest go until there is room.
fn hold(key: Key, block: &Arc<Vec<u8>>) {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes: usize = held.iter().map(|(_, block)| block.len()).sum();
    while bytes + block.len() > HELD_BYTES
        && let Some((_, oldest)) = held.pop_front()
    {
        bytes -= oldest.len();
    }
    if block.len() <= HELD_BYTES {
        held.push_back((key, block.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_decoded_once_and_goes_with_its_image() {
        let held = Held::default();
        let mut decoded = 0;
        for _ in 0..3 {
            let block = held.get(0, [0, 0], || {
                decoded += 1;
                Ok(vec![7; 100])
            });
            assert_eq!(*block.unwrap(), [7; 100]);
        }
        assert_eq!(decoded, 1);
        held.get(1, [0, 0], || Ok(vec![8; 100])).unwrap();
        let key = (held.image, 1, [0, 0]);
        assert!(find(key).is_some());
        drop(held);
        assert!(find(key).is_none());
    }
}
