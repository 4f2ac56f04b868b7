"""Cloud masks for Sentinel-2 and Landsat.

Every pixel becomes clear (0), thick cloud (1), thin cloud (2) or cloud shadow (3); 255 is no data.

>>> import numpy as np, nephos
>>> x = np.full((3, 64, 64), 0.1, np.float32)  # reflectance of red, green and blue
>>> mask = nephos.predict(x, bands=["red", "green", "blue"], scale_factor=1)
>>> mask.shape, mask.dtype
((64, 64), dtype('uint8'))

`predict` takes arrays in memory, lazy ones of Dask, and xarray's (`nephos.xarray`);
`predict_files` takes what agencies deliver. All of them need NumPy alone.
"""

from ._arrays import predict, predict_batch
from ._files import predict_files
from ._masks import CLASSES, NODATA, clear, summary
from ._nephos import VERSION as __version__
from ._nephos import Model
from ._samples import evaluate, train

__all__ = [
    "CLASSES",
    "NODATA",
    "Model",
    "__version__",
    "clear",
    "evaluate",
    "predict",
    "predict_batch",
    "predict_files",
    "summary",
    "train",
]
