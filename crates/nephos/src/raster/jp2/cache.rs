//! Cache of the most recently decoded tiles.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// A tile's samples, row by row.
pub type Samples = Arc<Vec<u16>>;

/// One tile, decoded by the thread that asks first while others wait for it.
#[derive(Default)]
pub struct Slot(Mutex<Option<Samples>>);

impl Slot {
    /// The samples, decoded where they are not yet. `decode` must not run other tasks of
    /// the thread pool: they might wait for this slot.
    pub fn get(&self, decode: impl FnOnce() -> Result<Vec<u16>>) -> Result<Samples> {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(samples) = samples.as_ref() {
            return Ok(Arc::clone(samples));
        }
        let decoded = Arc::new(decode()?);
        *samples = Some(Arc::clone(&decoded));
        Ok(decoded)
    }
}

/// At most `capacity` tiles, the least recently requested dropped first.
pub struct Cache {
    capacity: usize,
    /// The tile requested last is the last.
    slots: Mutex<Vec<(usize, Arc<Slot>)>>,
}

impl Cache {
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            slots: Mutex::default(),
        }
    }

    /// The slot of a tile, as the one requested last; where the tile was dropped,
    /// `held`, the slot of the caller.
    pub fn slot(&self, tile: usize, held: Option<Arc<Slot>>) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match slots.iter().position(|(index, _)| *index == tile) {
            Some(position) => slots.remove(position).1,
            None => held.unwrap_or_default(),
        };
        slots.push((tile, Arc::clone(&slot)));
        if slots.len() > self.capacity {
            slots.remove(0);
        }
        slot
    }

    /// The slots of those tiles that are cached, kept alive so that what is decoded
    /// meanwhile does not drop them.
    pub fn hold(&self, tiles: &[usize]) -> Vec<Option<Arc<Slot>>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |tile: &usize| slots.iter().find(|(index, _)| index == tile);
        (tiles.iter())
            .map(|tile| find(tile).map(|(_, slot)| Arc::clone(slot)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn the_least_recently_used_tile_goes_first() {
        let cache = Cache::new(2);
        let decode = |tile: usize| {
            cache
                .slot(tile, None)
                .get(|| Ok(vec![tile as u16]))
                .unwrap()
        };
        let here = |tile: usize| cache.hold(&[tile])[0].is_some();
        decode(0);
        decode(1);
        decode(0);
        decode(2);
        assert!(here(0) && !here(1) && here(2));
        let again = cache
            .slot(0, None)
            .get(|| Err(Error::usage("decoded twice")));
        assert_eq!(*again.unwrap(), [0]);
    }

    #[test]
    fn a_failed_tile_is_tried_again() {
        let cache = Cache::new(2);
        assert!(
            cache
                .slot(0, None)
                .get(|| Err(Error::usage("broken")))
                .is_err()
        );
        assert_eq!(*cache.slot(0, None).get(|| Ok(vec![7])).unwrap(), [7]);
    }
}
