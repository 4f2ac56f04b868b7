"""xarray's data: band names, radiometry, coordinates."""

import numpy as np
import pytest
from conftest import BANDS, SCALED

xr = pytest.importorskip("xarray")

import nephos  # noqa: E402
import nephos.xarray  # noqa: E402

ATTRS = {"scale_factor": 1e-4, "add_offset": -0.1, "nodata": 0}
NAMED = ["blue", "green", "red", "nir", "swir16", "swir22"]


def coordinates(scene):
    _, rows, cols = scene.shape
    reference = xr.DataArray(0, attrs={"crs_wkt": 'PROJCRS["WGS 84 / UTM zone 32N"]'})
    y, x = 5_000_000 - 10.0 * np.arange(rows) - 5, 400_000 + 10.0 * np.arange(cols) + 5
    return {"y": y, "x": x, "spatial_ref": reference}


@pytest.fixture
def ds(scene):
    """As odc-stac has it: a variable for each band."""
    variables = {
        band: (("y", "x"), one, {**ATTRS, "grid_mapping": "spatial_ref"})
        for band, one in zip(BANDS, scene)
    }
    scl = (("y", "x"), np.zeros(scene.shape[1:], np.uint8))
    return xr.Dataset({"SCL": scl, **variables}, coordinates(scene))


@pytest.fixture
def da(scene):
    """As rioxarray has it: a dimension of bands."""
    coords = {"band": np.arange(1, 7), **coordinates(scene)}
    attrs = {**ATTRS, "_FillValue": 0, "long_name": tuple(NAMED)}
    return xr.DataArray(scene, coords, ("band", "y", "x"), attrs=attrs)


def test_a_dataset(ds, mask, quiet):
    found = nephos.predict(ds)
    assert isinstance(found, xr.DataArray) and (found.values == mask).all()
    assert found.dims == ("y", "x") and found.dtype == np.uint8
    assert set(found.coords) == {"y", "x", "spatial_ref"}
    assert found.attrs["flag_meanings"] == "clear thick_cloud thin_cloud cloud_shadow"
    assert found.attrs["flag_values"].tolist() == [0, 1, 2, 3]
    assert found.attrs["flag_values"].dtype == np.uint8
    assert found.attrs["nodata"] == 255
    assert "_FillValue" not in found.attrs and "_FillValue" not in found.encoding
    assert found.encoding["grid_mapping"] == "spatial_ref"
    assert (ds.nephos.predict() == mask).all()
    assert nephos.clear(found).sum() == (mask == 0).sum()
    assert nephos.summary(found) == nephos.summary(mask)


def test_a_data_array(da, mask, quiet):
    assert (nephos.predict(da).values == mask).all()
    found, shares = da.nephos.predict(probabilities=True)
    assert (found.values == mask).all()
    assert shares.dims == ("class", "y", "x")
    assert shares.coords["class"].values.tolist() == list(nephos.CLASSES)
    # Bands last, as pictures have them, and named by their coordinate.
    named = da.assign_coords(band=BANDS).transpose("y", "x", "band")
    assert (nephos.predict(named).values == mask).all()


def test_time_stays(ds, mask, quiet):
    times = np.array(["2026-06-01", "2026-06-06"], "datetime64[ns]")
    two = xr.concat([ds, ds.isel(x=slice(None, None, -1)).assign_coords(x=ds.x)], "time")
    two = two.assign_coords(time=times)
    for bands_first in (two, two[BANDS].to_dataarray("band").assign_attrs(ATTRS)):
        found = nephos.predict(bands_first)
        assert found.dims == ("time", "y", "x")
        assert (found.time.values == times).all()
        assert (found[0].values == mask).all()
        assert not (found[1].values == mask).all()


def test_numbers_that_xarray_decoded(ds, mask, quiet):
    stored = ds[BANDS]
    for band in BANDS:
        stored[band].attrs["_FillValue"] = np.uint16(0)
    decoded = xr.decode_cf(stored)
    assert decoded["B04"].dtype.kind == "f" and "scale_factor" in decoded["B04"].encoding
    assert (nephos.predict(decoded).values == mask).mean() > 0.9999


def test_no_scale_is_stated_by_one_and_nought(da):
    da.attrs.update(scale_factor=1.0, add_offset=0.0)
    with pytest.warns(UserWarning, match="No scale is stated"):
        nephos.predict(da)


def test_arguments_come_before_attributes(da, scene):
    found = nephos.predict(da, scale_factor=2e-4, add_offset=-0.2)
    plain = nephos.predict(scene, bands=BANDS, scale_factor=2e-4, add_offset=-0.2, nodata=0)
    assert (found.values == plain).all()


def test_names_of_collections(scene, mask):
    coords = coordinates(scene)
    landsat = ["SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"]
    variables = {band: (("y", "x"), one, ATTRS) for band, one in zip(landsat, scene)}
    ds = xr.Dataset(variables, coords)
    plain = nephos.predict(scene, bands=[*NAMED[:3], "nir08", *NAMED[4:]], **SCALED)
    assert (nephos.predict(ds.assign_attrs(platform="landsat-8")).values == plain).all()
    # All of these numbers together are OLI's alone, some of them also TM's.
    assert (nephos.predict(ds).values == plain).all()
    with pytest.raises(ValueError, match="bands="), pytest.warns(UserWarning, match="sensors"):
        nephos.predict(ds[landsat[:4]])
    renamed = nephos.predict(ds, bands=dict(zip(landsat, NAMED)))
    assert (renamed.values == mask).all()
    with pytest.raises(ValueError, match="'SR_B9'"):
        nephos.predict(ds, bands={"SR_B9": "cirrus"})
    with pytest.raises(ValueError, match="bands="):
        nephos.predict(ds.rename(dict(zip(landsat, "abcdef"))))


def test_clouds_grow_by_the_coordinates(ds, scene):
    found = nephos.predict(ds, dilate=50)
    plain = nephos.predict(scene, bands=BANDS, dilate=50, resolution=10, **SCALED)
    assert (found.values == plain).all()
    with pytest.raises(ValueError, match="resolution="):
        nephos.predict(ds.rename(y="latitude", x="longitude"), dilate=50)
    degrees = nephos.predict(ds.rename(y="latitude", x="longitude"), dilate=50, resolution=10)
    assert (degrees.values == plain).all()


def test_what_has_no_bands_or_places(ds, da):
    with pytest.raises(ValueError, match="dimension of bands"):
        nephos.predict(da[0])
    with pytest.raises(ValueError, match="spatial"):
        nephos.predict(ds.rename(y="row"))


def test_the_reference_system_is_kept(ds):
    odc = pytest.importorskip("odc.geo.xr")
    rioxarray = pytest.importorskip("rioxarray")
    assert odc and rioxarray
    ds = ds.drop_vars("spatial_ref").odc.assign_crs("EPSG:32632")
    found = nephos.predict(ds)
    assert found.odc.geobox == ds.odc.geobox
    assert found.rio.crs == "EPSG:32632" and found.rio.transform() == ds["B04"].rio.transform()
