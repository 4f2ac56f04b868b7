//! The one error type of the library.
//!
//! Its kinds follow the question a user asks next: is my file broken
//! ([`Error::Format`]), is it something nephos does not do
//! ([`Error::Unsupported`]), did I ask for it wrongly ([`Error::Usage`]), is it
//! too large ([`Error::Limits`]), does the model give bad numbers ([`Error::Model`]), did the
//! machine fail ([`Error::Io`]), or did I stop it ([`Error::Cancelled`])?

use std::fmt;
use std::path::{Path, PathBuf};

use crate::text::{one_line, printable};

/// The result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the file and the place in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file does not hold what its format promises.
    #[error("{}{}: {}", Name(path), Place(*offset), printable(message))]
    Format {
        /// The file.
        path: PathBuf,
        /// Byte offset in the file, where it is known.
        offset: Option<u64>,
        /// What was found and what was expected.
        message: String,
    },
    /// A file or request is valid, but nephos does not handle it.
    #[error("{}: {}", one_line(subject), printable(message))]
    Unsupported {
        /// The file, option or device.
        subject: String,
        /// What is not supported, and what is.
        message: String,
    },
    /// A configuration or argument is wrong.
    #[error("{}", printable(.0))]
    Usage(String),
    /// Input asks for more than a stated bound.
    #[error("{}: {}", one_line(subject), printable(message))]
    Limits {
        /// The file or request.
        subject: String,
        /// The bound, and what was asked.
        message: String,
    },
    /// A model's output has another shape than its configuration says, or is not finite.
    #[error("{}", printable(.0))]
    Model(String),
    /// The caller stopped the work before its end.
    #[error("the run was stopped before its end, as asked")]
    Cancelled,
    /// The operating system refused a read or a write.
    #[error("{}: {source}", Name(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
}

/// Renders a path on one line: its name may hold anything.
struct Name<'a>(&'a Path);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.0.to_string_lossy()))
    }
}

/// Renders a byte offset as ` at byte N`, or as nothing.
struct Place(Option<u64>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// A [`Error::Format`] without a byte offset.
    pub fn format(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Format {
            path: path.as_ref().to_owned(),
            offset: None,
            message: message.into(),
        }
    }

    /// A [`Error::Format`] at byte `offset` of the file.
    pub fn format_at(path: impl AsRef<Path>, offset: u64, message: impl Into<String>) -> Self {
        Self::Format {
            path: path.as_ref().to_owned(),
            offset: Some(offset),
            message: message.into(),
        }
    }

    /// A [`Error::Unsupported`] about `subject`.
    pub fn unsupported(subject: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::Unsupported {
            subject: subject.to_string(),
            message: message.into(),
        }
    }

    /// A [`Error::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// A [`Error::Model`].
    pub fn model(message: impl Into<String>) -> Self {
        Self::Model(message.into())
    }

    /// A [`Error::Limits`] about `subject`.
    pub fn limits(subject: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::Limits {
            subject: subject.to_string(),
            message: message.into(),
        }
    }

    /// A [`Error::Io`] on `path`; use as `.map_err(|e| Error::io(path, e))`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_error_names_file_and_byte() {
        let error = Error::format_at("a.pkl", 17, "opcode 0x63 is not allowed");
        assert_eq!(
            error.to_string(),
            "a.pkl at byte 17: opcode 0x63 is not allowed"
        );
        assert_eq!(
            Error::format("b.tif", "cut off").to_string(),
            "b.tif: cut off"
        );
    }

    #[test]
    fn what_files_say_does_not_act_on_a_terminal() {
        let error = Error::format("a\u{1b}[2J\nb.tif", "band `\u{7}`");
        assert_eq!(error.to_string(), "a\\u001b[2J\\nb.tif: band `\\u0007`");
    }
}
