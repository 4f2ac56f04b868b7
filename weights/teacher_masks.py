#!/usr/bin/env python3
"""Class masks of the teacher's probabilities, for `nephos benchmark --predictions`.

    python3 weights/teacher_masks.py teacher-out/l8biome/4b masks/ukis4

Of each NAME.tif that weights/teacher.py wrote (clear, cloud, shadow; probability x 250, 255 no data)
the likeliest class, which is the package's own mask: 0 clear, 1 cloud, 3 shadow, 255 no data. Needs
numpy and tifffile (with imagecodecs).
"""

import argparse
import os
from pathlib import Path

import numpy as np
import tifffile

# Of clear, cloud, shadow; thin cloud is not a class of its own.
CODES = np.array([0, 1, 3], np.uint8)
NONE = 255


def mask(path):
    stored = tifffile.imread(path)
    if stored.shape[0] != len(CODES):
        raise SystemExit(f"{path}: three bands, clear, cloud and shadow, are expected; it has {stored.shape[0]}")
    return np.where(stored[0] == NONE, NONE, CODES[stored.argmax(axis=0)]).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probabilities", type=Path, help="folder that teacher.py wrote, such as OUT/l8biome/4b")
    parser.add_argument("out", type=Path, help="folder of the masks")
    args = parser.parse_args()
    paths = sorted(args.probabilities.glob("*.tif"))
    if not paths:
        raise SystemExit(f"{args.probabilities}: no .tif in it")
    args.out.mkdir(parents=True, exist_ok=True)
    for path in paths:
        part = args.out / f".{path.name}.{os.getpid()}"
        tifffile.imwrite(part, mask(path), compression="zlib")
        part.replace(args.out / path.name)
    print(f"{len(paths)} masks in {args.out}")


if __name__ == "__main__":
    main()
