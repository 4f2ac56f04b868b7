"""Scores and training."""

import pytest

import nephos


def test_scores(samples):
    found = nephos.evaluate(samples)
    assert 0 < found["scores"]["miou"] <= 1
    assert len(found["samples"]) == 6
    with pytest.raises(OSError):
        nephos.evaluate(samples.parent / "none.pkl")


def keys(samples, **more):
    own = {"data.train": samples, "data.val_fraction": 0.34, "train.batch_size": 2}
    return {**own, "train.epochs": 1, **{key.replace("__", "."): one for key, one in more.items()}}


def test_a_run_is_followed_and_its_weights_predict(samples, tmp_path):
    events = []
    run = nephos.train("tiny", tmp_path / "run", set=keys(samples), progress=events.append)
    assert run["ending"] == "finished" and len(run["history"]) == 1
    batches = [event for event in events if event["event"] == "batch"]
    assert batches[-1]["images_done"] == 4 and batches[0]["epoch"] == 1
    assert [event["best"] for event in events if event["event"] == "epoch"] == [True]
    assert nephos.Model(run["best"]).bands == nephos.Model("tiny").bands
    with pytest.raises(ValueError, match="resume=True"):
        nephos.train("tiny", tmp_path / "run", set=keys(samples))


def test_what_a_callback_raises_stops_the_run(samples, tmp_path):
    def stop(event):
        if event["event"] == "batch":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        nephos.train("tiny", tmp_path, set=keys(samples, train__epochs=5), progress=stop)
    run = nephos.train("tiny", tmp_path, set=keys(samples), resume=True)
    assert run["ending"] == "finished"


def test_wrong_keys_are_errors(samples, tmp_path):
    with pytest.raises(ValueError, match="epoch"):
        nephos.train("tiny", tmp_path, set=["train.epoch=1"])
