#!/usr/bin/env python3
"""Scores weights, and masks of others, on the samples that no weights are trained on.

    python3 bench/held_out.py target/release/nephos --weights tiny --out out/held-out
    python3 bench/held_out.py target/release/nephos --weights new=out/run/last.nephos \\
        --fold-weights 'new=out/folds/fold-{fold}/last.nephos' --masks masks --out out/held-out

On every container of ../shared/data with labels: the Landsat 8 Biome patches (all of them: by
--fold-weights, each patch by the weights of its fold, which have not seen it; else by --weights,
which may have), and of the others the samples of weights/held-out. One `nephos benchmark` per
container, with each band set, by kind of scene, and with masks of others where MASKS/NAME/CONTAINER
is a folder (weights/teacher_masks.py makes those of ukis-csmask: ukis4 and ukis6). Writes
OUT/held-out.md with a summary, the goals of this project, and all tables; OUT/CONTAINER holds scores,
reliability diagrams and the worst scenes. What was scored with the same command and weights is kept.
Needs Python alone; about two minutes on two cores.
"""

import argparse
import glob
import hashlib
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HELD_OUT = ROOT / "weights" / "held-out"

SIX = "blue,green,red,nir,swir16,swir22"
FOUR = "blue,green,red,nir"
RGB = "blue,green,red"

# Labels that tell less than the four classes: 0 is clear or shadow, 1 thick or thin.
IGNORED = ["--set", "data.labels.ignore=[255]"]
CLOUD_OR_NOT = [*IGNORED, "--set", 'data.labels.map={0=["clear","shadow"],1=["thick","thin"]}']
CLOUD_AND_SHADOW = [*IGNORED, "--set", 'data.labels.map={1=["thick","thin"]}']

# Of each container: what it is called in the tables, band sets beside all bands, and options.
CONTAINERS = {
    "l8biome": (
        "Landsat 8 Biome, 24 patches",
        [SIX, FOUR, RGB],
        ["--config", "l8biome", "--kinds", f"{HELD_OUT}/l8biome-kinds.csv"],
    ),
    "landsat8_38cloud": (
        "38-Cloud, two scenes",
        [RGB],
        [*CLOUD_OR_NOT, "--only", f"{HELD_OUT}/landsat8_38cloud.txt"],
    ),
    "sentinel2_painted_shadow": (
        "painted shadow, one date",
        [RGB],
        [*CLOUD_AND_SHADOW, "--only", f"{HELD_OUT}/sentinel2_painted_shadow.txt"],
    ),
    "sentinel2_cloud_catalogue": (
        "Sentinel-2 Cloud Mask Catalogue, sixty scenes",
        [],
        [*CLOUD_OR_NOT, "--only", f"{HELD_OUT}/sentinel2_cloud_catalogue.txt"],
    ),
}

# What a band set is called, by container where "all" is fewer bands than seven.
BANDS = {
    None: {"l8biome": "all seven", "landsat8_38cloud": "four", "sentinel2_painted_shadow": "four"},
    SIX: "six",
    FOUR: "four",
    RGB: "RGB",
}

# Goals: container, bands, kind (None: all scenes), figure, "least" or "most", bound in per cent,
# and the masks that must be beaten by it.
GOALS = [
    ("l8biome", "four", None, "cloud_iou", "least", 90.0, "ukis4"),
    ("l8biome", "six", None, "cloud_iou", "least", 93.0, "ukis6"),
    ("l8biome", "four", None, "shadow_iou", "least", 0.0, "ukis4"),
    ("l8biome", "six", None, "shadow_iou", "least", 0.0, "ukis6"),
    ("landsat8_38cloud", "four", None, "cloud_iou", "least", 0.0, "ukis4"),
    ("sentinel2_painted_shadow", "four", None, "cloud_iou", "least", 0.0, "ukis4"),
    ("sentinel2_painted_shadow", "four", None, "shadow_iou", "least", 0.0, "ukis4"),
    ("sentinel2_cloud_catalogue", "RGB", None, "cloud_iou", "least", 82.0, None),
    ("sentinel2_cloud_catalogue", "RGB", "snow/ice", "cloud_free_false", "most", 15.0, None),
    ("sentinel2_cloud_catalogue", "RGB", "desert/barren", "cloud_free_false", "most", 3.0, None),
    ("sentinel2_cloud_catalogue", "RGB", "urban/developed", "cloud_free_false", "most", 3.0, None),
    ("sentinel2_cloud_catalogue", "RGB", "open_water", "cloud_free_false", "most", 1.0, None),
]
MOST_ECE = 0.05


def bands_of(container, bands):
    name = BANDS[",".join(bands) if bands else None]
    return name.get(container, "RGB") if isinstance(name, dict) else name


def given(entries):
    """NAME=PATH as typed, by name; NAME alone is a model that comes with nephos."""
    return dict(entry.split("=", 1) if "=" in entry else (pathlib.Path(entry).stem, entry) for entry in entries)


def digest(path):
    """Of a file, of all files of a folder, or of weights per fold; of any other name, itself."""
    names = glob.glob(path.replace("{fold}", "*")) if "{fold}" in path else [path]
    paths = sorted(map(pathlib.Path, names))
    hashed = hashlib.sha256(path.encode())
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in filter(pathlib.Path.is_file, files):
            hashed.update(file.name.encode() + file.read_bytes())
    return hashed.hexdigest()


def score(args, container):
    """Runs the benchmark of a container where that is not done; its report."""
    data, out = args.data / container, args.out / container
    if not data.is_dir():
        print(f"{data}: not there, left out", file=sys.stderr)
        return None
    _, sets, options = CONTAINERS[container]
    command = [str(args.nephos), "benchmark", str(data), "--out", str(out), "--worst", str(args.worst), *options]
    weights = given(args.weights)
    if container == "l8biome":
        per_fold = given(args.fold_weights)
        if per_fold:
            command += ["--fold-table", f"{HELD_OUT}/l8biome-folds.csv"]
        weights = {**weights, **per_fold}
    elif container == "sentinel2_cloud_catalogue":
        command += ["--kinds", str(data / "tags.csv")]
    inputs = list(weights.values())
    for name, path in weights.items():
        command += ["--weights", f"{name}={path}"]
    for peer in sorted(args.masks.iterdir()) if args.masks else []:
        if (peer / container).is_dir():
            command += ["--predictions", f"{peer.name}={peer / container}"]
            inputs.append(str(peer / container))
    for bands in sets:
        command += ["--also-bands", bands]
    wanted = f"{' '.join(command)}\n{' '.join(map(digest, inputs))}\n"
    stamp = out / "command.txt"
    report = out / "benchmark.json"
    if not (report.exists() and stamp.exists() and stamp.read_text() == wanted):
        stamp.unlink(missing_ok=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        stamp.write_text(wanted)
    return json.loads(report.read_text())["scenes"]["entries"], (out / "benchmark.md").read_text()


def cell(share):
    return "–" if share is None else f"{100 * share:.1f}"


def table(rows):
    head, *rest = rows
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * 3 + "---:|" * (len(head) - 3)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rest])


def summary(reports):
    rows = [["samples", "bands", "model", "cloud IoU", "false cloud", "missed cloud", "shadow IoU", "mean cloud IoU",
             "ECE", "ECE of cloud"]]
    for container, (entries, _) in reports.items():
        for entry in entries:
            s = entry["overall"]
            bands = "its own" if entry["origin"] == "masks" else bands_of(container, entry["bands"])
            ece = ["–" if s[k] is None else f"{s[k]:.3f}" for k in ("calibration_error", "cloud_calibration_error")]
            rows.append([CONTAINERS[container][0], bands, entry["name"],
                         *(cell(s[k]) for k in ("cloud_iou", "false_cloud", "missed_cloud", "shadow_iou",
                                                "mean_cloud_iou")), *ece])
    return table(rows)


def value(entries, container, bands, kind, figure, name, masks=False):
    """A figure of an entry; masks have one set of bands, whatever it is called."""
    for entry in entries:
        if entry["name"] != name or not masks and bands_of(container, entry["bands"]) != bands:
            continue
        if kind is None:
            return entry["overall"][figure]
        return next((k[figure] for k in entry["kinds"] if k["kind"] == kind), None)
    return None


def goals(reports, names):
    rows = [["goal", "samples", "bands", "bound", *names]]
    for container, bands, kind, figure, sense, bound, peer in GOALS:
        if container not in reports:
            continue
        entries = reports[container][0]
        other = value(entries, container, bands, None, figure, peer, masks=True) if peer else None
        bound = max(bound / 100, other or 0.0)
        what = {"cloud_iou": "cloud IoU", "shadow_iou": "shadow IoU"}.get(figure, f"false cloud, cloud-free {kind}")
        row = [what, CONTAINERS[container][0], bands, f"at {sense} {cell(bound)}" + (f" ({peer})" if other == bound else "")]
        for name in names:
            found = value(entries, container, bands, kind, figure, name)
            if found is None:
                row.append("–")
                continue
            met = found <= bound if sense == "most" else found > bound if other == bound else found >= bound
            row.append(f"{cell(found)} {'✓' if met else '✗'}")
        rows.append(row)
    for container, (entries, _) in reports.items():
        sets = dict.fromkeys(bands_of(container, e["bands"]) for e in entries if e["origin"] != "masks")
        for bands in sets:
            row = ["ECE", CONTAINERS[container][0], bands, f"at most {MOST_ECE}"]
            for name in names:
                found = value(entries, container, bands, None, "calibration_error", name)
                row.append("–" if found is None else f"{found:.3f} {'✓' if found <= MOST_ECE else '✗'}")
            rows.append(row)
    return table(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nephos", type=pathlib.Path, help="the program")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=BUNDLE", help="may be repeated")
    parser.add_argument("--fold-weights", action="append", default=[], metavar="NAME=PATH",
                        help="weights per fold of the Landsat 8 Biome patches, {fold} in their path; may be repeated")
    parser.add_argument("--masks", type=pathlib.Path, help="folder of others' masks, MASKS/NAME/CONTAINER/SAMPLE.tif")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", action="append", choices=CONTAINERS, help="this container alone; may be repeated")
    parser.add_argument("--worst", type=int, default=20, help="worst scenes that are drawn (20)")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    if not args.weights and not args.fold_weights:
        parser.error("--weights or --fold-weights is expected")
    args.out.mkdir(parents=True, exist_ok=True)
    reports = {}
    for container in args.only or CONTAINERS:
        if not args.weights and container != "l8biome":
            continue
        report = score(args, container)
        if report:
            reports[container] = report
    names = list(dict.fromkeys([*given(args.weights), *given(args.fold_weights)]))
    folded = given(args.fold_weights)
    seen = ", ".join(name for name in names if name not in folded)
    note = ""
    if "l8biome" in reports and seen:
        note = f"The Landsat 8 Biome patches may be among those that {seen} was trained on (no --fold-weights).\n\n"
    text = f"# Held-out samples\n\n{note}{summary(reports)}\n\n## Goals\n\n{goals(reports, names)}\n"
    for container, (_, markdown) in reports.items():
        text += f"\n## {CONTAINERS[container][0]}\n\n{markdown}"
    path = args.out / "held-out.md"
    path.write_text(text)
    print(text.split("\n## Landsat")[0])
    print(path)


if __name__ == "__main__":
    main()
