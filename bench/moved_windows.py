"""How much of a mask depends on where the windows lie.

    python bench/moved_windows.py NEPHOS [--model M] [--shift PIXELS] [--options "…"] SCENE…

Segments each SCENE twice with the program NEPHOS, the second time with the whole grid of windows
moved up and left by PIXELS (default: a third of the window), and compares the two masks pixel by
pixel. Windows that reach beyond the scene see its reflection there, so pixels at the scene's edge
count too. `--options` are those of `nephos predict`, as in --options "--window 256 --overlap 0.2".

Columns, in per cent of the pixels with data: other class; cloud (thick or thin) in one mask and not
in the other; other class where both masks are sure (the likeliest class's probability is at least
0.2 above the next one's in both); thick and thin swapped; clear and shadow swapped. Besides: how many
pixels go through the network for each pixel of the scene (exact, skipped windows left out) and the
seconds of the first run for each megapixel of the scene. Needs numpy and rasterio.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import rasterio

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
NO_DATA = 255
CLEAR, THICK, THIN, SHADOW = range(4)
UNSURE = 0.2


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def predict(nephos, scene, folder, options):
    """Classes, probabilities, forward pixels per pixel, seconds and windows of one run."""
    mask = pathlib.Path(folder) / "mask.tif"
    command = [nephos, "predict", scene, "--out", mask, "--with", "probabilities", *options]
    start = time.perf_counter()
    run = subprocess.run(
        [*map(str, command), "--overwrite", "-v"], capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    if run.returncode:
        sys.exit(f"{scene}: {run.stderr.strip()}")
    found = re.search(r"each pixel ([0-9.]+) times", run.stderr)
    with rasterio.open(mask) as file:
        tags, classes = file.tags(), file.read(1)
    window = [int(n) for n in re.findall(r"\d+", tags["WINDOW"])]
    probabilities = read(mask.with_name("mask_probabilities.tif")) / np.float32(250)
    forward = float(found.group(1)) if found else float("nan")
    return classes, probabilities, forward, seconds, window


def margin(probabilities):
    """How far the likeliest class is ahead of the next one."""
    ordered = np.sort(probabilities, axis=0)
    return ordered[-1] - ordered[-2]


def compare(first, second):
    """Shares in per cent of the valid pixels, in the order of the table's columns."""
    (a, p, *_), (b, q, *_) = first, second
    valid = (a != NO_DATA) & (b != NO_DATA)
    if ((a == NO_DATA) != (b == NO_DATA)).any():
        sys.exit("the two masks differ in where there is no data")
    other = valid & (a != b)
    cloud = [np.isin(mask, (THICK, THIN)) for mask in (a, b)]
    sure = np.minimum(margin(p), margin(q)) >= UNSURE
    swapped = [np.isin(a, pair) & np.isin(b, pair) for pair in ((THICK, THIN), (CLEAR, SHADOW))]
    shares = [
        other, valid & (cloud[0] != cloud[1]), other & sure, other & swapped[0], other & swapped[1]
    ]
    return valid.sum(), [100 * share.sum() / valid.sum() for share in shares]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nephos")
    parser.add_argument("scenes", nargs="+", metavar="SCENE")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--shift", type=int, help="pixels; default: a third of the window")
    parser.add_argument("--options", default="", help="further options of `nephos predict`")
    arguments = parser.parse_args()
    options = ["--model", arguments.model, *arguments.options.split()]
    print(
        "| scene | window | moved by | other class | cloud or not | both sure | thick/thin "
        "| clear/shadow | network, pixels per pixel | s per megapixel |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for scene in arguments.scenes:
        with tempfile.TemporaryDirectory() as folder:
            first = predict(arguments.nephos, scene, folder, options)
            _, _, forward, seconds, window = first
            shift = arguments.shift or min(window) // 3
            second = predict(
                arguments.nephos, scene, folder, [*options, "--shift", str(shift)]
            )
        valid, shares = compare(first, second)
        cells = " | ".join(f"{share:.2f}" for share in shares)
        name = pathlib.Path(scene).name[:24]
        megapixels = first[0].size / 1e6
        print(
            f"| {name} | {window[0]} × {window[1]} | {shift} | {cells} | {forward:.2f} "
            f"| {seconds / megapixels:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
