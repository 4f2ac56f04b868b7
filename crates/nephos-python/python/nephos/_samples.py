"""Labelled samples: scores and training."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import _nephos
from ._arrays import ModelLike, as_model


def evaluate(
    samples: str | os.PathLike[str], model: ModelLike = "tiny", threads: int | None = None
) -> dict[str, Any]:
    """Scores a model on labelled samples, as `nephos evaluate` does.

    Args:
        samples: a pickle, `.npy`, `.npz`, a CloudSEN12+ container, or a folder with `image/` and
            `label/`.

    Returns:
        `loss` (cross-entropy in nats), `scores` (`miou`, `overall_accuracy`, `classes`, `cloud`, …,
        each in [0, 1]), `confusion`, `expected_calibration_error`, and `samples`, one by one.

    >>> import nephos
    >>> nephos.evaluate(samples)["scores"]["pixels"] > 0
    True
    """
    text, notes = _nephos.evaluate(as_model(model), os.fspath(samples), threads)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    found: dict[str, Any] = json.loads(text)
    return found


def train(
    config: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    set: Mapping[str, Any] | Sequence[str] = (),
    init: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Callable[[dict[str, Any]], object] | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Trains a model on a CPU, as `nephos train` does. It needs no other package.

    Args:
        config: a configuration that comes with nephos (`nephos config`), or a TOML file.
        out: folder of the run: `best.nephos`, `last.nephos`, `history.csv`, a checkpoint.
        set: keys of the configuration, as in `{"data.train": "samples", "train.epochs": 2}`.
        init: weights to start from.
        resume: continue the run in `out`.
        progress: called with a `dict` for each note, batch, validation batch and epoch; `event` says
            which it is. What it raises stops the run, and is raised here.

    Ctrl-C saves a checkpoint, as the command does, and raises `KeyboardInterrupt`.

    Returns:
        `ending` (`finished`, `stopped early` or `interrupted`), `history` (a `dict` for each epoch),
        `best` and `last` (paths of the weights).

    >>> import nephos
    >>> keys = {"data.train": samples, "data.val_fraction": 0.34, "train.epochs": 1}
    >>> run = nephos.train("tiny", folder, set={**keys, "train.batch_size": 2})
    >>> run["ending"], len(run["history"])
    ('finished', 1)
    """
    keys = list(set) if not isinstance(set, Mapping) else [f"{k}={_toml(v)}" for k, v in set.items()]
    ending, history = _nephos.train(
        os.fspath(config),
        os.fspath(out),
        set=keys,
        init=init,
        resume=resume,
        progress=progress,
        threads=threads,
    )
    return {
        "ending": ending,
        "history": json.loads(history),
        "best": os.path.join(out, "best.nephos"),
        "last": os.path.join(out, "last.nephos"),
    }


def _toml(value: Any) -> str:
    """Numbers, texts, booleans and lists of them are the same in JSON."""
    return json.dumps(os.fspath(value) if isinstance(value, os.PathLike) else value)
