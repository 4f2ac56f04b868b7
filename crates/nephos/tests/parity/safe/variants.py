"""Writes JPEG 2000 images of every kind that GDAL can write, with their samples.

    python variants.py OUT

Needs numpy and rasterio with the JP2OpenJPEG driver. For each variant N:
OUT/N.jp2 and OUT/N.npy, what GDAL decodes from it (uint16).
"""

import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

warnings.simplefilter("ignore", NotGeoreferencedWarning)
out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(5)


def image(height, width, bits):
    row, col = np.mgrid[0:height, 0:width]
    smooth = (np.sin(row / 17) + np.cos(col / 23) + 2) / 4 * (2**bits - 1)
    noisy = smooth + random.normal(0, 2**bits / 60, smooth.shape)
    noisy[row < col // 3] = 0
    return np.clip(noisy, 0, 2**bits - 1).astype(np.uint16 if bits > 8 else np.uint8)


def write(name, height, width, bits, **options):
    options = dict(QUALITY="100", REVERSIBLE="YES", NBITS=str(bits)) | options
    if "BLOCKXSIZE" in options:
        options["TILED"] = "YES"
    samples = image(height, width, bits)
    path = out / f"{name}.jp2"
    profile = dict(driver="JP2OpenJPEG", count=1, dtype=samples.dtype)
    with rasterio.open(path, "w", height=height, width=width, **profile, **options) as file:
        file.write(samples, 1)
    with rasterio.open(path) as file:
        decoded = file.read(1)
    if options["REVERSIBLE"] == "YES":
        assert (decoded == samples).all(), name
    np.save(out / f"{name}.npy", decoded.astype(np.uint16))


number = 0
# Sizes and tiles: one tile, whole tiles, ragged and odd ones.
sizes = [(101, 77, 37, 33), (128, 96, 32, 48), (50, 200, 64, 64), (33, 65, 32, 32)]
for (height, width, y, x), bits in itertools.product(sizes, (8, 12, 15, 16)):
    tiles = dict(BLOCKXSIZE=str(x), BLOCKYSIZE=str(y))
    write(f"size_{number:02}", height, width, bits, **tiles)
    number += 1
write("untiled", 150, 211, 15)
write("many", 640, 640, 15, BLOCKXSIZE="32", BLOCKYSIZE="32")
tiles = dict(BLOCKXSIZE="47", BLOCKYSIZE="53")
for order in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL"):
    write(f"order_{order}", 120, 131, 15, PROGRESSION=order, **tiles)
for resolutions in ("1", "2", "6"):
    write(f"resolutions_{resolutions}", 120, 131, 15, RESOLUTIONS=resolutions, **tiles)
write("markers", 120, 131, 15, SOP="YES", EPH="YES", PLT="YES", TLM="YES", **tiles)
for parts in ("RESOLUTIONS", "LAYERS", "COMPONENTS"):
    write(f"parts_{parts}", 120, 131, 15, TILEPARTS=parts, QUALITY="20,50,100", **tiles)
write("blocks", 120, 131, 15, CODEBLOCK_WIDTH="8", CODEBLOCK_HEIGHT="32", **tiles)
write("precincts", 120, 131, 15, PRECINCTS="{32,32},{16,16}", **tiles)
for style in ("BYPASS", "RESET", "TERMALL", "VSC", "PREDICTABLE", "SEGSYM"):
    write(f"style_{style}", 120, 131, 15, CODEBLOCK_STYLE=style, **tiles)
write("bare_lossy", 120, 131, 15, REVERSIBLE="NO", QUALITY="60", **tiles)
