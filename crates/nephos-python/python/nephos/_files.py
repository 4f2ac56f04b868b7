"""Masks of files."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from typing import Any

from . import _nephos
from ._arrays import ModelLike, as_model


def predict_files(
    scene: str | os.PathLike[str],
    out: str | os.PathLike[str],
    model: ModelLike = "tiny",
    bands: Sequence[str] | None = None,
    scale_factor: float | None = None,
    add_offset: float | None = None,
    nodata: float | None = None,
    resolution: float | None = None,
    dilate: float | None = None,
    threads: int | None = None,
    *,
    side_outputs: Sequence[str] = (),
    overwrite: bool = False,
    assume_reflectance: bool = False,
) -> dict[str, Any]:
    """Predicts a scene as agencies deliver it and writes its mask, as `nephos predict` does.

    Args:
        scene: a Sentinel-2 SAFE folder or its zip, a Landsat folder, a GeoTIFF, a folder of
            bands, a PNG or JPEG.
        out: the mask: `.tif` (a Cloud-Optimised GeoTIFF), `.png` or `.npy`.
        bands, scale_factor, add_offset, nodata: in place of what the scene's metadata state; see
            `predict`. `add_offset` takes `scale_factor` with it.
        resolution: metres of the grid that all bands of a Sentinel-2 product are brought to: 10,
            20 or 60.
        dilate: grow clouds and shadows by so many metres.
        side_outputs: files beside the mask: `probabilities`, `cloud`, `polygons`, `stac`,
            `quicklook`, `style`, `summary`.
        overwrite: replace files that nephos wrote before.

    Memory does not grow with the scene's height. A file is whole or not there.

    Returns:
        `scene`, `model` and what `summary` returns.

    Raises:
        ValueError: the scene is none that nephos reads or is broken, or lacks a band; a file of
            `out` is there already.
        OSError: a file can't be read or written.

    >>> import nephos
    >>> found = nephos.predict_files(scene, mask)  # doctest: +SKIP
    """
    text, notes = _nephos.predict_file(
        as_model(model),
        os.fspath(scene),
        os.fspath(out),
        bands=bands,
        scale_factor=scale_factor,
        add_offset=add_offset,
        nodata=nodata,
        resolution=resolution,
        assume_reflectance=assume_reflectance,
        side_outputs=list(side_outputs),
        dilate=dilate,
        overwrite=overwrite,
        threads=threads,
    )
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    found: dict[str, Any] = json.loads(text)
    return found
