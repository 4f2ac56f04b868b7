"""What is in a mask."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from . import _nephos

#: Names of the classes by their codes.
CLASSES = ("clear", "thick_cloud", "thin_cloud", "cloud_shadow")
#: The code of pixels without data.
NODATA = 255


def clear(mask: Any, *, thin: bool = False, shadow: bool = False) -> Any:
    """Where a mask is clear: a boolean array of its kind and shape.

    Args:
        mask: a mask of `predict`: of NumPy, Dask or xarray.
        thin: count thin cloud as clear.
        shadow: count cloud shadow as clear.

    Pixels without data are not clear.

    >>> import numpy as np, nephos
    >>> nephos.clear(np.array([[0, 1, 2, 3, 255]], np.uint8))
    array([[ True, False, False, False, False]])
    """
    kept = mask == 0
    if thin:
        kept = kept | (mask == 2)
    if shadow:
        kept = kept | (mask == 3)
    return kept


def summary(mask: Any) -> dict[str, Any]:
    """Counts and shares of the classes of a mask, as `nephos predict --json` has them.

    Args:
        mask: uint8 of any shape: of NumPy, Dask or xarray. Codes above 3 are no data.

    Returns:
        `valid` and `no_data` pixels, `cloud_cover` (thick and thin cloud, per cent of the valid
        pixels; `None` without any), and `classes`: `code`, `name`, `pixels` and `percent` of each.

    >>> import numpy as np, nephos
    >>> nephos.summary(np.array([[0, 1, 2, 0, 255]], np.uint8))["cloud_cover"]
    50.0
    """
    codes = np.asarray(mask)
    if codes.dtype != np.uint8:
        raise TypeError(f"a mask of {codes.dtype}: uint8 is expected")
    text = _nephos.summary(codes.reshape(1, -1), "", "")
    found: dict[str, Any] = json.loads(text)
    # Of a file these name scene and model.
    del found["scene"], found["model"]
    return found
