import os
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Path: TypeAlias = str | os.PathLike[str]
# Name, scale_factor, add_offset, nodata.
_Plane: TypeAlias = tuple[str, float | None, float | None, float | None]
# Row, column, rows, columns.
_Place: TypeAlias = tuple[int, int, int, int]

VERSION: str

class Model:
    """A trained model, ready to predict.

    Args:
        model: `"tiny"`, which comes with nephos, or the path of a `.nephos` bundle.
        sha256: refuse a file with another SHA-256.

    A model is read once in a process, whoever names it. Its pickle holds the path and the SHA-256,
    not the weights.

    >>> import nephos
    >>> model = nephos.Model("tiny")
    >>> model.bands[:4]
    ('blue', 'green', 'red', 'nir')
    >>> model.classes
    ('clear', 'thick_cloud', 'thin_cloud', 'cloud_shadow')
    """

    def __new__(cls, model: _Path = "tiny", sha256: str | None = None, /) -> Model: ...
    @property
    def path(self) -> str:
        """The name or path that it was read from."""
    @property
    def name(self) -> str:
        """As masks record it."""
    @property
    def sha256(self) -> str:
        """SHA-256 of its file, 64 hexadecimal digits."""
    @property
    def bands(self) -> tuple[str, ...]:
        """Names of its bands, in the order of its input."""
    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes, in the order of their codes."""
    @property
    def card(self) -> str:
        """Its model card (Markdown), or its configuration (TOML) where it has none."""
    def __dask_tokenize__(self) -> tuple[str, str]: ...

def common_names(names: Sequence[str], product: str) -> tuple[list[str | None], list[str]]: ...
def predict(
    model: Model,
    x: NDArray[Any],
    planes: Sequence[_Plane],
    *,
    resolution: float | None,
    assume_reflectance: bool,
    probabilities: bool,
    dilate: float | None,
    threads: int | None,
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None, list[str]]: ...
def needed(model: Model, size: tuple[int, int], place: _Place) -> _Place: ...
def predict_part(
    model: Model,
    x: NDArray[Any],
    planes: Sequence[_Plane],
    size: tuple[int, int],
    place: _Place,
    *,
    probabilities: bool,
    threads: int | None,
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]: ...
def predict_file(
    model: Model,
    scene: _Path,
    out: _Path,
    *,
    bands: Sequence[str] | None,
    scale_factor: float | None,
    add_offset: float | None,
    nodata: float | None,
    resolution: float | None,
    assume_reflectance: bool,
    side_outputs: Sequence[str],
    dilate: float | None,
    overwrite: bool,
    threads: int | None,
) -> tuple[str, list[str]]: ...
def evaluate(model: Model, samples: _Path, threads: int | None) -> tuple[str, list[str]]: ...
def summary(mask: NDArray[np.uint8], scene: str, model: str) -> str: ...
def train(
    config: _Path,
    out: _Path,
    *,
    set: Sequence[str],
    init: _Path | None,
    resume: bool,
    progress: Callable[[dict[str, Any]], object] | None,
    threads: int | None,
) -> tuple[str, str]: ...
def main(args: Sequence[str]) -> int: ...
