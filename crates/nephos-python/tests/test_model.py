"""Models: cheap, and pickled by name and SHA-256."""

import copy
import pickle
import shutil
import time
from pathlib import Path

import pytest

import nephos

TINY = Path(__file__).parents[3] / "weights" / "tiny.nephos"


def test_what_a_model_says():
    model = nephos.Model("tiny")
    assert model.bands[:3] == ("blue", "green", "red")
    assert model.classes == nephos.CLASSES
    assert model.sha256 in model.card and model.name == "tiny"
    assert "tiny" in repr(model)


def test_a_model_is_read_once():
    nephos.Model("tiny")
    start = time.perf_counter()
    for _ in range(100):
        nephos.Model("tiny")
    assert time.perf_counter() - start < 0.2


def test_pickles_hold_name_and_digest(tmp_path):
    model = nephos.Model("tiny")
    text = pickle.dumps(model)
    assert len(text) < 300
    again = pickle.loads(text)
    assert again == model and hash(again) == hash(model) and again.sha256 == model.sha256
    assert copy.deepcopy(model) == model
    path = tmp_path / "mine.nephos"
    shutil.copy(TINY, path)
    mine = nephos.Model(path)
    assert mine == model and mine.path == str(path)
    text = pickle.dumps(mine)
    assert pickle.loads(text) == mine
    path.write_bytes(TINY.read_bytes() + b" ")
    with pytest.raises(ValueError):
        pickle.loads(text)
    path.unlink()
    with pytest.raises(OSError):
        pickle.loads(text)
