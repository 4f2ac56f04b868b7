"""Writes made-up Sentinel-2 products with real JPEG 2000 codestreams.

    python make.py OUT [--expected]

Needs numpy and rasterio with the JP2OpenJPEG driver. Each product is a valid
SAFE folder with the fields of ESA's metadata that readers use, on grids of 120,
60 and 20 pixels a side in small tiles. With --expected, OUT/NAME_10.npy (_20,
_60) hold the reflectance of all its bands on that grid, float64, NaN where there
is no data, computed from the stored numbers and never from the images.

What each product is there for:

- `misled`: baseline 05.09 with offset -1000; the name says N0209.
- `plain`: baseline 02.06, no offsets.
- `reprocessed`: seen in 2016, processed again as 05.00 with offset -1000; 16
  bits, with saturated pixels.
- `surface`: Level-2A, an offset of its own for each band, images of one band at
  several pixel sizes that differ in content.
- `long`: long file names, as until 2016, and no table of bands.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

BANDS = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12".split()
NATIVE = [60, 10, 10, 10, 20, 20, 20, 10, 20, 60, 60, 20, 20]
SIDE = {10: 120, 20: 60, 60: 20}
# The images of 60 m have one tile; GDAL writes none below 32 pixels.
TILE = {10: 48, 20: 40, 60: 32}
SATURATED = 65535


def stored(seed, band, resolution, saturated):
    """The stored numbers of one image; tests/suite/safe.rs has the same formula."""
    side = SIDE[resolution]
    row, col = np.mgrid[0:side, 0:side].astype(np.int64)
    x, y = col * resolution // 10, row * resolution // 10
    texture = (row * 31 + col * 17 + band * 13 + seed * 7) * 2654435761 // 65536 % 4
    numbers = 900 + 211 * band + 13 * x + 7 * y + resolution + 3 * seed + texture
    numbers[(x * 2 + y) < 60] = 0
    if saturated:
        numbers[(x >= 90) & (y >= 96) & (y < 110)] = SATURATED
    return numbers.astype(np.uint16)


def write_image(path, numbers, resolution, bits):
    path.parent.mkdir(parents=True, exist_ok=True)
    options = dict(QUALITY="100", REVERSIBLE="YES", NBITS=str(bits), RESOLUTIONS="3")
    options |= dict(BLOCKXSIZE=str(TILE[resolution]), BLOCKYSIZE=str(TILE[resolution]))
    options |= dict(GMLJP2="NO", GeoJP2="NO", TILED="YES")
    height, width = numbers.shape
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", height=height, width=width, count=1, dtype="uint16", **options
    ) as image:
        image.write(numbers, 1)
    with rasterio.open(path) as image:
        assert (image.read(1) == numbers).all(), "not lossless"
    path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)


def product_xml(p, files):
    level = p["level"]
    kind = f"Level-{level[1:]}"
    name = "RADIO_ADD_OFFSET" if level == "L1C" else "BOA_ADD_OFFSET"
    around = "Radiometric_Offset_List" if level == "L1C" else "BOA_ADD_OFFSET_VALUES_LIST"
    image = "IMAGE_ID" if p["long"] else "IMAGE_FILE"
    images = "\n".join(f"            <{image}>{file}</{image}>" for file in files)
    offsets = ""
    if p["offsets"] is not None:
        lines = "\n".join(
            f'        <{name} band_id="{band}">{offset}</{name}>'
            for band, offset in enumerate(p["offsets"])
        )
        offsets = f"      <{around}>\n{lines}\n      </{around}>\n"
    quantification = '      <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>\n'
    if level == "L2A":
        quantification = (
            "      <QUANTIFICATION_VALUES_LIST>\n"
            '        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>\n'
            '        <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>\n'
            "      </QUANTIFICATION_VALUES_LIST>\n"
        )
    spectral = ""
    if not p["long"]:
        rows = "\n".join(
            f'        <Spectral_Information bandId="{band}" '
            f'physicalBand="{BANDS[band].replace("B0", "B")}">'
            f"<RESOLUTION>{NATIVE[band]}</RESOLUTION></Spectral_Information>"
            for band in range(13)
        )
        spectral = (
            "      <Spectral_Information_List>\n" + rows + "\n      </Spectral_Information_List>\n"
        )
    uri = "" if p["long"] else f"      <PRODUCT_URI>{p['name']}.SAFE</PRODUCT_URI>\n"
    special = "".join(
        "      <Special_Values>\n"
        f"        <SPECIAL_VALUE_TEXT>{text}</SPECIAL_VALUE_TEXT>\n"
        f"        <SPECIAL_VALUE_INDEX>{index}</SPECIAL_VALUE_INDEX>\n"
        "      </Special_Values>\n"
        for text, index in (("NODATA", 0), ("SATURATED", SATURATED))
    )
    user = f"{kind}_User_Product"
    space = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_{kind}.xsd"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:{user} xmlns:n1="{space}">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{p["seen"]}.024Z</PRODUCT_START_TIME>
{uri}      <PROCESSING_LEVEL>{kind}</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI{level[1:]}</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{p["baseline"]}</PROCESSING_BASELINE>
      <Datatake datatakeIdentifier="made up">
        <SPACECRAFT_NAME>Sentinel-{p["name"][1:3]}</SPACECRAFT_NAME>
      </Datatake>
      <Product_Organisation>
        <Granule_List>
          <Granule granuleIdentifier="{p["granule"]}" imageFormat="JPEG2000">
{images}
          </Granule>
        </Granule_List>
      </Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
{special}{quantification}{offsets}{spectral}    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:{user}>
"""


def tile_xml(p):
    sizes = "".join(
        f'      <Size resolution="{r}"><NROWS>{n}</NROWS><NCOLS>{n}</NCOLS></Size>\n'
        for r, n in SIDE.items()
    )
    places = "".join(
        f'      <Geoposition resolution="{r}"><ULX>{p["corner"][0]}</ULX><ULY>{p["corner"][1]}</ULY>'
        f"<XDIM>{r}</XDIM><YDIM>-{r}</YDIM></Geoposition>\n"
        for r in SIDE
    )
    level = f"Level-{p['level'][1:]}"
    space = f"https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_{level}_Tile_Metadata.xsd"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:{level}_Tile_ID xmlns:n1="{space}">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">{p["granule"]}</TILE_ID>
    <SENSING_TIME metadataLevel="Standard">{p["seen"]}.500000Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding metadataLevel="Brief">
      <HORIZONTAL_CS_CODE>EPSG:{p["epsg"]}</HORIZONTAL_CS_CODE>
{sizes}{places}    </Tile_Geocoding>
    <Tile_Angles metadataLevel="Standard">
      <Mean_Sun_Angle>
        <ZENITH_ANGLE unit="deg">26.5</ZENITH_ANGLE>
        <AZIMUTH_ANGLE unit="deg">143.25</AZIMUTH_ANGLE>
      </Mean_Sun_Angle>
    </Tile_Angles>
  </n1:Geometric_Info>
</n1:{level}_Tile_ID>
"""


def level2_layout():
    """Bands and pixel sizes of Level-2A: no B10, B08 at 10 m only."""
    layout = [(BANDS.index(b), 10) for b in ("B02", "B03", "B04", "B08")]
    layout += [
        (BANDS.index(b), 20) for b in "B02 B03 B04 B05 B06 B07 B8A B11 B12".split()
    ]
    return layout + [(band, 60) for band in range(13) if BANDS[band] not in ("B08", "B10")]


L1C = list(enumerate(NATIVE))
PRODUCTS = dict(
    misled=dict(
        name="S2A_MSIL1C_20230615T104631_N0209_R051_T31TCJ_20230615T125012",
        granule="L1C_T31TCJ_A041680_20230615T104628",
        level="L1C", baseline="05.09", seen="2023-06-15T10:46:31",
        epsg=32631, corner=(300000, 4900020), offsets=[-1000] * 13, images=L1C,
    ),
    plain=dict(
        name="S2B_MSIL1C_20180710T000239_N0206_R030_T55HBV_20180710T012345",
        granule="L1C_T55HBV_A007005_20180710T000410",
        level="L1C", baseline="02.06", seen="2018-07-10T00:02:39",
        epsg=32755, corner=(199980, 6100000), offsets=None, images=L1C,
    ),
    reprocessed=dict(
        name="S2A_MSIL1C_20160605T105032_N0500_R051_T31TCJ_20231011T203344",
        granule="L1C_T31TCJ_A004984_20160605T105604",
        level="L1C", baseline="05.00", seen="2016-06-05T10:50:32",
        epsg=32631, corner=(300000, 4900020), offsets=[-1000] * 13, images=L1C,
    ),
    surface=dict(
        name="S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126",
        granule="L2A_T33XWJ_A026649_20220413T150756",
        level="L2A", baseline="04.00", seen="2022-04-13T15:07:59",
        epsg=32633, corner=(499980, 8900040),
        offsets=[-1000 - 10 * band for band in range(13)], images=level2_layout(),
    ),
    long=dict(
        name="S2A_OPER_PRD_MSIL1C_PDMC_20151214T181523_R051_V20151214T105032_20151214T105032",
        granule="S2A_OPER_MSI_L1C_TL_EPA__20151214T174215_A002482_T31TCJ_N02.01",
        level="L1C", baseline="02.01", seen="2015-12-14T10:50:32",
        epsg=32631, corner=(300000, 4900020), offsets=None, images=[(1, 10), (4, 20), (9, 60)],
    ),
)


def image_name(p, band, resolution):
    if p["long"]:
        return f"{p['granule'][:-7]}_{BANDS[band]}"
    tile, when = p["granule"].split("_")[1], p["name"].split("_")[2]
    if p["level"] == "L1C":
        return f"{tile}_{when}_{BANDS[band]}"
    return f"R{resolution}m/{tile}_{when}_{BANDS[band]}_{resolution}m"


def write_product(out, key, seed):
    p = PRODUCTS[key] | dict(long=key == "long")
    root = out / f"{p['name']}.SAFE"
    bits = 16 if key == "reprocessed" else 15
    files = []
    for band, resolution in p["images"]:
        name = image_name(p, band, resolution)
        path = root / "GRANULE" / p["granule"] / "IMG_DATA" / f"{name}.jp2"
        write_image(path, stored(seed, band, resolution, key == "reprocessed"), resolution, bits)
        files.append(name if p["long"] else f"GRANULE/{p['granule']}/IMG_DATA/{name}")
    main = f"MTD_MSI{p['level']}.xml"
    tile = "MTD_TL.xml"
    if p["long"]:
        main = p["name"].replace("PRD_MSIL1C", "MTD_SAFL1C") + ".xml"
        tile = p["granule"].replace("MSI_L1C", "MTD_L1C")[:-7] + ".xml"
    (root / main).write_text(product_xml(p, files))
    (root / "GRANULE" / p["granule"] / tile).write_text(tile_xml(p))


def on_grid(numbers, own, resolution, offset, quantification):
    """Reflectance of one image on a grid of another pixel size."""
    valid = numbers != 0
    value = np.where(numbers == SATURATED, 2.0, (numbers.astype(float) + offset) / quantification)
    if own >= resolution:
        n = own // resolution
        return np.where(valid, value, np.nan).repeat(n, 0).repeat(n, 1)
    n = resolution // own
    side = numbers.shape[0] // n
    squares = lambda a: a.reshape(side, n, side, n).sum((1, 3))
    count = squares(valid)
    with np.errstate(invalid="ignore"):
        return squares(np.where(valid, value, 0.0)) / np.where(count > 0, count, np.nan)


def write_expected(out, key, seed):
    p = PRODUCTS[key]
    for resolution in SIDE:
        planes = []
        for band in range(13):
            have = sorted(r for b, r in p["images"] if b == band)
            if not have:
                continue
            own = resolution if resolution in have else have[0]
            numbers = stored(seed, band, own, key == "reprocessed")
            offset = p["offsets"][band] if p["offsets"] else 0
            planes.append(on_grid(numbers, own, resolution, offset, 10000))
        np.save(out / f"{p['name']}_{resolution}.npy", np.stack(planes))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--expected", action="store_true")
    arguments = parser.parse_args()
    # The metadata say where the images lie.
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed, key in enumerate(PRODUCTS):
        write_product(arguments.out, key, seed)
        if arguments.expected:
            write_expected(arguments.out, key, seed)


if __name__ == "__main__":
    main()
