"""Masks of xarray's data, and the accessor `.nephos`.

>>> import nephos.xarray
>>> mask = ds.nephos.predict()
>>> mask.dims, mask.attrs["nodata"]
(('y', 'x'), 255)
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from . import _arrays, _nephos
from ._arrays import ModelLike, PerBand, Plane, as_model
from ._masks import CLASSES, NODATA
from ._nephos import Model

__all__ = ["Accessor", "predict"]

_SPATIAL = (
    ("y", "x"),
    ("latitude", "longitude"),
    ("lat", "lon"),
    ("northing", "easting"),
    ("Y", "X"),
)
_BANDS = ("band", "bands", "variable", "channel", "wavelength")
# Attributes and coordinates that name the product or the platform.
_PRODUCT = ("platform", "constellation", "collection", "product", "spacecraft_id", "title", "id")
_REFERENCE = "spatial_ref"


def predict(
    data: xr.Dataset | xr.DataArray,
    model: ModelLike = "tiny",
    bands: Mapping[Hashable, str] | Sequence[str] | None = None,
    scale_factor: PerBand = None,
    add_offset: PerBand = None,
    nodata: PerBand = None,
    resolution: float | None = None,
    probabilities: bool = False,
    dilate: float | None = None,
    threads: int | None = None,
    *,
    assume_reflectance: bool = False,
    stacklevel: int = 2,
) -> Any:
    """The cloud mask of xarray's data, on its coordinates.

    Args:
        data: a `Dataset` with a variable for each band (odc-stac), or a `DataArray` with a dimension
            of bands (rioxarray, stackstac), lazy or not; other dimensions, such as `time`, stay, and
            each of their members is masked by itself.
        bands: names of the bands, one for each variable or band, or a mapping from some of them;
            without it they are found by STAC's common names and the collections' own (`B04`,
            `SR_B5`), for which an attribute `platform` says the sensor.
        scale_factor, add_offset, nodata: in place of what attributes say, one number or one for each
            band; see `nephos.predict`. Numbers that xarray has decoded are reflectance.
        resolution: side of a pixel in metres; without it the distance of the coordinates, where they
            are metres. For `dilate`.

    The other arguments are those of `nephos.predict`. Of lazy data nothing is inferred: the scale is
    in attributes or arguments.

    Returns:
        A `DataArray` `cloud_mask` of uint8 with the coordinates and the coordinate reference system
        of `data`, `flag_values` and `flag_meanings` as CF has them, and an attribute `nodata`
        of 255. With `probabilities` a pair of it and a `DataArray` `(…, class, y, x)` of float32.

    Raises:
        ValueError: spatial dimensions or bands can't be told; and as `nephos.predict`.

    >>> import nephos.xarray
    >>> nephos.xarray.predict(ds).attrs["flag_meanings"]
    'clear thick_cloud thin_cloud cloud_shadow'
    """
    loaded = as_model(model)
    stack, planes, named = _bands(data, loaded, bands, stacklevel + 1)
    given = (("scale_factor", scale_factor), ("add_offset", add_offset), ("nodata", nodata))
    columns = [
        stated if value is None else named.each(value, name)
        for (name, value), stated in zip(given, zip(*(plane[1:] for plane in planes)))
    ]
    planes = list(zip((plane[0] for plane in planes), *columns))
    y, x = stack.dims[-2:]
    extra = stack.dims[:-3]
    if dilate is not None and resolution is None:
        resolution = _resolution(data, y, x)
    lead = tuple(stack.sizes[dim] for dim in extra)
    count = int(np.prod(lead, dtype=int))
    values = stack.data
    flat = values.reshape((count, *values.shape[len(lead) :]))
    if _arrays.is_lazy(flat):
        if dilate is not None:
            raise ValueError("dilate= takes data in memory: compute() them first")
        from ._dask import da, predict_lazy

        found = [predict_lazy(one, loaded, planes, probabilities, threads) for one in flat]
        masks = da.stack([one[0] if probabilities else one for one in found])
        shares = da.stack([one[1] for one in found]) if probabilities else None
    else:
        array = _arrays.as_array(flat, 4, "(n, bands, y, x)")
        masks, shares = _arrays.run(
            array,
            loaded,
            planes,
            resolution=resolution,
            probabilities=probabilities,
            dilate=dilate,
            threads=threads,
            assume_reflectance=assume_reflectance,
            stacklevel=stacklevel + 1,
        )
    mask = _on_coordinates(
        data,
        masks.reshape((*lead, *masks.shape[1:])),
        (*extra, y, x),
        "cloud_mask",
        {
            "long_name": "cloud mask",
            "flag_values": np.arange(len(CLASSES), dtype=np.uint8),
            "flag_meanings": " ".join(CLASSES),
            "nodata": NODATA,
        },
    )
    if shares is None:
        return mask
    share = _on_coordinates(
        data,
        shares.reshape((*lead, *shares.shape[1:])),
        (*extra, "class", y, x),
        "class_probability",
        {"long_name": "probability of each class", "units": "1"},
    )
    return mask, share.assign_coords({"class": list(loaded.classes)})


class _Named:
    """The bands that were chosen of all that there are."""

    def __init__(self, chosen: Sequence[int], count: int) -> None:
        self.chosen = chosen
        self.count = count

    def each(self, value: PerBand, name: str) -> list[float | None]:
        every = _arrays._each(value, name, self.count)
        return [every[position] for position in self.chosen]


def _bands(
    data: xr.Dataset | xr.DataArray,
    model: Model,
    bands: Mapping[Hashable, str] | Sequence[str] | None,
    stacklevel: int,
) -> tuple[xr.DataArray, list[Plane], _Named]:
    """The model's bands as one array `(…, band, y, x)`, and what each is."""
    y, x = _spatial(data)
    if isinstance(data, xr.Dataset):
        keys = [key for key, one in data.data_vars.items() if {y, x} <= set(one.dims)]
        parts = [data[key] for key in keys]
        own: Sequence[Any] = keys
        axis: Hashable = "band"
    else:
        axis = _band_axis(data, y, x)
        parts = [data.isel({axis: place}) for place in range(data.sizes[axis])]
        own = _names_of(data, axis)
    if not parts:
        raise ValueError(f"no variable has the dimensions {y} and {x}")
    names = _common(data, own, len(parts), model, bands, stacklevel + 1)
    wanted = _wanted(names, model)
    named = _Named(wanted, len(parts))
    planes = [(names[place] or "-", *_radiometry(parts[place])) for place in wanted]
    if isinstance(data, xr.DataArray):
        every = wanted == list(range(len(parts)))
        stack = data if every else data.isel({axis: wanted})
    else:
        chosen = [parts[place].variable for place in wanted]
        pieces = [xr.DataArray(variable) for variable in chosen]
        stack = xr.concat(pieces, dim=axis, join="override", coords="minimal", compat="override")
    extra = [dim for dim in stack.dims if dim not in (axis, y, x)]
    return stack.transpose(*extra, axis, y, x), planes, named


def _spatial(data: xr.Dataset | xr.DataArray) -> tuple[Hashable, Hashable]:
    for pair in _SPATIAL:
        if set(pair) <= set(data.dims):
            return pair
    raise ValueError(
        f"no spatial dimensions among {', '.join(map(str, data.dims))}: y and x, or latitude and "
        "longitude, are expected"
    )


def _band_axis(data: xr.DataArray, y: Hashable, x: Hashable) -> Hashable:
    others = [dim for dim in data.dims if dim not in (y, x)]
    for dim in _BANDS:
        if dim in others:
            return dim
    raise ValueError(
        f"no dimension of bands among {', '.join(map(str, others)) or 'none'}: `band` is expected"
    )


def _names_of(data: xr.DataArray, axis: Hashable) -> Sequence[Any]:
    """What the data call their bands: stackstac has common names, rioxarray descriptions."""
    for name in ("common_name", axis, "long_name"):
        values = data.coords[name].values if name in data.coords else data.attrs.get(name)
        if isinstance(values, str):
            values = [values]
        if values is not None and len(values) == data.sizes[axis]:
            if all(isinstance(value, str) and value for value in values):
                return list(values)
    return [""] * data.sizes[axis]


def _common(
    data: xr.Dataset | xr.DataArray,
    own: Sequence[Any],
    count: int,
    model: Model,
    bands: Mapping[Hashable, str] | Sequence[str] | None,
    stacklevel: int,
) -> list[str | None]:
    """Common names of the bands, `None` for those that are none."""
    if bands is not None and not isinstance(bands, (Mapping, str)):
        if len(bands) != count:
            raise ValueError(f"bands= has {len(bands)} names for {count} bands")
        return [None if name == "-" else name for name in bands]
    if isinstance(bands, str):
        raise TypeError("bands= takes a sequence or a mapping of names")
    if bands is None and not any(own):
        return list(_arrays._usual(count, model, stacklevel + 1))
    found, notes = _nephos.common_names([str(name) for name in own], _product(data))
    names: list[str | None] = list(found)
    for place, name in enumerate(own):
        if bands is not None and name in bands:
            names[place] = bands[name]
        elif names[place] is None and str(name) in model.bands:
            names[place] = str(name)
    if bands is not None:
        missing = [key for key in bands if key not in own]
        if missing:
            raise ValueError(f"bands= names {missing[0]!r}; there are {', '.join(map(str, own))}")
    else:
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=stacklevel)
    return names


def _product(data: xr.Dataset | xr.DataArray) -> str:
    """What says which product or platform the data are of."""
    found = []
    for name in _PRODUCT:
        value = data.attrs.get(name)
        if value is None and name in data.coords:
            values = np.unique(np.asarray(data.coords[name].values).astype(str))
            value = " ".join(values[:8])
        if value is not None:
            found.append(str(value))
    return " ".join(found)


def _wanted(names: Sequence[str | None], model: Model) -> list[int]:
    """Places of the bands that are known, each once, so that no other is read."""
    common, _ = _nephos.common_names(list(model.bands), "sentinel-2")
    of_model = {one or own for one, own in zip(common, model.bands)}
    # In place of a band that a sensor lacks.
    others = {"nir": "nir08", "nir08": "nir"}
    of_model |= {others[name] for name in of_model if name in others}
    resolved, _ = _nephos.common_names([name or "-" for name in names], "sentinel-2")
    seen: set[str] = set()
    wanted = []
    for place, (name, one) in enumerate(zip(names, resolved)):
        known = one or name
        if name is not None and known in of_model and known not in seen:
            seen.add(str(known))
            wanted.append(place)
    if not wanted:
        raise ValueError(
            "none of the bands is the model's, which has "
            f"{', '.join(model.bands)}: name them with bands="
        )
    return wanted


def _radiometry(part: xr.DataArray) -> tuple[float | None, float | None, float | None]:
    """What attributes say of the numbers as they are."""
    attrs, encoding = part.attrs, part.encoding
    whole = part.dtype.kind in "iu"
    scale, offset = _number(attrs, "scale_factor"), _number(attrs, "add_offset")
    if scale is None and not whole and "scale_factor" in encoding:
        # xarray has decoded them, and what is no data is NaN.
        return 1.0, 0.0, float("nan")
    elif scale == 1.0 and not offset and whole:
        # What a writer states that has nothing to state.
        scale = offset = None
    stated = [_number(attrs, name) for name in ("nodata", "_FillValue", "missing_value")]
    if whole:
        stated += [_number(encoding, name) for name in ("_FillValue", "nodata", "missing_value")]
    found = [number for number in stated if number is not None]
    return scale, offset, found[0] if found else None


def _number(attrs: Mapping[Any, Any], name: str) -> float | None:
    value = attrs.get(name)
    if value is None or np.size(value) != 1 or isinstance(value, str):
        return None
    return float(np.asarray(value).reshape(()))


def _resolution(data: xr.Dataset | xr.DataArray, y: Hashable, x: Hashable) -> float:
    """Side of a pixel in metres, by the coordinates."""
    reference = data.coords[_REFERENCE].attrs if _REFERENCE in data.coords else {}
    text = str(reference.get("crs_wkt", reference.get("spatial_ref", "")))
    degrees = str(y) in ("latitude", "lat") or text.startswith(("GEOGCS", "GEOGCRS"))
    if degrees or x not in data.coords or data.sizes[x] < 2:
        raise ValueError("dilate= takes resolution=, the side of a pixel in metres")
    values = data.coords[x].values
    return abs(float(values[-1] - values[0])) / (len(values) - 1)


def _on_coordinates(
    data: xr.Dataset | xr.DataArray,
    values: Any,
    dims: tuple[Hashable, ...],
    name: str,
    attrs: dict[str, Any],
) -> xr.DataArray:
    """An array on the coordinates that the data have in these dimensions."""
    coords = {key: one for key, one in data.coords.items() if set(one.dims) <= set(dims)}
    found = xr.DataArray(values, coords=coords, dims=dims, name=name, attrs=attrs)
    first = data if isinstance(data, xr.DataArray) else next(iter(data.data_vars.values()))
    for place in (first.encoding, first.attrs):
        if "grid_mapping" in place:
            found.encoding["grid_mapping"] = place["grid_mapping"]
            break
    else:
        if _REFERENCE in found.coords:
            found.encoding["grid_mapping"] = _REFERENCE
    return found


class Accessor:
    """`data.nephos.predict(…)`, as `nephos.xarray.predict(data, …)`.

    >>> import nephos.xarray
    >>> ds.nephos.predict().sizes["x"] == ds.sizes["x"]
    True
    """

    def __init__(self, data: Any) -> None:
        self._data = data

    def predict(self, model: ModelLike = "tiny", **arguments: Any) -> Any:
        """See `nephos.xarray.predict`."""
        return predict(self._data, model, stacklevel=3, **arguments)


# xarray's decorators are not typed.
_xr: Any = xr
_xr.register_dataset_accessor("nephos")(Accessor)
_xr.register_dataarray_accessor("nephos")(Accessor)
