//! From an image to class scores.
