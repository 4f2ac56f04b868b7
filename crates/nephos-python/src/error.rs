//! The library's errors as Python's exceptions.

use std::io::ErrorKind;

use nephos::Error;
use pyo3::exceptions::{
    PyFileExistsError, PyFileNotFoundError, PyKeyboardInterrupt, PyMemoryError, PyOSError,
    PyPermissionError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;

use crate::words::in_words_of_python;

/// The exception for an error: `OSError` where the system refused, `MemoryError` or `ValueError`
/// where the input asks for too much, `RuntimeError` for a broken model, else `ValueError`.
pub fn exception(error: Error) -> PyErr {
    let text = in_words_of_python(&error.to_string());
    match error {
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
            ErrorKind::PermissionDenied => PyPermissionError::new_err(text),
            ErrorKind::AlreadyExists => PyFileExistsError::new_err(text),
            ErrorKind::OutOfMemory => PyMemoryError::new_err(text),
            _ => PyOSError::new_err(text),
        },
        Error::Model(_) => PyRuntimeError::new_err(text),
        Error::Cancelled => PyKeyboardInterrupt::new_err(()),
        _ => PyValueError::new_err(text),
    }
}

/// The same of a result.
pub trait OrException<T> {
    /// The value, or the exception for the error.
    fn or_exception(self) -> PyResult<T>;
}

impl<T> OrException<T> for nephos::Result<T> {
    fn or_exception(self) -> PyResult<T> {
        self.map_err(exception)
    }
}
