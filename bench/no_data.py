"""What fills that no file declares, masks and empty bands do to a mask.

    python bench/no_data.py NEPHOS [SCENE.tif ...]

Each scene (default: five of ../shared/data/l8biome) is written with its upper left corner
filled in several ways that no tag declares, or with an optional band that is empty, and
segmented by the program NEPHOS. Printed are two shares: pixels without data that got a
class (wrong where not 0), and pixels with data whose class is another than in the mask of
the same scene without a fault. Needs numpy and rasterio.
"""

import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import rasterio

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared/data/l8biome/image"
NAMES = ["Barren_00", "Forest_05", "GrassCrops_01", "Urban_00", "Water_01"]
# How the corner is filled: number format, and the number.
FILLS = {
    "int16 -9999": ("int16", -9999),
    "int16 -32768": ("int16", -32768),
    "uint16 0": ("uint16", 0),
    "uint16 65535": ("uint16", 65535),
    "float32 -9999": ("float32", -9999),
    "float32 lowest": ("float32", np.finfo("float32").min),
    "float32 0": ("float32", 0),
}


def write(path, pixels, names, nodata=None):
    bands, rows, cols = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=bands, dtype=pixels.dtype, nodata=nodata
    ) as file:
        file.write(pixels)
        file.descriptions = names


def segment(nephos, scene, folder):
    mask = folder / "mask.tif"
    for old in folder.glob("mask.tif*"):
        old.unlink()
    run = subprocess.run([nephos, "predict", scene, "--out", mask], capture_output=True, text=True)
    if run.returncode:
        return None
    with rasterio.open(mask) as file:
        return file.read(1)


def main(nephos, scenes):
    if not scenes:
        scenes = [SHARED / f"{name}.tif" for name in NAMES]
    totals = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for path in scenes:
            with rasterio.open(path) as file:
                stored, names = file.read(), file.descriptions
            row, col = np.mgrid[: stored.shape[1], : stored.shape[2]]
            corner = 0.4 * row + col < 0.45 * stored.shape[2]
            scene = folder / "scene.tif"

            def count(what, found, right):
                if found is None:
                    totals.setdefault(what, []).append((1.0, 1.0))
                    return
                empty = right == 255
                inside = (found[empty] != 255).mean() if empty.any() else 0.0
                outside = (found[~empty] != right[~empty]).mean()
                totals.setdefault(what, []).append((inside, outside))

            for what, (dtype, fill) in FILLS.items():
                pixels = (stored / 1e4 if dtype == "float32" else stored).astype(dtype)
                pixels[:, corner] = fill
                write(scene, pixels, names, nodata=fill)
                right = segment(nephos, scene, folder)
                write(scene, pixels, names)
                count(what, segment(nephos, scene, folder), right)
            cirrus = names.index("cirrus")
            kept = [band for band in range(len(names)) if band != cirrus]
            pixels = (stored / 1e4).astype("float32")
            write(scene, pixels[kept], [names[band] for band in kept])
            right = segment(nephos, scene, folder)
            pixels[cirrus] = np.nan
            write(scene, pixels, names)
            count("cirrus NaN everywhere, against no cirrus", segment(nephos, scene, folder), right)
            pixels = (stored / 1e4).astype("float32")
            write(scene, pixels, names)
            right = segment(nephos, scene, folder)
            pixels[cirrus, corner] = np.nan
            write(scene, pixels, names)
            count("cirrus NaN in the corner, against all there", segment(nephos, scene, folder), right)
    print(f"{len(scenes)} scenes; no data that got a class, data that got another class")
    for what, shares in totals.items():
        inside, outside = np.mean(shares, axis=0)
        print(f"{what:45} {inside:7.1%} {outside:7.1%}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], [pathlib.Path(path) for path in sys.argv[2:]])
