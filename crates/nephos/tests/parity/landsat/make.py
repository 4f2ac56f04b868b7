"""Writes small Landsat products with the fields of real ones, and what they mean.

    python make.py

needs rasterio. Each folder is a product: metadata as text and JSON and one GeoTIFF a
band. `expected.npy` is reflectance (thermal: temperature / 100 K), float32 [band, row,
column] with the bands in the order of `expected.json`, NaN where there is no data.
Everything is computed here from the numbers in the text, in float64.
"""

import json
import math
import pathlib
import shutil

import numpy as np
import rasterio
from rasterio.transform import Affine

HERE = pathlib.Path(__file__).parent
ROWS, COLS = 18, 21
TRANSFORM = Affine(30.0, 0.0, 384000.0, 0.0, -30.0, 3469500.0)


def odl(root, groups):
    lines = [f"GROUP = {root}"]
    for name, entries in groups.items():
        lines.append(f"  GROUP = {name}")
        for key, value in entries.items():
            lines.append(f"    {key} = {value}")
        lines.append(f"  END_GROUP = {name}")
    return "\n".join([*lines, f"END_GROUP = {root}", "END", ""])


def as_json(root, groups):
    plain = {g: {k: v.strip('"') for k, v in e.items()} for g, e in groups.items()}
    return json.dumps({root: plain}, indent=2) + "\n"


def stored(dtype, seed):
    """Numbers over the whole range, with fill, saturation and the darkest number."""
    top = np.iinfo(dtype).max
    values = np.random.default_rng(seed).integers(1, top, (ROWS, COLS), endpoint=True)
    values[:, :3] = 0
    values[2, 5:9] = top
    values[3, 5:9] = 1
    return values.astype(dtype)


def meaning(values, gain, bias, saturates):
    result = values.astype(np.float64) * gain + bias
    if saturates:
        result[values == np.iinfo(values.dtype).max] = 2.0
    result[values == 0] = np.nan
    return result


def product(folder, root, groups, bands, dtype):
    """`bands`: name, source, file, function from stored numbers to their meaning."""
    path = HERE / folder
    # GDAL, where it replaces a band, deletes the metadata file as belonging to it.
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    # The low gain of the thermal band goes before the high one.
    read = [band for band in bands if band[0]]
    expected = []
    for seed, (name, _, file, function) in enumerate(bands):
        values = stored(dtype, seed)
        if name:
            expected.append(function(values).astype(np.float32))
        options = dict(
            driver="GTiff", width=COLS, height=ROWS, count=1, dtype=dtype, nodata=0,
            crs="EPSG:32616", transform=TRANSFORM, compress="deflate",
        )
        if seed % 2:
            options |= dict(tiled=True, blockxsize=16, blockysize=16, predictor=2)
        with rasterio.open(path / file, "w", **options) as out:
            out.write(values, 1)
    np.save(path / "expected.npy", np.stack(expected))
    (path / f"{folder}_MTL.txt").write_text(odl(root, groups))
    (path / f"{folder}_MTL.json").write_text(as_json(root, groups))
    described = {"names": [b[0] for b in read], "sources": [b[1] for b in read]}
    (path / "expected.json").write_text(json.dumps(described) + "\n")


def contents(identifier, processing, collection, files):
    entries = {
        "ORIGIN": '"Image courtesy of the U.S. Geological Survey"',
        "LANDSAT_PRODUCT_ID": f'"{identifier}"',
        "PROCESSING_LEVEL": f'"{processing}"',
        "COLLECTION_NUMBER": collection,
        "COLLECTION_CATEGORY": '"T1"',
        "OUTPUT_FORMAT": '"GEOTIFF"',
    }
    return entries | {f"FILE_NAME_BAND_{key}": f'"{name}"' for key, name in files.items()}


def image(craft, sensor, elevation):
    return {
        "SPACECRAFT_ID": f'"{craft}"',
        "SENSOR_ID": f'"{sensor}"',
        "WRS_PATH": "20",
        "WRS_ROW": "39",
        "DATE_ACQUIRED": "2015-08-04",
        "SCENE_CENTER_TIME": '"16:19:21.7917420Z"',
        "CLOUD_COVER": "11.08",
        "SUN_AZIMUTH": "115.87210674",
        "SUN_ELEVATION": elevation,
    }


def gains(quantity, entries):
    result = {}
    for key, (mult, _) in entries.items():
        result[f"{quantity}_MULT_BAND_{key}"] = mult
    for key, (_, add) in entries.items():
        result[f"{quantity}_ADD_BAND_{key}"] = add
    return result


def planck(gain, bias, k1, k2):
    def function(values):
        radiance = meaning(values, float(gain), float(bias), False)
        with np.errstate(invalid="ignore", divide="ignore"):
            kelvin = float(k2) / np.log1p(float(k1) / radiance)
        return np.where(radiance > 0, kelvin, np.nan) / 100

    return function


def level1(folder, craft, sensor, names, reflective, thermal, elevation, dtype):
    """`reflective`: key to texts of gain and bias; `thermal`: also K1 and K2."""
    sine = math.sin(math.radians(float(elevation)))
    keys = list(reflective) + list(thermal)
    files = {key: f"{folder}_B{key}.TIF" for key in keys}
    groups = {
        "PRODUCT_CONTENTS": contents(folder, "L1TP", "02", files),
        "IMAGE_ATTRIBUTES": image(craft, sensor, elevation),
        "PROJECTION_ATTRIBUTES": {"MAP_PROJECTION": '"UTM"', "UTM_ZONE": "16"},
        "LEVEL1_RADIOMETRIC_RESCALING": gains("RADIANCE", {k: v[:2] for k, v in thermal.items()})
        | gains("REFLECTANCE", reflective),
        "LEVEL1_THERMAL_CONSTANTS": {
            f"{name}_CONSTANT_BAND_{key}": v[place]
            for place, name in ((2, "K1"), (3, "K2"))
            for key, v in thermal.items()
        },
    }
    bands = []
    for key, (gain, bias) in reflective.items():
        gain, bias = float(gain) / sine, float(bias) / sine
        bands.append((key, lambda v, g=gain, b=bias: meaning(v, g, b, True)))
    for key, constants in thermal.items():
        bands.append((key, planck(*constants)))
    listed = [(names[key], f"B{key}", files[key], f) for key, f in bands]
    product(folder, "LANDSAT_METADATA_FILE", groups, listed, dtype)


def level2(folder, craft, sensor, names, reflective, thermal):
    """The Level-1 groups that a Level-2 file repeats hold other numbers on purpose."""
    files = {key: f"{folder}_SR_B{key}.TIF" for key in reflective}
    files |= {f"ST_B{key}": f"{folder}_ST_B{key}.TIF" for key in thermal}
    other = {key: ("2.0000E-05", "-0.100000") for key in reflective}
    groups = {
        "PRODUCT_CONTENTS": contents(folder, "L2SP", "02", files),
        "IMAGE_ATTRIBUTES": image(craft, sensor, "36.1"),
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": gains("REFLECTANCE", reflective),
        "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS": gains(
            "TEMPERATURE", {f"ST_B{key}": v for key, v in thermal.items()}
        ),
        "LEVEL1_PROCESSING_RECORD": {
            f"FILE_NAME_BAND_{key}": f'"{folder.replace("L2SP", "L1TP")}_B{key}.TIF"'
            for key in reflective
        },
        "LEVEL1_RADIOMETRIC_RESCALING": gains("REFLECTANCE", other),
    }
    bands = []
    for key, (gain, bias) in reflective.items():
        function = lambda v, g=float(gain), b=float(bias): meaning(v, g, b, True)
        bands.append((names[key], f"SR_B{key}", files[key], function))
    for key, (gain, bias) in thermal.items():
        function = lambda v, g=float(gain), b=float(bias): meaning(v, g / 100, b / 100, False)
        bands.append((names[key], f"ST_B{key}", files[f"ST_B{key}"], function))
    product(folder, "LANDSAT_METADATA_FILE", groups, bands, "uint16")


OLI = {
    "1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "nir08", "6": "swir16",
    "7": "swir22", "9": "cirrus", "10": "lwir11", "11": "lwir12",
}
TM = {
    "1": "blue", "2": "green", "3": "red", "4": "nir08", "5": "swir16", "7": "swir22",
    "6": "lwir", "6_VCID_1": "lwir", "6_VCID_2": None,
}

if __name__ == "__main__":
    level1(
        "LC08_L1TP_020039_20150804_20200908_02_T1", "LANDSAT_8", "OLI_TIRS", OLI,
        {key: ("2.0000E-05", "-0.100000") for key in "12345679"},
        {
            "10": ("3.3420E-04", "0.10000", "774.8853", "1321.0789"),
            "11": ("3.3420E-04", "0.10000", "480.8883", "1201.1442"),
        },
        "64.74360932", "uint16",
    )
    level1(
        "LT05_L1TP_020039_19950804_20200912_02_T1", "LANDSAT_5", "TM", TM,
        {
            "1": ("1.2609E-03", "-0.003585"), "2": ("2.6581E-03", "-0.006306"),
            "3": ("2.1866E-03", "-0.004655"), "4": ("2.6633E-03", "-0.007265"),
            "5": ("1.7725E-03", "-0.007231"), "7": ("2.5049E-03", "-0.008212"),
        },
        {"6": ("5.5375E-02", "1.18243", "607.76", "1260.56")},
        "51.2", "uint8",
    )
    level1(
        "LE07_L1TP_020039_20010804_20200917_02_T1", "LANDSAT_7", "ETM", TM,
        {
            "1": ("1.2285E-03", "-0.011025"), "2": ("1.3903E-03", "-0.012403"),
            "3": ("1.2951E-03", "-0.011691"), "4": ("2.9007E-03", "-0.018123"),
            "5": ("1.8003E-03", "-0.016103"), "7": ("1.7018E-03", "-0.015202"),
        },
        {
            "6_VCID_1": ("6.7087E-02", "-0.06709", "666.09", "1282.71"),
            "6_VCID_2": ("3.7205E-02", "3.16280", "666.09", "1282.71"),
        },
        "8.25", "uint8",
    )
    surface = ("2.75e-05", "-0.2")
    level2(
        "LC09_L2SP_020039_20220804_20220806_02_T1", "LANDSAT_9", "OLI_TIRS", OLI,
        {key: surface for key in "1234567"}, {"10": ("0.00341802", "149.0")},
    )
    level2(
        "LT04_L2SP_020039_19890804_20200916_02_T1", "LANDSAT_4", "TM", TM,
        {key: surface for key in "123457"}, {"6": ("0.00341802", "149.0")},
    )
