"""What a user's program looks like to mypy --strict."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import nephos


def cloud_cover(stored: NDArray[np.uint16]) -> float | None:
    model = nephos.Model("tiny")
    bands: tuple[str, ...] = model.bands
    mask: NDArray[np.uint8] = nephos.predict(stored, model, bands=bands, scale_factor=1e-4)
    same, probabilities = nephos.predict(
        stored, "tiny", bands=["red", "green", "blue"], scale_factor=[1e-4] * 3, probabilities=True
    )
    shares: NDArray[np.float32] = probabilities
    assert shares.shape[0] == len(model.classes) and (same == mask).all()
    found: dict[str, Any] = nephos.summary(mask)
    cover: float | None = found["cloud_cover"]
    return cover


def files(scene: str) -> dict[str, Any]:
    return nephos.predict_files(scene, "mask.tif", side_outputs=["stac"])


def run(folder: str) -> list[dict[str, Any]]:
    def show(event: dict[str, Any]) -> None:
        print(event["event"])

    history: list[dict[str, Any]] = nephos.train("tiny", folder, progress=show)["history"]
    return history
