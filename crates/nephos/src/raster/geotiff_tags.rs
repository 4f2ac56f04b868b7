//! The TIFF tags of a georeference (OGC 19-008r4).

/// ModelPixelScaleTag.
pub(crate) const PIXEL_SCALE: u16 = 33550;
/// ModelTiepointTag.
pub(crate) const TIEPOINTS: u16 = 33922;
/// ModelTransformationTag.
pub(crate) const TRANSFORMATION: u16 = 34264;
/// GeoKeyDirectoryTag.
pub(crate) const KEY_DIRECTORY: u16 = 34735;
/// GeoDoubleParamsTag.
pub(crate) const KEY_DOUBLES: u16 = 34736;
/// GeoAsciiParamsTag.
pub(crate) const KEY_ASCII: u16 = 34737;
/// RPCCoefficientTag, of GDAL and others.
pub(crate) const RPC_COEFFICIENTS: u16 = 50844;
