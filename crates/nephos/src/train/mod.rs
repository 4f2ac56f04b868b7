//! The training loop: losses, schedule, precision, checkpoints.
