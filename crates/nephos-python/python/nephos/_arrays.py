"""Masks of arrays."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _nephos
from ._nephos import Model

#: A model, `"tiny"`, or the path of one.
ModelLike: TypeAlias = "Model | str | os.PathLike[str]"
#: One number for all bands, or one for each (`None`: not stated).
PerBand: TypeAlias = "float | Sequence[float | None] | None"
Plane: TypeAlias = "tuple[str, float | None, float | None, float | None]"

Mask: TypeAlias = "NDArray[np.uint8]"
Probabilities: TypeAlias = "NDArray[np.float32]"

# Chips with a shorter side show the model little around a pixel.
_LEAST_SIDE = 64


@overload
def predict(
    x: NDArray[Any],
    model: ModelLike = ...,
    bands: Sequence[str] | None = ...,
    scale_factor: PerBand = ...,
    add_offset: PerBand = ...,
    nodata: PerBand = ...,
    resolution: float | None = ...,
    probabilities: Literal[False] = ...,
    dilate: float | None = ...,
    threads: int | None = ...,
    *,
    assume_reflectance: bool = ...,
) -> Mask: ...
@overload
def predict(
    x: NDArray[Any],
    model: ModelLike = ...,
    bands: Sequence[str] | None = ...,
    scale_factor: PerBand = ...,
    add_offset: PerBand = ...,
    nodata: PerBand = ...,
    resolution: float | None = ...,
    *,
    probabilities: Literal[True],
    dilate: float | None = ...,
    threads: int | None = ...,
    assume_reflectance: bool = ...,
) -> tuple[Mask, Probabilities]: ...
@overload
def predict(
    x: Any,
    model: ModelLike = ...,
    bands: Sequence[str] | None = ...,
    scale_factor: PerBand = ...,
    add_offset: PerBand = ...,
    nodata: PerBand = ...,
    resolution: float | None = ...,
    probabilities: bool = ...,
    dilate: float | None = ...,
    threads: int | None = ...,
    *,
    assume_reflectance: bool = ...,
) -> Any: ...
def predict(
    x: Any,
    model: ModelLike = "tiny",
    bands: Sequence[str] | None = None,
    scale_factor: PerBand = None,
    add_offset: PerBand = None,
    nodata: PerBand = None,
    resolution: float | None = None,
    probabilities: bool = False,
    dilate: float | None = None,
    threads: int | None = None,
    *,
    assume_reflectance: bool = False,
) -> Any:
    """The cloud mask of an array of satellite bands.

    Args:
        x: `(bands, y, x)`, stored numbers of any integer or floating-point format; NaN is no data. It
            is read where it lies, whatever its strides. A masked array's mask is no data. A lazy
            array of Dask gives a lazy mask, whose bytes do not depend on chunks; a `Dataset` or
            `DataArray` of xarray gives a `DataArray` (`nephos.xarray.predict`).
        model: a `Model`, `"tiny"`, or the path of a `.nephos` bundle.
        bands: the name of each band: STAC common names (`red`, `nir08`, `swir16`) or
            Sentinel-2's (`B04`); `-` for a plane to skip. Without it the planes are the model's
            bands in its order, all of them or red, green and blue alone.
        scale_factor: reflectance = stored × `scale_factor` + `add_offset`, as in the CF
            conventions; one number, or one for each band. Without it, it is inferred from number
            format and range, with a warning.
        add_offset: see `scale_factor`; in reflectance: -0.1 for Sentinel-2 of processing baseline
            04.00 and later.
        nodata: the stored number that means no data; NaN: no number does. Without it fills such as 0
            and -9999 are recognised, with a warning.
        resolution: side of a pixel in metres on the ground; for `dilate`.
        probabilities: return probabilities too.
        dilate: grow clouds and shadows by so many metres; takes `resolution`.
        threads: threads to compute on; without it a pool of one for each processor that this
            process may use, or `RAYON_NUM_THREADS`. The bytes are the same whatever the number.
        assume_reflectance: accept numbers that can't be reflectance as they are read, which are an
            error otherwise.

    Returns:
        `(y, x)` uint8: 0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 no data. With
        `probabilities` also `(classes, y, x)` float32 in [0, 1], NaN where there is no data.

    Raises:
        ValueError: bands that the model needs are not there; numbers that can't be reflectance and
            whose scale is not stated; options out of range.
        TypeError: `x` is no array of numbers.

    Warns:
        UserWarning: what was inferred or looks odd; the message names the argument that says it.

    >>> import numpy as np, nephos
    >>> x = np.full((4, 100, 120), 1500, np.uint16)  # reflectance × 10000 + 1000
    >>> x[:, :, 60:] = 9000
    >>> x[:, :10] = 0
    >>> mask = nephos.predict(
    ...     x, bands=["B04", "B03", "B02", "B08"], scale_factor=1e-4, add_offset=-0.1, nodata=0
    ... )
    >>> mask.shape, int(mask[0, 0]), int(mask[50, 20]), int(mask[50, 100])
    ((100, 120), 255, 0, 1)
    """
    if _is_xarray(x):
        from . import xarray as of_xarray

        return of_xarray.predict(
            x,
            model=model,
            bands=bands,
            scale_factor=scale_factor,
            add_offset=add_offset,
            nodata=nodata,
            resolution=resolution,
            probabilities=probabilities,
            dilate=dilate,
            threads=threads,
            assume_reflectance=assume_reflectance,
            stacklevel=3,
        )
    loaded = as_model(model)
    if is_lazy(x):
        from ._dask import predict_lazy

        check_axes(x, 3, "(bands, y, x)")
        planes = planes_of(x.shape[0], loaded, bands, scale_factor, add_offset, nodata, 3)
        if dilate is not None:
            raise ValueError("dilate= takes an array in memory: compute it first, or grow the mask")
        return predict_lazy(x, loaded, planes, probabilities, threads)
    array = as_array(x, 3, "(bands, y, x)")
    planes = planes_of(array.shape[0], loaded, bands, scale_factor, add_offset, nodata, 3)
    masks, shares = run(
        array[np.newaxis],
        loaded,
        planes,
        resolution=resolution,
        probabilities=probabilities,
        dilate=dilate,
        threads=threads,
        assume_reflectance=assume_reflectance,
        stacklevel=3,
    )
    return masks[0] if shares is None else (masks[0], shares[0])


def predict_batch(
    x: ArrayLike,
    model: ModelLike = "tiny",
    bands: Sequence[str] | None = None,
    scale_factor: PerBand = None,
    add_offset: PerBand = None,
    nodata: PerBand = None,
    resolution: float | None = None,
    probabilities: bool = False,
    dilate: float | None = None,
    threads: int | None = None,
    *,
    assume_reflectance: bool = False,
) -> Any:
    """The cloud masks of chips of one size.

    Args:
        x: `(n, bands, y, x)`. What is not stated is inferred from all chips together. The model
            sees a chip alone, and what is around it is better seen: chips with a side under 64
            pixels are warned of; from 128 on is better.

    The other arguments are those of `predict`.

    Returns:
        `(n, y, x)` uint8, and with `probabilities` also `(n, classes, y, x)` float32.

    >>> import numpy as np, nephos
    >>> chips = np.full((5, 3, 96, 96), 0.05, np.float32)
    >>> nephos.predict_batch(chips, bands=["red", "green", "blue"], scale_factor=1).shape
    (5, 96, 96)
    """
    loaded = as_model(model)
    array = as_array(x, 4, "(n, bands, y, x)")
    planes = planes_of(array.shape[1], loaded, bands, scale_factor, add_offset, nodata, 3)
    if array.shape[0] == 0:
        masks: Mask = np.empty((0, *array.shape[2:]), np.uint8)
        size = (0, len(loaded.classes), *array.shape[2:])
        return (masks, np.empty(size, np.float32)) if probabilities else masks
    if 0 < min(array.shape[2:]) < _LEAST_SIDE:
        rows, cols = array.shape[2:]
        warnings.warn(
            f"Chips of {rows} × {cols} pixels show the model little around a pixel: from 64 a side "
            "on masks are better, from 128 about as good as of whole scenes.",
            UserWarning,
            stacklevel=2,
        )
    masks, shares = run(
        array,
        loaded,
        planes,
        resolution=resolution,
        probabilities=probabilities,
        dilate=dilate,
        threads=threads,
        assume_reflectance=assume_reflectance,
        stacklevel=3,
    )
    return masks if shares is None else (masks, shares)


def run(
    array: NDArray[Any],
    model: Model,
    planes: Sequence[Plane],
    *,
    resolution: float | None,
    probabilities: bool,
    dilate: float | None,
    threads: int | None,
    assume_reflectance: bool,
    stacklevel: int,
) -> tuple[Mask, Probabilities | None]:
    """Masks of `(n, bands, y, x)`, with warnings."""
    masks, shares, notes = _nephos.predict(
        model,
        array,
        planes,
        resolution=resolution,
        assume_reflectance=assume_reflectance,
        probabilities=probabilities,
        dilate=dilate,
        threads=threads,
    )
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=stacklevel)
    return masks, shares


def as_model(model: ModelLike) -> Model:
    """The model itself."""
    return model if isinstance(model, Model) else Model(model)


def as_array(x: Any, axes: int, shape: str) -> NDArray[Any]:
    """The array as native code reads it: a view wherever its numbers allow one."""
    if isinstance(x, np.ma.MaskedArray):
        # Every number of 16 bits is one of float32.
        wide = np.result_type(x.dtype, np.float32)
        x = np.ma.filled(x.astype(wide), np.nan) if np.ma.is_masked(x) else x.data
    array = np.asarray(x)
    check_axes(array, axes, shape)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype == np.bool_ or array.dtype.kind not in "iuf":
        raise TypeError(f"an array of {array.dtype}: numbers are expected")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return np.require(array, requirements=["ALIGNED"])


def check_axes(x: Any, axes: int, shape: str) -> None:
    """Refuses another number of axes."""
    if x.ndim != axes:
        raise ValueError(f"an array of shape {tuple(x.shape)}: {shape} is expected")


def planes_of(
    count: int,
    model: Model,
    bands: Sequence[str] | None,
    scale_factor: PerBand,
    add_offset: PerBand,
    nodata: PerBand,
    stacklevel: int,
) -> list[Plane]:
    """What each of `count` planes is."""
    if isinstance(bands, str):
        raise TypeError("bands= takes a sequence of names, one for each band")
    names = list(bands) if bands is not None else _usual(count, model, stacklevel + 1)
    if len(names) != count:
        raise ValueError(f"bands= has {len(names)} names for {count} bands")
    columns = [
        _each(value, name, count)
        for name, value in (
            ("scale_factor", scale_factor),
            ("add_offset", add_offset),
            ("nodata", nodata),
        )
    ]
    return list(zip(names, *columns, strict=True))


def _usual(count: int, model: Model, stacklevel: int) -> list[str]:
    """Names for bands without names."""
    if count == len(model.bands):
        names = list(model.bands)
    elif count == 3 and {"red", "green", "blue"} <= set(model.bands):
        names = ["red", "green", "blue"]
    else:
        raise ValueError(
            f"{count} bands without names: say them with bands=, as in "
            f"bands={list(model.bands[:count])}; the model has {', '.join(model.bands)}"
        )
    warnings.warn(
        f"The {count} bands are taken as {', '.join(names)}; bands= names them otherwise.",
        UserWarning,
        stacklevel=stacklevel,
    )
    return names


def _each(value: PerBand, name: str, count: int) -> list[float | None]:
    each: Any = value
    if value is None or np.ndim(each) == 0:
        return [None if value is None else float(each)] * count
    values = [None if one is None else float(one) for one in each]
    if len(values) != count:
        raise ValueError(f"{name}= has {len(values)} numbers for {count} bands")
    return values


def _is_xarray(x: Any) -> bool:
    module = sys.modules.get("xarray")
    return module is not None and isinstance(x, (module.DataArray, module.Dataset))


def is_lazy(x: Any) -> bool:
    """Whether it is a Dask array."""
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(x, module.Array)
