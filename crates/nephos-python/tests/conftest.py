"""What tests share: simulated samples, a made-up scene, the data that lie beside the repository."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import nephos

BANDS = ["B02", "B03", "B04", "B08", "B11", "B12"]
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def command(*words, **options):
    """Runs the command of this environment."""
    line = [sys.executable, "-m", "nephos", *map(str, words)]
    return subprocess.run(line, check=True, capture_output=True, text=True, **options)


def made_up(rows, cols, seed=0):
    """Stored numbers (reflectance × 10000 + 1000) of made-up land and clouds, with a border that is
    empty and a gap in one band."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    cloud = np.clip(np.sin(x / 37) + np.cos(y / 29) - 0.4, 0, 1)
    land = np.array([600, 800, 900, 2500, 2000, 1200])[:, None, None]
    stored = land + cloud * 6000 + rng.integers(0, 150, (6, rows, cols)) + 1000
    stored = stored.astype(np.uint16)
    stored[:, :, : cols // 20] = 0
    stored[:, rows * 2 // 3 :, cols * 3 // 4 :] = 0
    stored[4, rows // 4 : rows // 3, cols // 2 :] = 0
    return stored


SCALED = {"scale_factor": 1e-4, "add_offset": -0.1, "nodata": 0}


@pytest.fixture(scope="session")
def scene():
    return made_up(420, 700)


@pytest.fixture(scope="session")
def mask(scene):
    return nephos.predict(scene, bands=BANDS, **SCALED)


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """A pickle of six simulated samples."""
    folder = tmp_path_factory.mktemp("samples")
    sizes = ("--train", 6, "--val", 0, "--test", 0, "--size", 64)
    command("simulate", "--out", folder, *sizes)
    return folder / "train_split.pkl"


@pytest.fixture
def quiet():
    """Warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
