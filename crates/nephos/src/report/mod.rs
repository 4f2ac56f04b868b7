//! Scores, curves and pictures.
