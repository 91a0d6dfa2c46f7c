"""PASCAL VOC: ``SegmentationClass/NAME.png`` with palette indices; 255, the void around objects, is ignored.

Without --classes the indices are VOC's own 20 classes and background; with it index i is class i, or what ``raw`` says.
Masks that a program turned into RGB are read by VOC's palette. Pillow reads the palette images; nothing else is needed.
"""

from pathlib import Path

import numpy as np

from src.data.importers.class_file import Color
from src.data.importers.masks import open_mask, pack, read_masks, read_rgb
from src.data.importers.raster import ClassMap
from src.data.importers.record import BACKGROUND, Request, Source
from src.data.info import IGNORE
from src.errors import UserError

LABEL_MAP = "labelmap.txt"  # of CVAT's masks
CLASSES = (
    BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def palette() -> list[Color]:
    """VOC's 256 colors: the bits of an index go to red, green and blue in turn, the highest bits of a color first."""
    colors = []
    for index in range(256):
        bits = [index >> shift & 1 for shift in range(9)]
        red, green, blue = (sum(bits[3 * k + channel] << 7 - k for k in range(3)) for channel in range(3))
        colors.append((red, green, blue))
    return colors


def read(request: Request) -> Source:
    """Read the masks in ``request.labels``, or in its SegmentationClass.

    Raises:
        UserError: there are none; what is wrong with single files is in the source's problems.
    """
    nested = request.labels / "SegmentationClass"
    folder = nested if nested.is_dir() else request.labels
    if request.classes is None and (folder.parent / LABEL_MAP).is_file():
        raise UserError(
            f"{folder.parent / LABEL_MAP} names the classes of these masks; use --format cvat, which reads it"
        )
    if request.classes:
        names = {IGNORE: None, **request.classes.values}
        listing = str(request.classes.path)
    else:
        names = {IGNORE: None, **dict(enumerate(CLASSES))}
        listing = "VOC's 20 classes; name yours with --classes"

    def explain(value: int) -> str:
        return f"value {value} is not in {listing}"

    colors = palette()
    source = Source(fills_background=False, classes=[name for name in names.values() if name is not None])
    source.colors = {name: colors[value] for value, name in reversed(names.items()) if name is not None and value < 256}
    read_masks(request, source, folder, lambda path: ClassMap(path, _read_indices, names, explain))
    return source


def _read_indices(path: Path) -> np.ndarray:
    """Palette indices or gray values, int [H, W]; RGB by VOC's palette."""
    image = open_mask(path)
    if image.mode in ("P", "L", "1") or image.mode.startswith("I"):
        values = np.asarray(image)
        return values.astype(np.uint8) if values.dtype == bool else values
    table = {pack(color): index for index, color in enumerate(palette())}
    packed = read_rgb(path)
    found, inverse = np.unique(packed, return_inverse=True)
    strange = next((value for value in found.tolist() if value not in table), None)
    if strange is not None:
        color = (strange >> 16, strange >> 8 & 255, strange & 255)
        raise UserError(f"{path}: in color, and {color} is not in VOC's palette; use --format colors with --classes")
    return np.array([table[value] for value in found.tolist()], np.uint8)[inverse].reshape(packed.shape)
