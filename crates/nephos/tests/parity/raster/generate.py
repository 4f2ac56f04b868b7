"""Small TIFFs of four bands as tifffile writes them, band by band and pixel by pixel.

Needs numpy, tifffile, imagecodecs. The number in band b, row r, column c is
1000 b + 10 r + c + 0.5 in float32, and without the half in uint16.
"""

import pathlib

import numpy as np
import tifffile

HERE = pathlib.Path(__file__).parent
NAMES = ["blue", "green", "red", "near & infra"]
XML = "<GDALMetadata>\n" + "".join(
    f'  <Item name="DESCRIPTION" sample="{i}" role="description">{name.replace("&", "&amp;")}</Item>\n'
    for i, name in enumerate(NAMES)
) + '  <Item name="OFFSET" sample="0" role="offset">0</Item>\n</GDALMetadata>\n'

band, row, col = np.indices((4, 18, 20))
number = 1000 * band + 10 * row + col

for planar in ("separate", "contig"):
    for kind, data in (("u16", number.astype("<u2")), ("f32", (number + 0.5).astype("<f4"))):
        data = data if planar == "separate" else data.transpose(1, 2, 0)
        for name, options in (
            ("strips", {"rowsperstrip": 5}),
            ("tiles_deflate", {"tile": (16, 16), "compression": "deflate", "predictor": True}),
        ):
            for order in "<>" if name == "strips" else "<":
                suffix = "" if order == "<" else "_big_endian"
                tifffile.imwrite(
                    HERE / f"{planar}_{kind}_{name}{suffix}.tif",
                    data.astype(data.dtype.newbyteorder(order)),
                    byteorder=order,
                    photometric="minisblack",
                    planarconfig=planar,
                    metadata=None,
                    extratags=[(42112, "s", 0, XML, True)],
                    **options,
                )
