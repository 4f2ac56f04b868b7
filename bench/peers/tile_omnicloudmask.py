"""One patch through OmniCloudMask's two networks: tile_omnicloudmask.py PATCH_SIZE THREADS

The networks of its model version 4 as it builds them, with random weights, which take
the same time; the mean of both as it takes it. Normalising, mosaicking and files are
left out, in its favour.
"""

import csv
import sys
from importlib import resources

import contender
import segmentation_models_pytorch as smp
import torch
from omnicloudmask.model_utils import infer_batch

size, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
with (resources.files("omnicloudmask") / "model_download_links.csv").open() as file:
    listed = list(csv.DictReader(file))
latest = max(float(row["version"]) for row in listed)
networks = [
    smp.Unet(
        encoder_name=row["timm_model_name"], encoder_weights=None, in_channels=3, classes=4
    ).eval()
    for row in listed
    if float(row["version"]) == latest and row["model_library"] == "smp"
]
assert len(networks) == 2, f"two networks were expected of version {latest}"
patch = torch.rand(1, 3, size, size)
contender.serve(lambda: infer_batch(networks, patch), None)
