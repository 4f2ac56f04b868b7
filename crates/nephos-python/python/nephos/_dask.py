"""Masks of lazy arrays, whose bytes do not depend on chunks.

A chunk of the mask is computed from its pixels and those around it that the whole array's windows
reach; windows are where they are in the whole array, however it is cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dask.array
import numpy as np
from dask.delayed import delayed

from . import _nephos
from ._arrays import Plane, as_array
from ._nephos import Model

# Dask's functions are not typed.
da: Any = dask.array


def predict_lazy(
    x: Any,
    model: Model,
    planes: Sequence[Plane],
    probabilities: bool,
    threads: int | None,
) -> Any:
    """The lazy mask `(y, x)` of a lazy array `(bands, y, x)`, in its chunks."""
    unstated = [name for name, scale, _, _ in planes if scale is None and name != "-"]
    if unstated:
        raise ValueError(
            f"{', '.join(unstated)}: of a lazy array nothing is inferred: say with scale_factor= and "
            "add_offset= how its numbers become reflectance, as in scale_factor=1e-4, add_offset=0"
        )
    if any(math.isnan(length) for length in x.shape):
        raise ValueError("an array whose size is not known: compute_chunk_sizes() finds it")
    size = (int(x.shape[1]), int(x.shape[2]))
    classes = len(model.classes)
    masks: list[list[Any]] = []
    shares: list[list[Any]] = []
    block = delayed(_block, pure=True, nout=2)
    row = 0
    for rows in x.chunks[1]:
        masks.append([])
        shares.append([])
        col = 0
        for cols in x.chunks[2]:
            if rows and cols:
                place = (row, col, rows, cols)
                top, left, height, width = _nephos.needed(model, size, place)
                around = x[:, top : top + height, left : left + width]
                mask, share = block(
                    around, model, list(planes), size, place, probabilities, threads or 1
                )
                mask = da.from_delayed(mask, (rows, cols), np.uint8, np.empty((0, 0), np.uint8))
                meta = np.empty((0, 0, 0), np.float32)
                share = da.from_delayed(share, (classes, rows, cols), np.float32, meta)
            else:
                mask = da.zeros((rows, cols), np.uint8, chunks=(rows, cols))
                share = da.zeros((classes, rows, cols), np.float32, chunks=(classes, rows, cols))
            masks[-1].append(mask)
            shares[-1].append(share)
            col += cols
        row += rows
    mask = da.block(masks)
    if not probabilities:
        return mask
    return mask, da.concatenate([da.concatenate(line, axis=2) for line in shares], axis=1)


def _block(
    x: Any,
    model: Model,
    planes: Sequence[Plane],
    size: tuple[int, int],
    place: tuple[int, int, int, int],
    probabilities: bool,
    threads: int,
) -> tuple[Any, Any]:
    """A chunk of the mask; `x` has the pixels that it needs. One thread: Dask runs several chunks
    at a time."""
    array = as_array(x, 3, "(bands, y, x)")[np.newaxis]
    return _nephos.predict_part(
        model, array, planes, size, place, probabilities=probabilities, threads=threads
    )
