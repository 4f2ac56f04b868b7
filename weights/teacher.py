#!/usr/bin/env python3
"""A teacher: probabilities of cloud and shadow by ukis-csmask for unlabelled images.

    python3 -m venv teacher && teacher/bin/pip install -r weights/teacher-requirements.txt
    teacher/bin/python weights/teacher.py predict ../shared/data/l8biome --metres 30 --out teacher-out
    teacher/bin/python weights/teacher.py score ../shared/data/l8biome --teacher teacher-out

`predict FOLDER...` reads FOLDER/image/NAME.tif (bands named in the file's descriptions) and writes

    OUT/FOLDER/4b/NAME.tif      clear, cloud, shadow of the network of four bands
    OUT/FOLDER/6b/NAME.tif      the same of the network of six, where the image has them
    OUT/FOLDER/agreed/NAME.tif  cloud, shadow: the mean of the views where they agree, 255 where
                                the teacher has no say (`agree`)

each uint8, probability x 250, 255 where the image has no data, with the image's own georeference.
What is there already is kept (`--again` makes it anew). `score` measures such a folder against
FOLDER/label/NAME.tif and prints Markdown tables; docs/teacher.md has them.

ukis-csmask 1.0.0 (German Aerospace Center, Apache-2.0): Wieland, Li, Martinis 2019,
doi:10.1016/j.rse.2019.05.022; Wieland, Fichtner, Martinis 2022,
doi:10.5194/isprs-archives-XLIII-B3-2022-217-2022. Its networks (U-Net, EfficientNet-B4) take
reflectance in windows of 256 pixels of about 30 m and predict clear, cloud (thick or thin) and shadow.
"""

import argparse
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import onnxruntime
import scipy
import tifffile
import ukis_csmask
from ukis_csmask.utils import tile_array, untile_array

# What the numbers in a file of probabilities mean.
SCALE = 250
NONE = 255
CLASSES = ["clear", "cloud", "shadow"]

# Other names of the networks' bands, best first.
ALIASES = {"nir": ["nir", "nir08"]}

# `agree`: largest difference of the views' probabilities.
APART = 0.3

# `agree`: how far their mean must be from one half, by the number of networks. One network
# has no second opinion: it predicts the image and its mirror, with a stricter bound.
SURE = {1: 0.4, 2: 0.3}

# Georeference, copied unchanged: scale, tie points, matrix, keys.
GEO_TAGS = [33550, 33922, 34264, 34735, 34736, 34737]


class Problem(Exception):
    """What is wrong, with the file."""


class Network:
    """One of the package's four networks."""

    def __init__(self, bands, level, threads):
        folder = Path(ukis_csmask.__file__).parent
        path = folder / f"model_{bands}_{level}.onnx"
        data = json.loads(path.with_suffix(".json").read_text())["data"]
        statistics = data["dataset_statistics"]
        self.bands = statistics["band_names"]
        self.mean, self.std = (np.float32(v) for v in statistics["img"])
        self.side = data["target_size"][0]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def probabilities(self, image):
        """[rows, cols, bands] of reflectance to [rows, cols, 3], with the package's own
        tiling and blending, so that the largest of the three is the package's mask."""
        shape = (*image.shape[:2], len(CLASSES))
        tiles = tile_array((image - self.mean) / self.std, self.side, self.side, overlap=0.2)
        name = self.session.get_inputs()[0].name
        logits = [
            self.session.run(None, {name: np.moveaxis(tile, -1, 0)[None]})[0] for tile in tiles
        ]
        soft = np.moveaxis(scipy.special.softmax(np.concatenate(logits), axis=1), 1, -1)
        blended = untile_array(soft, shape, overlap=0.2, smooth_blending=True)
        return blended / blended.sum(axis=2, keepdims=True)


def read(path, divisor=None):
    """Bands by name, [rows, cols] of reflectance; valid pixels; pixel in metres or None; tags."""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            array = page.asarray()
            kept = [*GEO_TAGS, 42112, 42113]
            tags = {t.code: (t.dtype, t.count, t.value) for t in page.tags if t.code in kept}
            planar = page.planarconfig == 2 or array.ndim == 2
    except Exception as error:
        raise Problem(f"{path}: not a TIFF that can be read: {error}") from error
    array = array[None] if array.ndim == 2 else array if planar else np.moveaxis(array, -1, 0)
    items = {}
    if 42112 in tags:
        for item in ElementTree.fromstring(tags[42112][2].strip("\0 \n")).iter("Item"):
            items[item.get("role") or item.get("name").lower(), int(item.get("sample", 0))] = item.text
    bands, valid = {}, np.zeros(array.shape[1:], bool)
    nodata = float(tags[42113][2].strip("\0 ")) if 42113 in tags else 0
    for k, plane in enumerate(array):
        name = items.get(("description", k))
        if name is None:
            raise Problem(f"{path}: band {k + 1} has no description; name it (blue, green, …)")
        scale, offset = (float(items.get((r, k), d)) for r, d in [("scale", 0), ("offset", 0)])
        if divisor:
            scale, offset = 1 / divisor, 0
        if scale == 0 and array.dtype.kind != "f":
            scale = 1e-4 if array.dtype == np.uint16 else None
        if scale is None:
            raise Problem(f"{path}: band {name} states no scale; give --scale")
        plane = plane.astype(np.float32)
        valid |= np.isfinite(plane) & (plane != nodata)
        bands[name.lower()] = np.nan_to_num(plane) * np.float32(scale or 1) + np.float32(offset)
    metres = None
    keys = tags[34735][2] if 34735 in tags else ()
    if 33550 in tags and 3072 in keys[::4]:
        metres = float(tags[33550][2][0])
    return bands, valid, metres, [(c, *tags[c], True) for c in GEO_TAGS if c in tags]


def stack(path, bands, requested):
    planes = []
    for name in requested:
        found = next((n for n in ALIASES.get(name, [name]) if n in bands), None)
        if found is None:
            raise Problem(f"{path}: no band {name}; it has {', '.join(bands)}")
        planes.append(bands[found])
    return np.stack(planes, axis=-1).astype(np.float32)


def resample(image, shape):
    """[rows, cols, n] to other rows and cols: mean where smaller, linear where larger."""
    factors = [new / old for new, old in zip(shape, image.shape[:2])]
    if min(factors) < 1:
        size = [max(1, round(1 / f)) for f in factors]
        image = scipy.ndimage.uniform_filter(image, (*size, 1), mode="nearest")
    at = np.meshgrid(
        *[(np.arange(n) + 0.5) / f - 0.5 for n, f in zip(shape, factors)], indexing="ij"
    )
    planes = [
        scipy.ndimage.map_coordinates(image[..., k], at, order=1, mode="nearest")
        for k in range(image.shape[2])
    ]
    return np.stack(planes, axis=-1)


def views(network, image, metres, at_metres):
    """Probabilities at the network's pixel size, resampled back on the image's own pixels."""
    shape = image.shape[:2]
    if metres and abs(metres / at_metres - 1) > 0.2:
        other = [max(1, round(n * metres / at_metres)) for n in shape]
        soft = resample(network.probabilities(resample(image, other)), shape)
    else:
        soft = network.probabilities(image)
    return soft.astype(np.float32)


def water(bands):
    """Open water by its reflectance."""
    nir, green = (stack("", bands, [name])[..., 0] for name in ("nir", "green"))
    return (nir < 0.12) & (green > nir)


def agree(softs, networks, on_water):
    """Where the teacher gives probabilities, for cloud and for shadow: all views put the class on the
    same side of one half, within APART of one another, and their mean is SURE. One network
    alone takes dark water for shadow and has no say there. Where it is wrong beyond that is
    in docs/teacher.md."""
    given, mean = [], []
    for k in (1, 2):
        values = np.stack([soft[..., k] for soft in softs])
        sides = (values > 0.5).sum(axis=0)
        one_side = (sides == 0) | (sides == len(softs))
        p = values.mean(axis=0)
        sure = np.abs(p - 0.5) >= SURE[networks]
        here = one_side & (values.max(0) - values.min(0) <= APART) & sure
        given.append(here & ~on_water if k == 2 and networks == 1 else here)
        mean.append(p)
    return np.stack(mean, -1), np.stack(given, -1)


def write(path, values, given, names, tags):
    """Whole or not at all."""
    stored = np.where(given, np.rint(values * SCALE), NONE).astype(np.uint8)
    items = "".join(
        f'  <Item name="DESCRIPTION" sample="{k}" role="description">{name}</Item>\n'
        f'  <Item name="SCALE" sample="{k}" role="scale">{1 / SCALE}</Item>\n'
        f'  <Item name="OFFSET" sample="{k}" role="offset">0</Item>\n'
        for k, name in enumerate(names)
    )
    metadata = f"<GDALMetadata>\n{items}</GDALMetadata>"
    extra = [*tags, (42112, 2, len(metadata) + 1, metadata, True), (42113, 2, 4, str(NONE), True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    tifffile.imwrite(
        part,
        np.moveaxis(stored, -1, 0),
        planarconfig="separate",
        photometric="minisblack",
        compression="zlib",
        extratags=extra,
    )
    part.replace(path)


def predict(args):
    loaded = {}

    def network(bands):
        if bands not in loaded:
            loaded[bands] = Network(bands, args.level, args.threads)
        return loaded[bands]

    failed = 0
    for folder in args.folders:
        paths = sorted((folder / "image").glob("*.tif"))
        if not paths:
            raise Problem(f"{folder}: no image/*.tif")
        for count, path in enumerate(paths, 1):
            out = args.out / folder.name
            targets = {kind: out / kind / path.name for kind in ("4b", "6b", "agreed")}
            if targets["agreed"].exists() and not args.again:
                continue
            print(f"{folder.name} {count}/{len(paths)} {path.name}", file=sys.stderr, flush=True)
            try:
                teach(path, targets, network, args)
            except Problem as problem:
                print(f"error: {problem}", file=sys.stderr)
                failed += 1
    if failed:
        raise Problem(f"{failed} images could not be taught")


def teach(path, targets, network, args):
    bands, valid, metres, tags = read(path, args.scale)
    metres = args.metres or metres
    if metres is None:
        raise Problem(f"{path}: the pixel size is unknown; give --metres")
    six = "swir16" in bands and "swir22" in bands
    softs = []
    for kind in ("4b", "6b") if six else ("4b",):
        net = network(kind)
        image = stack(path, bands, net.bands)
        softs.append(views(net, image, metres, args.at_metres))
        write(targets[kind], softs[-1], valid[..., None], CLASSES, tags)
    if not six:
        mirrored = views(net, image[:, ::-1], metres, args.at_metres)
        softs.append(mirrored[:, ::-1])
    # Last, since it marks the image as done.
    mean, given = agree(softs, 2 if six else 1, water(bands))
    write(targets["agreed"], mean, given & valid[..., None], CLASSES[1:], tags)


def surfaces(bands):
    """Kind of ground of each pixel by its reflectance, for the tables only."""
    green, red, nir = (stack("", bands, [name])[..., 0] for name in ("green", "red", "nir"))
    with np.errstate(divide="ignore", invalid="ignore"):
        plants = (nir - red) / (nir + red) > 0.4
        kinds = {"water": water(bands), "plants": ~water(bands) & plants}
        if "swir16" in bands:
            swir = bands["swir16"]
            kinds["snow"] = ((green - swir) / (green + swir) > 0.4) & (green > 0.25)
        kinds["bright, no snow"] = (red > 0.25) & ~plants & ~kinds.get("snow", np.zeros_like(plants))
        kinds["other"] = ~np.any(list(kinds.values()), axis=0)
    return kinds


class Counts:
    """What is counted of one view over some pixels."""

    def __init__(self):
        self.pixels = self.given = 0
        # For cloud and shadow: true and predicted, only true, only predicted, clear, clear but predicted.
        self.hits, self.missed, self.alarms = [0, 0], [0, 0], [0, 0]
        self.clear, self.clear_called = [0, 0], [0, 0]

    def add(self, label, predicted, given, annotated, where):
        """`predicted`, `given`: of cloud and of shadow. `annotated`: whether the label has shadow; a
        scene without any cloud has none, which counts among false alarms, not in the IoU."""
        self.pixels += int(where.sum())
        self.given += int((where & given[0]).sum())
        truths = [(label == 1) | (label == 2), label == 3]
        for k in (0, 1):
            here, true = where & given[k], truths[k]
            if k == 0 or annotated:
                self.hits[k] += int((here & true & predicted[k]).sum())
                self.missed[k] += int((here & true & ~predicted[k]).sum())
                self.alarms[k] += int((here & ~true & predicted[k]).sum())
            if k == 0 or annotated or not truths[0].any():
                clear = here & (label == 0)
                self.clear[k] += int(clear.sum())
                self.clear_called[k] += int((clear & predicted[k]).sum())

    def row(self):
        def share(part, whole):
            return f"{100 * part / whole:.1f}" if whole else "–"

        cells = [share(self.given, self.pixels)]
        for k in (0, 1):
            true = self.hits[k] + self.missed[k]
            cells.append(share(self.hits[k], true + self.alarms[k]) if true else "–")
            cells.append(share(self.clear_called[k], self.clear[k]))
        return cells


def calls(path, kind):
    """Cloud and shadow predicted by a view, and where it gives probabilities."""
    stored = tifffile.imread(path)
    if kind == "agreed":
        return [p > SCALE / 2 for p in stored], [p != NONE for p in stored]
    given = stored[0] != NONE
    best = stored.argmax(axis=0)
    return [(best == 1) & given, (best == 2) & given], [given, given]


def score(args):
    header = "| {} | view | pixels | covered % | cloud IoU | clear predicted cloud % | shadow IoU | clear predicted shadow % |"
    for folder in args.folders:
        total, by_scene, by_surface = {}, {}, {}
        for label_path in sorted((folder / "label").glob("*.tif")):
            name = label_path.stem
            if not args.scenes.search(name):
                continue
            label = tifffile.imread(label_path)
            bands, *_ = read(folder / "image" / label_path.name)
            annotated = bool((label == 3).any())
            kinds = surfaces(bands)
            group = re.split(r"_\d", name)[0]
            for kind in ("4b", "6b", "agreed"):
                path = args.teacher / folder.name / kind / label_path.name
                if not path.exists():
                    if kind == "6b":
                        continue
                    raise Problem(f"{path} is missing; run predict first")
                predicted, given = calls(path, kind)
                known = label != 255
                for table, key, where in [
                    (total, "all", known),
                    (by_scene, group, known),
                    *((by_surface, s, known & (label == 0) & w) for s, w in kinds.items()),
                ]:
                    counts = table.setdefault((key, kind), Counts())
                    counts.add(label, predicted, given, annotated, where)
        for title, table in [("scenes", total), ("kind", by_scene), ("clear ground", by_surface)]:
            print(f"\n{folder.name}\n\n{header.format(title)}\n|---|---|" + "---:|" * 6)
            for (key, kind), counts in sorted(table.items()):
                if counts.pixels:
                    cells = " | ".join(counts.row())
                    print(f"| {key} | {kind} | {counts.pixels} | {cells} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("predict", help="write probabilities")
    p.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    p.add_argument("--out", type=Path, required=True, help="where OUT/FOLDER/… goes")
    p.add_argument("--level", choices=["l1c", "l2a"], default="l1c",
                   help="top of atmosphere (l1c) or surface (l2a) reflectance")
    p.add_argument("--metres", type=float, help="pixel size of the images, if they don't say")
    p.add_argument("--at-metres", type=float, default=30, help="pixel size to predict at (30)")
    p.add_argument("--scale", type=float, help="stored number per unit of reflectance")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--again", action="store_true", help="predict what is there as well")
    p = commands.add_parser("score", help="measure against labels")
    p.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    p.add_argument("--teacher", type=Path, required=True, help="OUT of predict")
    p.add_argument("--scenes", type=re.compile, default=re.compile(""),
                   help="regular expression: only scenes whose name it finds")
    args = parser.parse_args()
    try:
        predict(args) if args.command == "predict" else score(args)
    except Problem as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
