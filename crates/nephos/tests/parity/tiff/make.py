"""Writes TIFFs of every kind that is read, and what GDAL reads from them.

    make.py FOLDER [--golden]

FOLDER/index.json has an entry a file: its arrays `stored` (float64, [bands, rows,
columns]) and `valid` (0 where GDAL's mask or NaN says that nothing is), names of .npy
files, transform, EPSG code, descriptions, scales and offsets. With --golden only the
few small files that lie beside this script are written.

Needs rasterio (GDAL) and tifffile.
"""

import itertools
import json
import pathlib
import sys
import warnings

import numpy as np
import rasterio
import tifffile
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
out = pathlib.Path(sys.argv[1])
golden = "--golden" in sys.argv[2:]
out.mkdir(parents=True, exist_ok=True)
ROWS, COLS = (37, 29) if golden else (83, 70)
UTM = dict(crs="EPSG:32631", transform=Affine(10, 0, 500000, 0, -10, 4900020))
index = []
arrays = {}


def numbers(dtype, bands=3):
    """Smooth enough that predictors matter, with the type's extremes."""
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(bands)
    row, col = np.mgrid[:ROWS, :COLS]
    smooth = np.stack([40 + 30 * np.sin(row / 9 + b) + 25 * np.cos(col / 7 * (b + 1)) for b in range(bands)])
    if dtype.kind == "f":
        data = (smooth / 97 + rng.normal(0, 1e-3, smooth.shape)).astype(dtype)
        data[0, 3, 4], data[-1, 5, 6] = np.finfo(dtype).max, -0.0
    else:
        high = min(np.iinfo(dtype).max // 128, 300)
        data = (smooth * high + rng.integers(0, 3, smooth.shape)).astype(dtype)
        data[0, 3, 4], data[-1, 5, 6] = np.iinfo(dtype).max, np.iinfo(dtype).min
    return data


def saved(array):
    """The name of the .npy with this array."""
    key = (array.dtype.str, array.shape, array.tobytes())
    if key not in arrays:
        arrays[key] = f"{len(arrays)}.npy"
        np.save(out / arrays[key], array)
    return arrays[key]


def describe(name):
    """What GDAL reads from a file that is written."""
    with rasterio.open(out / name) as src:
        stored = src.read()
        masks = src.read_masks()
        valid = (masks != 0) & ~np.isnan(stored.astype(np.float64))
        alpha = [i for i, c in enumerate(src.colorinterp) if c == ColorInterp.alpha]
        identity = src.transform == Affine.identity()
        index.append(
            dict(
                file=name,
                dtype=src.dtypes[0],
                stored=saved(stored.astype(np.float64)),
                valid=saved(valid.astype(np.uint8)),
                transform=None if identity else list(src.transform.to_gdal()),
                epsg=src.crs.to_epsg() if src.crs else None,
                crs=src.crs is not None,
                descriptions=list(src.descriptions),
                scales=list(src.scales),
                offsets=list(src.offsets),
                alpha=alpha[0] if alpha else None,
            )
        )
    return stored


def write(name, data, nodata=None, after=None, windows=None, check=True, **options):
    name += ".tif"
    bands, rows, cols = data.shape
    profile = dict(driver="GTiff", width=cols, height=rows, count=bands, dtype=data.dtype, nodata=nodata)
    with rasterio.open(out / name, "w", **{**profile, **options}) as dst:
        if windows is None:
            dst.write(data)
        for window in windows or []:
            part = data[:, window.row_off :, window.col_off :][:, : window.height, : window.width]
            dst.write(part, window=window)
        if after:
            after(dst)
    stored = describe(name)
    if check and windows is None:
        assert np.array_equal(stored, data, equal_nan=data.dtype.kind == "f"), name


def with_tifffile(name, data, crs=None, **options):
    name += ".tif"
    tifffile.imwrite(out / name, data, metadata=None, **options)
    describe(name)


TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
TILES = dict(tiled=True, blockxsize=16, blockysize=32)


def matrix():
    for dtype, tiled, interleave, compress in itertools.product(
        TYPES, (False, True), ("pixel", "band"), ("none", "deflate", "lzw", "zstd", "packbits")
    ):
        predictors = [1]
        if compress in ("deflate", "lzw", "zstd"):
            predictors += [2] + ([3] if dtype.startswith("float") else [])
        for predictor in predictors:
            layout = TILES if tiled else dict(blockysize=5)
            write(
                f"{dtype}_{'tile' if tiled else 'strip'}_{interleave}_{compress}_{predictor}",
                numbers(dtype),
                interleave=interleave,
                compress=compress,
                **layout,
                **(dict(predictor=predictor) if predictor > 1 else {}),
                **UTM,
            )
    for dtype, interleave in itertools.product(TYPES, ("pixel", "band")):
        for compress, predictor in (("none", 1), ("deflate", 2), ("lzw", 2), ("zstd", 3)):
            if predictor == 3 and not dtype.startswith("float"):
                continue
            for tiled in (False, True):
                write(
                    f"big_endian_{dtype}_{interleave}_{compress}_{predictor}_{tiled}",
                    numbers(dtype),
                    interleave=interleave,
                    compress=compress,
                    endianness="big",
                    **(dict(predictor=predictor) if predictor > 1 else {}),
                    **(TILES if tiled else {}),
                )
        write(f"bigtiff_{dtype}_{interleave}", numbers(dtype), bigtiff="yes", interleave=interleave, **TILES)
    for bands in (1, 2, 4, 13):
        write(f"bands_{bands}", numbers("uint16", bands), compress="deflate")
        write(f"bands_{bands}_planar", numbers("int16", bands), compress="lzw", interleave="band", **TILES)
    write("lerc", numbers("float32"), compress="lerc", max_z_error=0, **TILES)
    write("bits_12", numbers("uint16") % 4096, nbits=12, compress="deflate")
    write("bits_4", numbers("uint8", 1) % 16, nbits=4)
    write("bits_1", numbers("uint8", 1) % 2, nbits=1, **TILES)
    for order, data in itertools.product("<>", (numbers("uint16", 1)[0], numbers("float32", 1)[0])):
        layout = dict(byteorder=order, photometric="minisblack")
        name = f"tifffile_{'big' if order == '>' else 'little'}_{data.dtype}"
        with_tifffile(name, data, rowsperstrip=1000, **layout)
        with_tifffile(f"{name}_7", data, rowsperstrip=7, **layout)
        with_tifffile(f"{name}_zlib", data, rowsperstrip=9, compression="zlib", **layout)
    planes = numbers("uint16")
    with_tifffile("tifffile_planar", planes, planarconfig="separate", photometric="minisblack", byteorder=">")
    write("one_pixel", np.full((2, 1, 1), 7, np.uint16), **UTM)
    write("one_row", numbers("uint16")[:, :1], **UTM)
    write("one_column", numbers("uint16")[:, :, :1], compress="deflate", **TILES)


def places():
    data = numbers("uint16", 1)
    turned = Affine.translation(400000, 5000000) * Affine.rotation(23) * Affine.scale(30, -20)
    write("rotated", data, crs="EPSG:32633", transform=turned)
    write("south_up", data, crs="EPSG:32633", transform=Affine(10, 0, 5e5, 0, 10, 4e6))
    write("no_crs", data, transform=UTM["transform"])
    write("no_place", data)
    write("crs_only", data, crs="EPSG:32631")
    write("geographic", data, crs="EPSG:4326", transform=Affine(0.001, 0, 7.25, 0, -0.0007, 51.5))
    write("laea", data, crs="EPSG:3035", transform=Affine(100, 0, 4321000, 0, -100, 3210000))
    own = "+proj=laea +lat_0=12 +lon_0=34 +datum=WGS84 +units=m"
    write("own_crs", data, crs=own, transform=UTM["transform"])
    for name, place in (("point", UTM), ("point_rotated", dict(crs="EPSG:32633", transform=turned))):
        write(name, data, after=lambda dst: dst.update_tags(AREA_OR_POINT="Point"), **place)
    write("world_file", data, tfw="yes", profile="baseline", transform=UTM["transform"])
    write("world_file_rotated", data, tfw="yes", profile="baseline", transform=turned)


def nodata():
    for dtype, value in (
        ("uint8", 255), ("uint8", 0), ("uint16", 0), ("uint16", 65535), ("int16", -9999), ("int16", -32768),
        ("uint32", 4294967295), ("int32", -2147483648), ("int32", 0), ("float32", np.nan), ("float32", -9999),
        ("float32", float(np.finfo(np.float32).min)), ("float32", 0.1), ("float64", np.nan), ("float64", 1e-300),
        ("int8", -128),
    ):
        data = numbers(dtype)
        data[0, 10:20, 5:15] = value
        data[:, 22:30, 2:7] = value
        write(f"nodata_{dtype}_{value}", data, nodata=value, compress="deflate")
    data = numbers("float32")
    data[1, 4:9] = np.nan
    write("nan_unsaid", data)
    data[2, 12:15] = -9999
    write("nan_and_nodata", data, nodata=-9999)
    for name, text in (
        ("out_of_range", "-9999"), ("space", "7 "), ("float", "7.0"), ("exponent", "7e0"), ("nan", "nan"),
    ):
        data = numbers("uint8", 1)[0]
        data[4:9, 3:8], data[10:12] = 7, 241  # 241 is -9999 in eight bits
        with_tifffile(f"spelled_{name}", data, extratags=[(42113, "s", 0, text, True)], photometric="minisblack")
    for interleave, tiled, value in itertools.product(("pixel", "band"), (False, True), (None, 0, 9)):
        write(
            f"sparse_{interleave}_{tiled}_{value}",
            numbers("uint16"),
            nodata=value,
            windows=[Window(16, 0, 16, 32)] if tiled else [Window(0, 8, COLS, 4), Window(0, 24, COLS, 3)],
            sparse_ok=True,
            interleave=interleave,
            compress="deflate",
            **(TILES if tiled else dict(blockysize=4)),
        )
    write("sparse_nan", numbers("float32"), nodata=np.nan, windows=[Window(0, 8, COLS, 4)], sparse_ok=True, blockysize=4)

    def masked(dst):
        mask = np.full((ROWS, COLS), 255, np.uint8)
        mask[5:25, 7:19] = 0
        dst.write_mask(mask)

    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write("mask", numbers("uint16"), after=masked, compress="deflate", **TILES)
        write("mask_strips", numbers("uint8", 1), after=masked)
    data = numbers("uint8", 4)
    data[3, 10:20] = 0
    write("rgba", data, photometric="rgb", alpha="unspecified")


def metadata():
    def told(dst):
        dst.descriptions = ("B02", "near & <infra>", "")
        dst.scales, dst.offsets = (0.0001, 2.75e-05, 1.0), (0.0, -0.2, 0.0)
        dst.update_tags(1, scale="this is no role")

    write("told", numbers("uint16"), after=told, compress="deflate")

    def cog(name, data, **options):
        write("to_cog", data, nodata=options.pop("nodata", None), **UTM)
        index.pop()
        from rasterio.shutil import copy

        copy(out / "to_cog.tif", out / f"{name}.tif", driver="COG", blocksize=128, overviews="auto", **options)
        (out / "to_cog.tif").unlink()
        describe(f"{name}.tif")

    global ROWS, COLS
    small = ROWS, COLS
    ROWS, COLS = 300, 290
    cog("cog", numbers("uint16"), compress="deflate", predictor="yes", nodata=0)
    cog("cog_zstd", numbers("float32"), compress="zstd", predictor="yes")
    cog("cog_sparse", np.pad(numbers("uint8")[:, :130, :130], ((0, 0), (0, 170), (0, 160))), sparse_ok=True, nodata=0)
    ROWS, COLS = small


if golden:
    tiles = dict(TILES, blockysize=16)
    write("tile_deflate_2", numbers("uint16"), compress="deflate", predictor=2, nodata=0, **tiles, **UTM)
    write("strip_lzw_3", numbers("float32"), compress="lzw", predictor=3, interleave="band", nodata=np.nan)
    write("big_zstd", numbers("int16", 2), compress="zstd", endianness="big", bigtiff="yes", nodata=-9999, **UTM)
    turned = Affine.translation(400000, 5000000) * Affine.rotation(23) * Affine.scale(30, -20)
    point = lambda dst: dst.update_tags(AREA_OR_POINT="Point")  # noqa: E731
    write("point_rotated", numbers("uint8", 1), crs="EPSG:32633", transform=turned, after=point, compress="packbits")
    write("sparse", numbers("int32", 2), nodata=9, windows=[Window(16, 0, 13, 16)], sparse_ok=True, **tiles)
    write("geographic", numbers("uint32", 1), crs="EPSG:4326", transform=Affine(0.001, 0, 7.25, 0, -0.0007, 51.5))
else:
    matrix()
    places()
    nodata()
    metadata()
(out / "index.json").write_text(json.dumps(index, indent=1).replace("NaN", "null") + "\n")
print(len(index), "files")
