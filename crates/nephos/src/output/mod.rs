//! Outputs of a run: files that are either whole or not there, and that
//! overwrite no input.
//!
//! A command [declares](Declared) what it reads and what it will write before it computes:
//! an output that is an input is refused, and so is one that is there already, unless it is
//! to be overwritten and nephos wrote it.

mod atomic;
mod declared;
mod leftovers;
mod location;
mod ours;
mod software;

pub use atomic::write_atomic;
pub(crate) use atomic::{folder_of, spool};
pub use declared::{Declared, may_write};
pub(crate) use leftovers::remove_leftovers;
pub use leftovers::{abandoned, is_at};
pub(crate) use software::with_software;
