"""What numbers mean: the same pixels stored in several ways, as pairs and as scenes.

    python bench/radiometry.py NEPHOS

The first table scores the program NEPHOS on six labelled patches of ../shared/data/l8biome
written as folders of pairs: as they are (reflectance x 10000), with other numbers whose scale
and offset the files state, and as fractions without a scale; and on nine scenes of the cloud
catalogue, whose files state theirs, as pairs and as scenes. Right is the same score in all
rows of the same pixels. The second segments images whose numbers are no reflectance x 10000
and that say nothing of it; right is an error, or the share of cloud of the row "as it is".
Needs numpy and rasterio.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import rasterio

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared/data"
PATCHES = ["Barren_00", "Forest_05", "Forest_08", "GrassCrops_01", "Urban_00", "Water_01"]
BANDS = 7  # reflective


def read(path):
    with rasterio.open(path) as file:
        return file.read(), list(file.descriptions)


def write(path, pixels, names, scale=None, offset=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, rows, cols = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=bands, dtype=pixels.dtype
    ) as file:
        file.write(pixels)
        file.descriptions = names
        if scale is not None:
            file.scales, file.offsets = [scale] * bands, [offset] * bands


def evaluate(nephos, *arguments):
    run = subprocess.run(
        [nephos, "evaluate", *map(str, arguments), "--json"], capture_output=True, text=True
    )
    if run.returncode:
        return f"error: {run.stderr.strip().splitlines()[-1][:60]}"
    scores = json.loads(run.stdout)["scores"]
    return f"{scores['miou']:.3f} | {scores['overall_accuracy']:.3f} | {scores['pixels']}"


def pairs(nephos, folder):
    print("| six patches as pairs | mIoU | accuracy | pixels |\n|---|---:|---:|---:|")
    forms = {
        "reflectance x 10000, nothing stated": lambda stored: (stored, None, None),
        "x 20000 + 1000, scale 5e-5 and offset -0.05 stated": lambda stored: (
            np.minimum(stored.astype(np.uint32) * 2 + 1000, 65535).astype(np.uint16), 5e-5, -0.05,
        ),
        "fractions, nothing stated": lambda stored: ((stored / 1e4).astype(np.float32), None, None),
    }
    for number, (what, form) in enumerate(forms.items()):
        container = folder / f"pairs{number}"
        for name in PATCHES:
            stored, names = read(SHARED / f"l8biome/image/{name}.tif")
            pixels, scale, offset = form(stored[:BANDS])
            write(container / f"image/{name}.tif", pixels, names[:BANDS], scale, offset)
            (container / "label").mkdir(exist_ok=True)
            shutil.copy(SHARED / f"l8biome/label/{name}.tif", container / "label")
        print(f"| {what} | {evaluate(nephos, container)} |")
    catalogue = SHARED / "sentinel2_cloud_catalogue"
    chosen = sorted((catalogue / "image").glob("*.tif"))[::40]
    container = folder / "catalogue"
    for kind in ["image", "label"]:
        (container / kind).mkdir(parents=True)
        for path in chosen:
            shutil.copy(catalogue / kind / path.name, container / kind)
    print(f"| {len(chosen)} catalogue scenes as pairs | {evaluate(nephos, container)} |")
    scenes = sorted((container / "image").glob("*.tif"))
    labels = container / "label"
    print(f"| the same as scenes | {evaluate(nephos, *scenes, '--labels', labels)} |")


def cloud(nephos, scene, *options):
    mask = scene.with_name("mask.npy")
    mask.unlink(missing_ok=True)
    run = subprocess.run(
        [nephos, "predict", scene, "--out", mask, *options], capture_output=True, text=True
    )
    if run.returncode:
        return "refused"
    classes = np.load(mask)
    valid = classes != 255
    return f"{100 * np.isin(classes[valid], [1, 2]).mean():.1f} %"


def scenes(nephos, folder):
    print("\n| image whose file states nothing | cloud |\n|---|---:|")
    clear = sorted((SHARED / "sentinel2_l1c_clear/image").glob("*.tif"))[0]
    stored, names = read(clear)
    whole = folder / "clear.tif"
    for what, pixels in {
        "Sentinel-2 L1C without cloud, as it is": stored,
        "the same with 1000 added": (stored + 1000).astype(np.uint16),
        "the same with 1000 taken off": (stored.astype(np.int32) - 1000).astype(np.int16),
    }.items():
        write(whole, pixels, names)
        print(f"| {what} | {cloud(nephos, whole)} |")
    landsat = SHARED / "landsat8_scene"
    numbers = [("2", "blue"), ("3", "green"), ("4", "red"), ("5", "nir"), ("6", "swir16"), ("7", "swir22")]
    stack = np.concatenate([read(landsat / f"l8_B{number}.tif")[0] for number, _ in numbers])
    write(folder / "landsat.tif", stack, [name for _, name in numbers])
    print(f"| Landsat 8 numbers without the MTL | {cloud(nephos, folder / 'landsat.tif')} |")
    for name in ["clean", "cloudy"]:
        shutil.copy(SHARED / f"sentinel2_clear_cloudy_pair/{name}.tif", folder)
        path = folder / f"{name}.tif"
        print(f"| {name}.tif, reflectance x 3 | {cloud(nephos, path)} |")
        print(f"| the same with --scale 3 | {cloud(nephos, path, '--scale', '3')} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: not there; the images of this benchmark lie in it")
    with tempfile.TemporaryDirectory() as temporary:
        pairs(sys.argv[1], pathlib.Path(temporary))
        scenes(sys.argv[1], pathlib.Path(temporary))
