"""Every example of the documentation runs, and types are what they say."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import made_up

import nephos

xr = pytest.importorskip("xarray")

HERE = Path(__file__).parent
MODULES = ["", "._arrays", "._masks", "._files", "._samples", ".xarray"]


def names(samples, folder):
    stored = made_up(80, 90)
    attrs = {"scale_factor": 1e-4, "add_offset": -0.1, "nodata": 0}
    bands = ["B02", "B03", "B04", "B08", "B11", "B12"]
    coords = {"y": np.arange(80) * -10.0, "x": np.arange(90) * 10.0}
    variables = {band: (("y", "x"), one, attrs) for band, one in zip(bands, stored)}
    return {"samples": samples, "folder": folder, "ds": xr.Dataset(variables, coords)}


@pytest.mark.parametrize("module", MODULES)
def test_examples(module, samples, tmp_path):
    module = importlib.import_module("nephos" + module)
    found = doctest.testmod(module, extraglobs=names(samples, tmp_path), verbose=False)
    assert found.failed == 0 and found.attempted > 0


def test_the_example_of_a_model():
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    test = parser.get_doctest(nephos.Model.__doc__, {}, "Model", None, None)
    assert runner.run(test).failed == 0 and test.examples


def test_every_function_has_an_example():
    for name in nephos.__all__:
        one = getattr(nephos, name)
        if callable(one):
            assert ">>>" in one.__doc__, name


def test_types(tmp_path):
    pytest.importorskip("mypy")
    example = HERE / "typed_example.py"
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(example)],
        capture_output=True, text=True, cwd=tmp_path,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert (Path(nephos.__file__).parent / "py.typed").is_file()
