"""Chooses the samples that no shipped weights are trained on, and writes their names.

    python3 weights/held_out.py ../shared/data weights/held-out

For each container of labelled samples there is one file: a name per line below a header (`#`) that
describes how they were chosen. The Landsat 8 Biome patches are too few to leave any out; for them the
file is a table of six folds (name,fold: from 1, as the folders of `nephos benchmark` are numbered),
with another of their biomes. bench/held_out.py scores weights on all of them.
The same data gives the same files; `--check` writes nothing and fails where a file differs.
Needs numpy and tifffile.
"""

import argparse
import csv
import hashlib
import pathlib
import re
import sys

import numpy as np
import tifffile

SEED = "nephos held-out 1"
CATALOGUE_SCENES = 60
FOLDS = 6


def tile(name):
    """The MGRS tile of a Sentinel-2 product's name, such as 37LDJ."""
    return re.search(r"_T(\w{5})_", name).group(1)


def strata(rows):
    """What is kept in proportion: a name and a boolean per scene, for each stratum."""
    tags = list(rows[0])[list(rows[0]).index("shadow_percent") + 1 :]
    columns = {tag: np.array([row[tag] == "1" for row in rows]) for tag in tags}
    cloud = np.array([float(row["cloud_percent"]) for row in rows])
    cover = {"cloud-free": cloud == 0, "overcast": cloud > 99}
    cover["partly cloudy"] = ~(cover["cloud-free"] | cover["overcast"])
    grounds = {
        "snow": columns["snow/ice"],
        "desert": columns["desert/barren"],
        "town": columns["urban/developed"],
        "water": columns["open_water"] | columns["enclosed_water"] | columns["coastal"],
    }
    # The kinds of scene for which the share of false cloud is reported.
    crossed = {
        f"{a}, {b}": grounds[a] & cover[b]
        for a in grounds
        for b in ("cloud-free", "partly cloudy")
    }
    kinds = {
        "thin alone": columns["thin"] & ~columns["thick"],
        "thick alone": columns["thick"] & ~columns["thin"],
        "shadows marked": np.array([row["shadows_marked"] == "1" for row in rows]),
    }
    return {**columns, **cover, **crossed, **kinds}


def catalogue(folder):
    """Sixty scenes, every stratum in proportion, no tile on both sides."""
    with open(folder / "tags.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["scene"] for row in rows]
    of = strata(rows)
    member = np.array(list(of.values()), dtype=float)
    target = member.sum(axis=1) * CATALOGUE_SCENES / len(rows)
    # A stratum of n scenes may be off by the square root of its target as easily as any other.
    weight = 1.0 / np.maximum(target, 1.0)
    shared = {t for t in map(tile, names) if sum(tile(n) == t for n in names) > 1}
    # Tiles with several scenes stay whole on the side that is trained on.
    free = [i for i, name in enumerate(names) if tile(name) not in shared]
    free.sort(key=lambda i: hashlib.sha256(f"{SEED} {names[i]}".encode()).hexdigest())
    chosen, rest = free[:CATALOGUE_SCENES], free[CATALOGUE_SCENES:]
    cost = lambda counts: float((weight * (counts - target) ** 2).sum())
    counts = member[:, chosen].sum(axis=1)
    while True:
        # The best exchange of one scene for another, until none is better than the present choice.
        moved = counts[:, None, None] - member[:, chosen][:, :, None] + member[:, rest][:, None, :]
        costs = (weight[:, None, None] * (moved - target[:, None, None]) ** 2).sum(axis=0)
        best = np.unravel_index(int(costs.argmin()), costs.shape)
        if costs[best] >= cost(counts) - 1e-9:
            break
        counts = moved[:, best[0], best[1]]
        chosen[best[0]], rest[best[1]] = rest[best[1]], chosen[best[0]]
    table = [
        f"#   {name}: {int(have)} of {int(all)}"
        for name, have, all in zip(of, counts, member.sum(axis=1))
    ]
    header = [
        f"# {CATALOGUE_SCENES} of the {len(rows)} scenes of the Sentinel-2 Cloud Mask Catalogue, never trained on.",
        "# Chosen by weights/held_out.py: the scenes in the order of the SHA-256 of a fixed text and the",
        "# name, the first sixty, then exchanged one by one while that brings the counts below nearer to",
        "# their proportion. By place: no MGRS tile (T… in the name) is on both sides; the tiles with two",
        f"# scenes ({', '.join(sorted(shared))}) stay with those that are trained on.",
        "# Scenes held out of all scenes, for each tag and kind:",
        *table,
    ]
    return header + sorted(names[i] for i in chosen)


def label(folder, name):
    return tifffile.imread(folder / "label" / f"{name}.tif")


def names_of(folder):
    return sorted(path.stem for path in (folder / "label").glob("*.tif"))


def cloud38(folder):
    """All patches of the two Landsat scenes in which both cloud and clear are labelled."""
    scenes = {}
    for name in names_of(folder):
        scenes.setdefault(name[name.index("LC08") :], []).append(name)
    both = lambda name: {0, 1} <= set(np.unique(label(folder, name)).tolist())
    held = [scene for scene in sorted(scenes) if any(both(name) for name in scenes[scene])]
    if len(held) != 2:
        sys.exit(f"{folder}: two scenes with cloud and clear are expected, found {held}")
    header = [
        f"# Two of the {len(scenes)} Landsat 8 scenes of the 38-Cloud patches, never trained on.",
        "# Chosen by weights/held_out.py: those with both cloud and clear labels, all their patches (by",
        "# place: path and row are in the name). The third scene's patches are cloud alone.",
    ]
    return header + sorted(name for scene in held for name in scenes[scene])


def painted(folder):
    """The date with the second most painted shadow."""
    share = {name: float((label(folder, name) == 3).mean()) for name in names_of(folder)}
    held = sorted(share, key=share.get)[-2]
    header = [
        f"# One of the {len(share)} dates with painted shadow, never trained on. All show one place, so the",
        "# ground is seen in training, the clouds and shadows are not. Chosen by weights/held_out.py: the",
        f"# date with the second most shadow ({100 * share[held]:.1f} % of the pixels).",
    ]
    return header + [held]


def folds(folder):
    """The folds of `nephos benchmark --folds 6`: see crates/nephos/src/benchmark/folds.rs."""
    names = names_of(folder)
    pixels = np.array(
        [np.bincount(label(folder, name).ravel(), minlength=256)[:255] for name in names], float
    )
    shares = pixels / np.maximum(pixels.sum(axis=0), 1.0)
    order = sorted(range(len(names)), key=lambda i: -shares[i].max())
    room, full = -(-len(names) // FOLDS), len(names) % FOLDS or FOLDS
    size, held = [0] * FOLDS, np.zeros((FOLDS, 255))
    fold = {}
    for i in order:
        filled = sum(count == room for count in size)
        open_ = [f for f in range(FOLDS) if size[f] + 1 < room or (size[f] < room and filled < full)]
        grown = lambda f: float((2.0 * held[f] * shares[i] + shares[i] ** 2).sum())
        best = min(open_, key=lambda f: (grown(f), size[f], f))
        size[best] += 1
        held[best] += shares[i]
        fold[names[i]] = best + 1
    return ["name,fold", *(f"{name},{fold[name]}" for name in names)]


def biomes(folder):
    """The biome of each patch, as its name has it."""
    return ["name,biome", *(f"{name},{name.rsplit('_', 1)[0]}" for name in names_of(folder))]


FILES = {
    "sentinel2_cloud_catalogue.txt": ("sentinel2_cloud_catalogue", catalogue),
    "landsat8_38cloud.txt": ("landsat8_38cloud", cloud38),
    "sentinel2_painted_shadow.txt": ("sentinel2_painted_shadow", painted),
    "l8biome-folds.csv": ("l8biome", folds),
    "l8biome-kinds.csv": ("l8biome", biomes),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="the folder with the containers")
    parser.add_argument("out", type=pathlib.Path, help="the folder of the lists")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    for file, (container, choose) in FILES.items():
        text = "\n".join(choose(args.data / container)) + "\n"
        path = args.out / file
        if args.check:
            if path.read_text() != text:
                sys.exit(f"{path}: not what {container} gives")
        else:
            args.out.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    main()
