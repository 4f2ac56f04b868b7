"""Makes a large scene from simulated samples: a tiled GeoTIFF of blue, green, red and nir.

    nephos simulate --out samples --train 4 --val 0 --test 0 --size 1098
    python bench/big_scene.py samples/train_split.pkl scene.tif --label label.tif

Needs NumPy and rasterio. Each sample fills a square of twice its size, mirrored, so
that land and clouds go on over its middle lines. A swath edge leaves a wedge without
data. Rows are written as they are made: memory does not grow with the scene.
"""

import argparse
import pickle

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

# Positions of the bands in a sample, and that of the label.
BANDS = {"blue": 1, "green": 2, "red": 3, "nir": 7}
LABEL = 13
BLOCK = 512


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", help="a pickle from `nephos simulate`")
    parser.add_argument("scene", help="the GeoTIFF to write")
    parser.add_argument("--label", help="write the label raster here too (255: no data)")
    parser.add_argument("--height", type=int, default=10980)
    parser.add_argument("--width", type=int, default=10980)
    parser.add_argument(
        "--wedge",
        type=float,
        default=0.25,
        help="share of the width without data at the top; 0 at the bottom",
    )
    return parser.parse_args()


def mirrored(positions, side):
    """Positions in a sample of the scene's rows or columns: 0 … side-1, side-1 … 0, 0 …"""
    within = positions % (2 * side)
    return np.where(within < side, within, 2 * side - 1 - within)


def rows_of(samples, rows, width):
    """The planes of the scene's rows, [planes, rows, width]."""
    side = samples.shape[2]
    cols = np.arange(width)
    # Which sample a square of twice its size shows.
    squares = rows[:, None] // (2 * side) * 3 + cols[None, :] // (2 * side)
    row, col = mirrored(rows, side)[:, None], mirrored(cols, side)[None, :]
    return samples[squares % len(samples), :, row, col].transpose(2, 0, 1)


def main():
    arguments = parse()
    height, width = arguments.height, arguments.width
    with open(arguments.samples, "rb") as file:
        planes = [*BANDS.values(), LABEL]
        samples = np.stack([np.asarray(sample)[planes] for sample in pickle.load(file)])
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "crs": "EPSG:32633",
        "transform": from_origin(399960, 5000040, 10, 10),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
        "predictor": 2,
        "bigtiff": "if_safer",
    }
    image = {**profile, "count": len(BANDS), "dtype": "uint16", "nodata": 0}
    label = {**profile, "count": 1, "dtype": "uint8", "nodata": 255, "predictor": 1}
    with rasterio.open(arguments.scene, "w", **image) as scene:
        for number, name in enumerate(BANDS, start=1):
            scene.set_band_description(number, name)
        labels = rasterio.open(arguments.label, "w", **label) if arguments.label else None
        for first in range(0, height, BLOCK):
            rows = np.arange(first, min(first + BLOCK, height))
            found = rows_of(samples, rows, width)
            wedge = arguments.wedge * width * (1 - rows / height)
            empty = np.arange(width)[None, :] < wedge[:, None]
            found[:, empty] = 0
            window = Window(0, first, width, len(rows))
            scene.write(found[:-1], window=window)
            if labels:
                found[-1][empty] = 255
                labels.write(found[-1:].astype(np.uint8), window=window)
        if labels:
            labels.close()
    share = arguments.wedge / 2
    print(f"{arguments.scene}: {height} x {width} pixels, {share:.1%} without data")


if __name__ == "__main__":
    main()
