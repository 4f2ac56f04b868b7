"""Writes small containers like those of CloudSEN12+, with the libraries of their authors.

    python make.py

needs pytortilla 0.5.1, tacotoolbox 0.26.9, tacoreader 0.6.5, mlstac 0.1.8, rasterio and
pyarrow. Each container holds the same samples. What those libraries read back of it, or
rasterio by the byte ranges they give, is compared with what went in before
`expected.json` is written: for each sample name, metadata, and stored numbers.

tacotoolbox 0.26 no longer writes version 1; a `.taco` of version 1 is a tortilla with
another magic number and a JSON collection at its end, which is done here. mlstac has
never published its writer, so that format too is written here and read by mlstac.
"""

import json
import pathlib
import struct
import sys
import tempfile

import numpy as np
import pyarrow as pa
import rasterio
from rasterio.transform import Affine

HERE = pathlib.Path(__file__).parent
SIDE, BANDS = 8, 3
QUALITY = ["high", "scribble", "nolabel"]


def samples():
    for k in range(5):
        random = np.random.default_rng(k)
        image = random.integers(0, 12000, (BANDS, SIDE, SIDE)).astype(np.uint16)
        label = random.integers(0, 4, (SIDE, SIDE)).astype(np.uint8)
        metadata = {
            "roi_id": f"ROI_{k // 2:05d}",
            "label_type": QUALITY[k % 3],
            "real_proj_shape": 509 if k % 2 else 2000,
            "cloud_share": 0.125 * k,
        }
        yield f"ROI_{k // 2:05d}__2020010{k}", image, label, metadata


def write_tiff(path, array):
    array = array if array.ndim == 3 else array[None]
    options = dict(
        driver="GTiff", count=len(array), height=SIDE, width=SIDE, dtype=array.dtype,
        crs="EPSG:32630", transform=Affine(10, 0, 5e5, 0, -10, 5e6), compress="deflate",
    )
    with rasterio.open(path, "w", **options) as out:
        out.write(array)
    return path


def tortilla(scratch):
    import pytortilla
    from pytortilla.datamodel.main import STAC, Sample, Samples

    outer = []
    for name, image, label, metadata in samples():
        inner = [
            Sample(id="s2l1c", file_format="GTiff", path=write_tiff(scratch / f"{name}.tif", image)),
            Sample(id="target", file_format="GTiff", path=write_tiff(scratch / f"{name}_l.tif", label)),
        ]
        path = scratch / f"{name}.tortilla"
        pytortilla.create(Samples(samples=inner), path, nworkers=1, quiet=True)
        stac = STAC(
            crs="EPSG:32630", raster_shape=(SIDE, SIDE), time_start=1577836800,
            geotransform=(5e5, 10, 0, 5e6, 0, -10), centroid="POINT (-3.0 45.2)",
        )
        outer.append(
            Sample(
                id=name, file_format="TORTILLA", path=path, data_split="train", stac_data=stac,
                **metadata,
            )
        )
    pytortilla.create(Samples(samples=outer), HERE / "v1.tortilla", nworkers=1, quiet=True)
    data = bytearray((HERE / "v1.tortilla").read_bytes())
    collection = json.dumps({"id": "small", "taco_version": "0.3.0"}).encode()
    data[:2] = b"WX"
    data[26:42] = struct.pack("<QQ", len(data), len(collection))
    (HERE / "v1.taco").write_bytes(bytes(data) + collection)

    import tacoreader.v1 as reader

    for file in ("v1.tortilla", "v1.taco"):
        table = reader.load(str(HERE / file))
        for k, (name, image, label, metadata) in enumerate(samples()):
            assert table.iloc[k]["tortilla:id"] == name
            assert all(table.iloc[k][key] == value for key, value in metadata.items())
            inner = table.read(k)
            for place, array in enumerate((image, label[None])):
                with rasterio.open(inner.read(place)) as raster:
                    assert (raster.read() == array).all()


def tacozip(scratch):
    import tacotoolbox
    from tacotoolbox.datamodel import Sample, Taco, Tortilla
    from tacotoolbox.taco.datamodel import Provider

    outer = []
    for name, image, label, metadata in samples():
        files = [("image.tif", image), ("target.tif", label)]
        inner = Tortilla(
            samples=[
                Sample(id=file, path=write_tiff(scratch / f"{name}_{file}", array))
                for file, array in files
            ]
        )
        sample = Sample(id=name, path=inner)
        sample.extend_with({key: value for key, value in metadata.items()})
        outer.append(sample)
    taco = Taco(
        tortilla=Tortilla(samples=outer), id="small", dataset_version="1.0.0",
        description="Small", licenses=["CC0-1.0"], providers=[Provider(name="nobody")],
        tasks=["semantic-segmentation"],
    )
    (HERE / "v2.tacozip").unlink(missing_ok=True)
    tacotoolbox.create(taco, HERE / "v2.tacozip")
    data = (HERE / "v2.tacozip").read_bytes()

    import io
    import zipfile

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(zipfile.ZipFile(io.BytesIO(data)).read("METADATA/level0.parquet")))
    rows = table.to_pylist()
    for row, (name, image, label, metadata) in zip(rows, samples(), strict=True):
        assert row["id"] == name and all(row[key] == value for key, value in metadata.items())
        begin, size = row["internal:offset"], row["internal:size"]
        inner = pq.read_table(pa.BufferReader(data[begin : begin + size])).to_pylist()
        for entry, array in zip(inner, (image, label[None]), strict=True):
            begin, size = entry["internal:offset"], entry["internal:size"]
            with rasterio.open(io.BytesIO(data[begin : begin + size])) as raster:
                assert (raster.read() == array).all()


def mlstac(scratch):
    header, body = {}, b""
    for name, image, label, _ in samples():
        stacked = np.concatenate([image, label[None].astype(np.uint16)])
        data = write_tiff(scratch / f"{name}_m.tif", stacked).read_bytes()
        header[name] = [len(body), len(data)]
        body += data
    text = json.dumps(header).encode()
    (HERE / "old.mlstac").write_bytes(b"#y" + struct.pack("<Q", len(text)) + text + body)

    from mlstac.core import load_data, load_metadata

    table = load_metadata(HERE / "old.mlstac")
    read = load_data(table, quiet=True)
    for k, (name, image, label, _) in enumerate(samples()):
        assert table.iloc[k]["datapoint_id"] == name
        assert (read[k] == np.concatenate([image, label[None]])).all()


if __name__ == "__main__":
    which = sys.argv[1:] or ["tortilla", "tacozip", "mlstac"]
    with tempfile.TemporaryDirectory() as scratch:
        for function in which:
            globals()[function](pathlib.Path(scratch))
    expected = [
        {"name": n, "image": i.tolist(), "label": m.tolist(), "metadata": d}
        for n, i, m, d in samples()
    ]
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")
