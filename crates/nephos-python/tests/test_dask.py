"""Lazy arrays: the bytes of the whole, whatever the chunks and the scheduler."""

import numpy as np
import pytest
from conftest import BANDS, SCALED, made_up

da = pytest.importorskip("dask.array")
xr = pytest.importorskip("xarray")

import nephos  # noqa: E402

SIZE = (900, 1000)


@pytest.fixture(scope="module")
def large():
    return made_up(*SIZE)


@pytest.fixture(scope="module")
def whole(large):
    return nephos.predict(large, bands=BANDS, probabilities=True, **SCALED)


def lazy(x, chunks):
    return nephos.predict(da.from_array(x, chunks=(2, *chunks)), bands=BANDS, **SCALED)


@pytest.mark.parametrize("chunks", [(150, 150), (300, 300), (512, 512), (900, 77), ((1, 899), 1000)])
def test_chunks_change_no_byte(large, whole, chunks):
    found = lazy(large, chunks)
    assert found.shape == SIZE and found.dtype == np.uint8
    assert isinstance(found._meta, np.ndarray) and found._meta.dtype == np.uint8
    assert found.chunks == da.from_array(large, chunks=(2, *chunks)).chunks[1:]
    assert (found.compute() == whole[0]).all()


def test_a_small_array_is_one_window_however_it_is_cut(scene, mask):
    assert (lazy(scene, (150, 150)).compute() == mask).all()


def test_probabilities(large, whole):
    x = da.from_array(large, chunks=(6, 512, 512))
    found, shares = nephos.predict(x, bands=BANDS, probabilities=True, **SCALED)
    assert (found.compute() == whole[0]).all()
    assert np.array_equal(shares.compute(), whole[1], equal_nan=True)


def test_a_part_computes_what_it_needs_alone(large, whole):
    read = []

    def block(one, block_info=None):
        read.append(block_info[0]["chunk-location"])
        return one

    x = da.from_array(large, chunks=(6, 100, 100)).map_blocks(block, meta=large[:0, :0, :0])
    found = nephos.predict(x, bands=BANDS, **SCALED)[:100, :100].compute()
    assert (found == whole[0][:100, :100]).all()
    assert len(read) < 40


def test_empty_blocks(large, whole):
    empty = large.copy()
    empty[:, :600] = 0
    expected = nephos.predict(empty, bands=BANDS, **SCALED)
    assert (lazy(empty, (150, 150)).compute() == expected).all()
    floats = np.where(large == 0, np.nan, large * 1e-4 - 0.1).astype(np.float32)
    floats[:, :600] = np.nan
    found = nephos.predict(da.from_array(floats, chunks=(6, 150, 150)), bands=BANDS, scale_factor=1)
    same = nephos.predict(floats, bands=BANDS, scale_factor=1, nodata=np.nan)
    assert (found.compute() == same).all() and (same[:600] == 255).all()
    chunks = ((2,) * 3, (0, 900), (1000,))
    assert (nephos.predict(
        da.from_array(large, chunks=(2, 900, 1000)).rechunk(chunks), bands=BANDS, **SCALED
    ).compute() == whole[0]).all()


def test_nothing_is_inferred(large):
    x = da.from_array(large, chunks=(6, 512, 512))
    with pytest.raises(ValueError, match="scale_factor="):
        nephos.predict(x, bands=BANDS)
    with pytest.raises(ValueError, match="dilate="):
        nephos.predict(x, bands=BANDS, dilate=30, resolution=10, **SCALED)


def test_a_model_is_named_in_the_graph(large):
    import pickle

    found = lazy(large, (512, 512))
    size = len(pickle.dumps(found.dask)) - large.nbytes
    assert size < 100_000


def test_a_lazy_dataset_gives_a_lazy_mask(large, whole):
    attrs = {"scale_factor": 1e-4, "add_offset": -0.1, "nodata": 0}
    variables = {
        band: (("time", "y", "x"), np.stack([one, one[::-1]]), attrs)
        for band, one in zip(BANDS, large)
    }
    ds = xr.Dataset(variables).chunk({"time": 1, "y": 300, "x": 512})
    found = nephos.predict(ds)
    assert found.dims == ("time", "y", "x") and isinstance(found.data, da.Array)
    assert (found[0].compute().values == whole[0]).all()
    second = nephos.predict(large[:, ::-1], bands=BANDS, **SCALED)
    assert (found[1].compute().values == second).all()


def test_a_cluster_of_two_processes(large, whole):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with distributed.LocalCluster(**options, dashboard_address=None) as cluster:
        with distributed.Client(cluster):
            for chunks in ((300, 300), (512, 512)):
                assert (lazy(large, chunks).compute() == whole[0]).all()
