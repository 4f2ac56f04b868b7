"""Writes two small containers that are laid out like the parts of CloudSEN12+.

    python make.py

needs pytortilla 0.5.1, rasterio and numpy. Like the data set's own files, each sample is
a tortilla of an image (13 bands of Sentinel-2 L1C, uint16, reflectance × 10000) and a
label (0 clear, 1 thick cloud, 2 thin cloud, 3 shadow), padded with zeros on the left and
at the bottom, and the table has `data_split`, `label_type`, `real_proj_shape` and
`roi_id`, with the centre of each sample. The land and the clouds are made up: nothing of
the data set is in here.
"""

import pathlib
import struct
import tempfile

import numpy as np
import pytortilla
import rasterio
from pytortilla.datamodel.main import STAC, Sample, Samples
from rasterio.transform import Affine

HERE = pathlib.Path(__file__).parent
SIDE, PADDING = 32, 2
GROUND = [1300, 1100, 1050, 900, 1200, 1900, 2200, 2400, 2500, 800, 15, 2100, 1400]
CLOUD = [5200, 5100, 5000, 5100, 5200, 5300, 5400, 5400, 5500, 2500, 400, 3800, 3000]

# Part, region, split, label type, shape, longitude and latitude.
SAMPLES = [
    (0, "ROI_0000", "train", "high", 509, -69.96, -42.91),
    (0, "ROI_0000", "train", "high", 509, -69.96, -42.91),
    (0, "ROI_0001", "train", "high", 509, 37.70, 10.68),
    (0, "ROI_0002", "validation", "high", 509, 125.57, 5.40),
    # Labelled by strokes, in a region of test.
    (0, "ROI_0004", "train", "scribble", 509, 20.91, -28.72),
    (1, "ROI_0003", "train", "high", 509, 59.17, 31.80),
    (1, "ROI_0002", "validation", "high", 509, 125.57, 5.40),
    (1, "ROI_0004", "test", "high", 509, 20.91, -28.72),
    (1, "ROI_0005", "test", "high", 509, 118.08, 27.09),
    # Of another size, 7 km from a region of test.
    (1, "ROI_0006", "train", "high", 2000, 118.08, 27.153),
]


def sample(number):
    """Ground, a thick and a thin cloud, and the shadow of the first."""
    random = np.random.default_rng(number)
    label = np.zeros((SIDE, SIDE), np.uint8)
    row, col = random.integers(2, 12, 2)
    label[row + 5 : row + 12, col + 6 : col + 14] = 3
    label[row : row + 9, col : col + 9] = 1
    label[20:27, 4:22] = 2
    ground = np.array(GROUND) * random.uniform(0.8, 1.2)
    cloud = np.array(CLOUD)
    spectra = [ground, cloud, 0.6 * ground + 0.4 * cloud, 0.4 * ground]
    image = np.array([np.rint(s).astype(np.uint16) for s in spectra])[label]
    image = np.ascontiguousarray(image.transpose(2, 0, 1))
    image[:, -PADDING:], image[:, :, :PADDING] = 0, 0
    label[-PADDING:], label[:, :PADDING] = 0, 0
    return image, label


def write_tiff(path, array):
    array = array if array.ndim == 3 else array[None]
    options = dict(
        driver="GTiff", count=len(array), height=SIDE, width=SIDE, dtype=array.dtype,
        crs="EPSG:32630", transform=Affine(10, 0, 5e5, 0, -10, 5e6), compress="deflate",
        interleave="pixel",
    )
    with rasterio.open(path, "w", **options) as out:
        out.write(array)
    return path


def part(scratch, number):
    outer = []
    for k, (where, roi, split, quality, shape, lon, lat) in enumerate(SAMPLES):
        if where != number:
            continue
        image, label = sample(k)
        name = f"{roi}__2020010{k}"
        inner = [
            Sample(id="s2l1c", file_format="GTiff", path=write_tiff(scratch / f"{k}.tif", image)),
            Sample(id="target", file_format="GTiff", path=write_tiff(scratch / f"{k}_l.tif", label)),
        ]
        path = scratch / f"{name}.tortilla"
        pytortilla.create(Samples(samples=inner), path, nworkers=1, quiet=True)
        stac = STAC(
            crs="EPSG:32630", raster_shape=(SIDE, SIDE), time_start=1577836800,
            geotransform=(5e5, 10, 0, 5e6, 0, -10), centroid=f"POINT ({lon} {lat})",
        )
        outer.append(
            Sample(
                id=name, file_format="TORTILLA", path=path, data_split=split, stac_data=stac,
                roi_id=roi, label_type=quality, real_proj_shape=shape,
            )
        )
    whole = scratch / f"{number}.whole"
    pytortilla.create(Samples(samples=outer), whole, nworkers=1, quiet=True)
    # A `.taco` of version 1 is a tortilla with another magic number and a collection.
    data, collection = bytearray(whole.read_bytes()), b'{"id": "small", "taco_version": "0.3.0"}'
    data[:2] = b"WX"
    data[26:42] = struct.pack("<QQ", len(data), len(collection))
    (HERE / f"small-l1c.000{number}.part.taco").write_bytes(bytes(data) + collection)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for number in (0, 1):
            part(pathlib.Path(scratch), number)
