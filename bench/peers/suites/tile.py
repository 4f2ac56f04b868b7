"""A whole Sentinel-2 tile: `nephos predict` from GeoTIFF to mask, against the time that
OmniCloudMask's two networks need for the patches of its own plan."""

import os
import pathlib
import statistics
import subprocess
import sys
import time

from suites import REPOSITORY, markdown, memory, need, seconds

# OmniCloudMask's defaults.
PATCH, OVERLAP = 1000, 300


def add_options(parser):
    parser.set_defaults(rounds=1)
    parser.add_argument("--size", type=int, default=10980, help="side in pixels (default 10980)")
    parser.add_argument("--patches", type=int, default=3,
                        help="patches to time before and after each run (default 3)")
    parser.add_argument("--overlap", default="0.1", help="of nephos's windows (default 0.1)")


def run(suite, options):
    need("torch", "omnicloudmask", "segmentation_models_pytorch", "rasterio")
    scene, model = made_up(suite, options.size), suite.model()
    plan = patches(options.size)
    mask = suite.work / "mask.tif"
    command = [
        suite.built(options.target / "nephos"), "predict", scene, "--model", model,
        "--overlap", options.overlap, "--out", mask, "--threads", options.threads, "--overwrite",
    ]
    rows = []
    peers = suite.python(
        "OmniCloudMask", "tile_omnicloudmask.py", PATCH, options.threads
    )
    with peers:
        peers.time()
        peers.forget_peak()
        for _ in range(options.rounds):
            times = [peers.time() for _ in range(options.patches)]
            ours, peak = timed([str(part) for part in command])
            times += [peers.time() for _ in range(options.patches)]
            patch = statistics.median(times)
            rows.append({"nephos": ours, "nephos_peak_mib": peak, "patch": patch,
                         "patches": plan, "ratio": patch * plan / ours})
        peers.note_peak()
    if not rows:
        return {"rows": rows}
    median = lambda key: statistics.median(row[key] for row in rows)
    print(markdown(["", "time", "times nephos", "peak memory"], [
        [f"OmniCloudMask's networks, {plan} patches × {seconds(median('patch'))}",
         seconds(median("patch") * plan), f"{median('ratio'):.1f}", memory(peers.peak_mib)],
        ["nephos predict, the whole command", seconds(median("nephos")), "1.0",
         memory(median("nephos_peak_mib"))],
    ]))
    return {"rows": rows, "size": options.size}


def timed(command):
    """Seconds and peak memory in MiB of a whole command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return elapsed, usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def patches(size):
    """The number of patches OmniCloudMask cuts such a scene into, by its own code."""
    from omnicloudmask.cloud_mask import make_patch_indexes

    return len(make_patch_indexes(size, size, PATCH, OVERLAP))


def made_up(suite, size):
    """A scene of four bands without gaps."""
    scene = suite.work / f"scene-{size}.tif"
    if not scene.exists():
        samples = suite.work / "samples"
        suite.nephos("simulate", "--out", samples, "--train", "4", "--val", "0", "--test", "0",
                     "--size", "1098", "--overwrite")
        script = pathlib.Path(REPOSITORY, "bench", "big_scene.py")
        subprocess.run(
            [sys.executable, script, samples / "train_split.pkl", scene, "--wedge", "0",
             "--height", str(size), "--width", str(size)],
            check=True,
        )
    return scene
