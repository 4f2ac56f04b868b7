//! What goes out: class masks as GeoTIFF and PNG.
