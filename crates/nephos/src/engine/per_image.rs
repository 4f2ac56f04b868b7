//! Data parallelism over images: each is computed by one thread.
//!
//! A stem and stages are many short loops over little memory. Threads that share every
//! loop wait for each other at its end; a thread that has an image of its own does not,
//! and finds the features in its cache.

use std::sync::{Mutex, PoisonError};

use super::inference::{Engine, Scratch};

/// Whether there are images enough of a network that gains by it.
pub(super) fn suits(engine: &Engine, [batch, _, _]: [usize; 3]) -> bool {
    let threads = rayon::current_num_threads();
    !engine.layers.stem.is_empty() && threads > 1 && batch >= threads
}

/// As [`Engine::forward`]: an image's scores do not depend on the others'.
pub(super) fn forward(
    engine: &Engine,
    images: &[f32],
    sizes: [usize; 3],
    scratch: &mut Scratch,
    logits: &mut [f32],
) {
    let [image, scores] = engine.check(images, sizes, logits);
    let [_, height, width] = sizes;
    let threads = rayon::current_num_threads();
    if scratch.others.len() < threads {
        scratch.others.resize_with(threads, Scratch::default);
    }
    let rest = Mutex::new(
        images
            .chunks_exact(image)
            .zip(logits.chunks_exact_mut(scores)),
    );
    let next = || rest.lock().unwrap_or_else(PoisonError::into_inner).next();
    // As many tasks as threads, each of which takes images until none is left: a task an
    // image would start within another where that waits for a part of a loop.
    rayon::scope(|scope| {
        for scratch in &mut scratch.others[..threads] {
            scope.spawn(|_| {
                while let Some((image, logits)) = next() {
                    let sizes = [1, height, width];
                    engine.forward_watched(image, sizes, scratch, logits, &mut |_| ());
                }
            });
        }
    });
}
