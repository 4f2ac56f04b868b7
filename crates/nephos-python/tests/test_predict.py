"""Arrays in memory: what becomes of their numbers, and what is said of it."""

import warnings

import numpy as np
import pytest
from conftest import BANDS, SCALED, SHARED, command, made_up

import nephos


def test_a_mask_has_the_classes_and_no_data(scene, mask):
    assert mask.shape == scene.shape[1:] and mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1, 2, 3, 255}
    assert ((mask == 255) == (scene[0] == 0)).all()
    assert (mask == 1).any() and (mask == 0).any()


def test_probabilities_are_of_the_classes(scene, mask):
    found, shares = nephos.predict(scene, bands=BANDS, probabilities=True, **SCALED)
    assert (found == mask).all()
    assert shares.shape == (4, *mask.shape) and shares.dtype == np.float32
    valid = mask != 255
    assert np.isnan(shares[:, ~valid]).all()
    assert np.allclose(shares[:, valid].sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("layout", ["strides", "fortran", "readonly", "reversed", "big-endian"])
def test_layouts_give_the_same_bytes(scene, mask, layout):
    x = {
        "strides": np.repeat(scene, 2, axis=2)[:, :, ::2],
        "fortran": np.moveaxis(np.ascontiguousarray(np.moveaxis(scene, 0, -1)), -1, 0),
        "readonly": scene.copy(),
        "reversed": scene[:, ::-1].copy()[:, ::-1],
        "big-endian": scene.astype(">u2"),
    }[layout]
    x.flags.writeable = layout != "readonly" and x.flags.writeable
    assert (nephos.predict(x, bands=BANDS, **SCALED) == mask).all()


def test_number_formats_give_the_same_bytes(scene, mask):
    for dtype in (np.int16, np.int32, np.uint32, np.int64, np.float32, np.float64):
        assert (nephos.predict(scene.astype(dtype), bands=BANDS, **SCALED) == mask).all(), dtype
    masked = np.ma.masked_equal(scene, 0)
    scaled = {**SCALED, "nodata": None}
    assert (nephos.predict(masked, bands=BANDS, **scaled) == mask).all()


def test_one_number_or_one_for_each_band(scene, mask):
    stored = scene.copy()
    stored[1] *= 2
    scale = [1e-4, 0.5e-4, *[1e-4] * 4]
    found = nephos.predict(
        stored, bands=BANDS, scale_factor=scale, add_offset=[-0.1] * 6, nodata=[0] * 6
    )
    assert (found == mask).mean() > 0.999
    with pytest.raises(ValueError, match="scale_factor= has 2 numbers for 6 bands"):
        nephos.predict(stored, bands=BANDS, scale_factor=[1, 2])


def test_the_mask_is_the_commands(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    found = sorted((SHARED / "sentinel2_safe_60m").glob("*.SAFE"))
    if not found:
        pytest.skip(f"SKIPPED: no scene in {SHARED / 'sentinel2_safe_60m'}")
    bands = ["B02", "B03", "B04", "B8A", "B11", "B12"]
    files = [next(found[0].rglob(f"*_{band}_60m.jp2")) for band in bands]
    x = np.stack([rasterio.open(file).read(1) for file in files])
    out = tmp_path / "mask.npy"
    command("predict", found[0], "--out", out)
    expected = np.load(out)
    assert (nephos.predict(x, bands=bands, **SCALED) == expected).all()
    summary = nephos.predict_files(found[0], tmp_path / "again.npy")
    assert (np.load(tmp_path / "again.npy") == expected).all()
    assert {key: summary[key] for key in nephos.summary(expected)} == nephos.summary(expected)


def test_the_mask_of_a_file_is_the_arrays(tmp_path, scene, mask):
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "scene.tif"
    profile = {"count": 6, "height": scene.shape[1], "width": scene.shape[2], "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", tiled=True, nodata=0, **profile) as file:
        file.write(scene)
        file.descriptions = BANDS
    with pytest.warns(UserWarning, match="georeference"):
        nephos.predict_files(path, tmp_path / "mask.tif", scale_factor=1e-4, add_offset=-0.1)
    with rasterio.open(tmp_path / "mask.tif") as file:
        assert (file.read(1) == mask).all()
    with pytest.raises(ValueError, match="overwrite=True"):
        nephos.predict_files(path, tmp_path / "mask.tif", scale_factor=1e-4)
    with pytest.raises(ValueError, match="side_outputs"):
        nephos.predict_files(path, tmp_path / "b.tif", side_outputs=["nothing"])
    with pytest.raises(OSError):
        nephos.predict_files(tmp_path / "none.tif", tmp_path / "b.tif")


def test_what_is_inferred_is_said_in_words_of_arguments(scene):
    with pytest.warns(UserWarning) as caught:
        nephos.predict(scene, bands=BANDS, add_offset=-0.1)
    said = " ".join(str(one.message) for one in caught)
    assert "scale_factor=" in said and "nodata=" in said
    assert "options." not in said and "--" not in said
    assert all(one.filename == __file__ for one in caught)


def test_an_offset_that_was_forgotten_is_suggested():
    rng = np.random.default_rng(1)
    x = rng.integers(1100, 5000, (4, 128, 128)).astype(np.uint16)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            nephos.predict(x, bands=BANDS[:4])
        except ValueError as error:
            caught.append(warnings.WarningMessage(error, UserWarning, "", 0))
    said = " ".join(str(one.message) for one in caught)
    assert "add_offset=-0.1" in said, said


def test_numbers_that_can_t_be_reflectance_are_refused():
    x = np.random.default_rng(1).integers(20_000, 65_000, (3, 200, 200)).astype(np.uint16)
    x[2] //= 3
    bands = ["red", "green", "blue"]
    with pytest.raises(ValueError, match="assume_reflectance=True") as caught:
        nephos.predict(x, bands=bands, nodata=float("nan"))
    assert "scale_factor=" in str(caught.value) and "options" not in str(caught.value)
    with pytest.warns(UserWarning, match="hardly be reflectance"):
        nephos.predict(x, bands=bands, nodata=float("nan"), assume_reflectance=True)
    with pytest.warns(UserWarning, match="hardly be reflectance"):
        nephos.predict(x, bands=bands, nodata=float("nan"), scale_factor=1e-4)


def test_what_is_stated_is_not_warned_of(scene, quiet):
    nephos.predict(scene, bands=BANDS, **SCALED)
    nephos.predict_batch(scene[None], bands=BANDS, **SCALED)


def test_bands_without_names():
    x = made_up(64, 80)
    with pytest.raises(ValueError, match="bands="):
        nephos.predict(x[:4], **SCALED)
    with pytest.warns(UserWarning, match="red, green, blue; bands="):
        nephos.predict(x[[2, 1, 0]], **SCALED)


def test_wrong_arguments_are_errors(scene):
    wrong = [
        (ValueError, r"\(bands, y, x\)", {"x": scene[0]}),
        (TypeError, "numbers are expected", {"x": scene.astype(str)}),
        (ValueError, "6 bands", {"bands": BANDS[:2]}),
        (TypeError, "sequence", {"bands": "B02"}),
        (ValueError, "swirl", {"bands": [*BANDS[:5], "swirl"]}),
        (ValueError, "needs band", {"bands": ["blue", "green", "-", "nir", "-", "-"]}),
        (ValueError, "nodata=1.5", {"nodata": 1.5}),
        (ValueError, "scale_factor = 0", {"scale_factor": 0}),
        (ValueError, "threads=0", {"threads": 0}),
        (ValueError, "dilate=", {"dilate": -1.0, "resolution": 10}),
        (ValueError, "resolution=0", {"resolution": 0}),
        (ValueError, "pixels in metres", {"dilate": 10.0}),
        (OSError, "none.nephos", {"model": "none.nephos"}),
        (ValueError, "one pixel at", {"x": scene[:, :0]}),
    ]
    for error, message, arguments in wrong:
        arguments = {"x": scene, "bands": BANDS, **SCALED, **arguments}
        with pytest.raises(error, match=message):
            nephos.predict(**arguments)


def test_clouds_grow(scene, mask):
    grown = nephos.predict(scene, bands=BANDS, dilate=50, resolution=10, **SCALED)
    assert (grown == 1).sum() > (mask == 1).sum()
    assert ((grown == 255) == (mask == 255)).all()


def test_chips(scene):
    chips = np.stack([scene[:, :128, 100:228], scene[:, 150:278, 200:328], scene[:, :128, :128] * 0])
    masks, shares = nephos.predict_batch(chips, bands=BANDS, probabilities=True, **SCALED)
    assert masks.shape == (3, 128, 128) and shares.shape == (3, 4, 128, 128)
    assert (masks[2] == 255).all()
    for chip, one in zip(chips[:2], masks):
        assert (nephos.predict(chip, bands=BANDS, **SCALED) == one).all()
    with pytest.warns(UserWarning, match="from 64"):
        nephos.predict_batch(chips[:, :, :32, :32], bands=BANDS, **SCALED)
    assert nephos.predict_batch(chips[:0], bands=BANDS, **SCALED).shape == (0, 128, 128)


def test_summary_and_clear(mask):
    found = nephos.summary(mask)
    assert found["valid"] + found["no_data"] == mask.size
    assert nephos.clear(mask).sum() == found["classes"][0]["pixels"]
    assert nephos.clear(mask, thin=True, shadow=True).sum() == (mask != 1).sum() - (mask == 255).sum()
    with pytest.raises(TypeError):
        nephos.summary(mask.astype(float))
