"""labelme: a JSON file for each image, with shapes in the order in which they were drawn; later ones are on top.

Polygons, rectangles (upright and turned), circles and masks have an area and are drawn; lines and points have none and
are skipped, with a count. labelme's own names are kept to: ``__ignore__`` is ignored, ``_background_`` is background.
It has no list of classes, so they come in alphabetical order. ``imagePath`` is looked for from the JSON file, then
below --images. labelme's package is a Qt program, and its files are plain JSON, so they are read directly.
"""

import base64
import binascii
import io
import math
import os
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from src.data.importers.image_folder import ImageFolder, clean_name
from src.data.importers.raster import Bitmap, Ellipse, Layer, Polygon, Region, rectangle
from src.data.importers.reading import numbers, read_json, ring, take, visible_files
from src.data.importers.record import BACKGROUND, Annotated, Request, Source
from src.errors import UserError

NAMES = {"__ignore__": None, "_background_": BACKGROUND}
WITHOUT_AREA = ("line", "linestrip", "point", "points")


def read(request: Request) -> Source:
    """Read all JSON files below ``request.labels``.

    Raises:
        UserError: there is none; what is wrong with single files is in the source's problems.
    """
    folder = request.labels
    paths = visible_files(folder, ".json") if folder.is_dir() else [folder]
    if not paths:
        raise UserError(f"--labels {folder}: no .json file in it; expected the folder of labelme's files")
    source = Source(fills_background=True)
    for path in paths:
        try:
            source.records.append(_read_file(path, request, source))
        except UserError as error:
            source.problems.append(str(error))
    source.classes = sorted(source.drawn_labels() - {BACKGROUND})
    return source


def _read_file(path: Path, request: Request, source: Source) -> Annotated:
    values = read_json(path)
    shapes, written = take(values, "shapes", list, str(path)), take(values, "imagePath", str, str(path))
    size = None
    if values.get("imageHeight") is not None and values.get("imageWidth") is not None:
        size = (take(values, "imageHeight", int, str(path)), take(values, "imageWidth", int, str(path)))
    layers = []
    for number, shape in enumerate(shapes):
        where = f"{path}: shape {number}"
        label = take(shape, "label", str, where)
        region = _region(shape, f"{where} ({label})", source)
        if region is not None:
            layers.append(Layer(NAMES.get(label, label), region))
    return Annotated(_image_name(path, written, request), str(path), size, tuple(layers))


def _region(shape: dict, where: str, source: Source) -> Region | None:
    kind = shape.get("shape_type") or "polygon"  # old files do not say
    if kind in WITHOUT_AREA:
        source.notes[f"{kind} shapes skipped, as they have no area"] += 1
        return None
    points = take(shape, "points", list, where)
    if kind in ("polygon", "oriented_rectangle"):
        return Polygon(ring(points, where))
    if kind == "rectangle":
        return rectangle(*numbers(points, where, 4))  # two corners, whichever were clicked
    if kind == "circle":
        x, y, edge_x, edge_y = numbers(points, where, 4)
        radius = math.hypot(edge_x - x, edge_y - y)
        return Ellipse(x, y, radius, radius)
    if kind == "mask":
        x0, y0, x1, y1 = (int(value) for value in numbers(points, where, 4))  # corners, both inside
        decode = partial(_decode, take(shape, "mask", str, where), where)
        return Bitmap(where, x0, y0, x1 - x0 + 1, y1 - y0 + 1, decode)
    raise UserError(f"{where}: shape type {kind!r} is unknown; redraw it as a polygon")


def _decode(text: str, where: str) -> np.ndarray:
    """A PNG in base64 -> bool [H, W]."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise UserError(f"{where}: mask: expected a PNG in base64") from None


def _image_name(path: Path, written: str, request: Request) -> str:
    """The image that a JSON file belongs to, by its name below --images."""
    images: ImageFolder = request.images
    written = written.replace("\\", "/")
    root, labels = (Path(os.path.abspath(p)) for p in (images.root, request.labels))  # noqa: PTH100 (links stay)
    beside = Path(os.path.abspath(path.parent / written))  # noqa: PTH100
    if beside.is_relative_to(root) and beside.is_file():
        return beside.relative_to(root).as_posix()
    try:
        name = clean_name(written)
    except UserError as error:
        raise UserError(f"{path}: imagePath: {error}") from None
    folder = Path(os.path.abspath(path.parent))  # noqa: PTH100
    below = PurePosixPath(folder.relative_to(labels)) if folder.is_relative_to(labels) else PurePosixPath()
    try:
        return images.find((below / name).as_posix())
    except UserError:
        return name  # looked up, and named if it is missing, with those of all formats
