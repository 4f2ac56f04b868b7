//! Python pickles of NumPy arrays, read without Python and without running
//! anything.
//!
//! A pickle is a program for a stack machine that may call any function. This
//! machine executes only what NumPy writes for arrays of plain numbers (protocols 0
//! to 5, NumPy 1.x and 2.x); anything else is an error at its byte. Opening
//! skips over the numbers, so that it costs the same for 5 MB as for 5 GB.
//!
//! Format: Python's `pickletools` documents each opcode; NumPy's
//! `ndarray.__reduce_ex__` and `dtype.__reduce__` what is written with them.

pub(crate) mod cursor;
pub(crate) mod machine;
mod numpy;
pub(crate) mod payload;
mod source;
mod stack;
pub(crate) mod value;
mod writer;

pub use source::PickleSource;
pub use writer::{Writer, write_u16};
