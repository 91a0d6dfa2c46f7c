"""CVAT: "CVAT for images 1.1" (an XML file), or "Segmentation mask 1.1" (a folder with labelmap.txt).

In XML, shapes are drawn by ``z_order``, and within one by their order in the file, later ones on top. Polygons, boxes,
ellipses and masks have an area; polylines, points, cuboids, skeletons and tags are skipped, with a count. "CVAT for
video" holds tracks instead of images and is refused. Labels come from strangers, so defusedxml reads them: it is small
and has no dependencies, and the standard library's parser expands entities without limit.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element  # only the type; defusedxml reads

import numpy as np

from src.data.importers import masks
from src.data.importers.class_file import Color
from src.data.importers.raster import Bitmap, Ellipse, Layer, Polygon, Region, rectangle
from src.data.importers.reading import find_file, numbers, read_xml, ring
from src.data.importers.record import Annotated, Request, Source
from src.data.importers.voc import LABEL_MAP, palette
from src.errors import UserError

WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")


def read(request: Request) -> Source:
    """Read an XML file, or a folder of mask images.

    Raises:
        UserError: it is neither; what is wrong with single entries is in the source's problems.
    """
    if request.labels.is_dir() and (request.labels / LABEL_MAP).is_file():
        return _read_masks(request)
    path = find_file(request.labels, ".xml", "CVAT")
    root = read_xml(path)
    if root.find("track") is not None:
        raise UserError(f'{path}: "CVAT for video", with tracks; export as "CVAT for images 1.1"')
    if root.tag != "annotations" or root.find("image") is None:
        raise UserError(f"{path}: expected <annotations> with <image>s, found <{root.tag}> without; is it CVAT's?")
    source = Source(fills_background=True)
    for name, color in _labels(root, path):
        source.classes.append(name)
        if color:
            source.colors[name] = color
    for number, image in enumerate(root.iter("image")):
        where = f"{path}: image {image.get('name', f'[{number}]')}"
        try:
            size = (_whole(image, "height", where), _whole(image, "width", where))
            layers = _layers(image, where, source)
            source.records.append(Annotated(_text(image, "name", where), where, size, layers))
        except UserError as error:
            source.problems.append(str(error))
    declared = set(source.classes)
    source.classes += sorted(source.drawn_labels() - declared)  # an export cut down by hand may have lost them
    return source


def _labels(root: Element, path: Path) -> Iterator[tuple[str, Color | None]]:
    """Names and colors of a task's or project's labels; those of a skeleton's points are left out."""
    for label in root.iterfind(".//meta//labels/label"):
        if label.find("parent") is None:
            name = label.findtext("name")
            if not name:
                raise UserError(f"{path}: a <label> without a <name>")
            yield name, _color(label.findtext("color") or "")


def _color(text: str) -> Color | None:
    """Read ``#rrggbb``; None for anything else, as a color changes no label."""
    if len(text) != 7:
        return None
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        return None
    return red, green, blue


def _layers(image: Element, where: str, source: Source) -> tuple[Layer, ...]:
    """The layers of an image, the lowest first."""
    found = []
    for shape in image:
        if shape.tag in WITHOUT_AREA:
            source.notes[f"{shape.tag} shapes skipped, as they have no area"] += 1
            continue
        label = _text(shape, "label", f"{where}: {shape.tag}")
        place = f"{where}: {shape.tag} ({label})"
        order = _whole(shape, "z_order", place) if "z_order" in shape.attrib else 0
        found.append((order, Layer(label, _region(shape, place))))
    return tuple(layer for _, layer in sorted(found, key=lambda pair: pair[0]))


def _region(shape: Element, where: str) -> Region:
    if shape.tag == "polygon":
        return Polygon(ring([pair.split(",") for pair in _text(shape, "points", where).split(";")], where))
    angle = _number(shape, "rotation", where) if "rotation" in shape.attrib else 0.0
    if shape.tag == "box":
        x0, y0, x1, y1 = (_number(shape, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
        return rectangle(x0, y0, x1, y1, angle)
    if shape.tag == "ellipse":
        x, y, radius_x, radius_y = (_number(shape, key, where) for key in ("cx", "cy", "rx", "ry"))
        return Ellipse(x, y, radius_x, radius_y, angle)
    if shape.tag == "mask":
        left, top, width, height = (_whole(shape, key, where) for key in ("left", "top", "width", "height"))
        runs = _text(shape, "rle", where)
        return Bitmap(where, left, top, width, height, partial(_decode, runs, height, width, where))
    raise UserError(f"{where}: shape <{shape.tag}> is unknown; redraw it as a polygon")


def _decode(text: str, height: int, width: int, where: str) -> np.ndarray:
    """Runs along the rows, the first one of pixels outside -> bool [H, W]."""
    try:
        runs = np.array([int(run) for run in text.split(",")], np.int64)
    except (ValueError, OverflowError):
        raise UserError(f"{where}: rle: expected whole numbers with commas between them") from None
    if runs.min() < 0 or runs.sum() != height * width:
        raise UserError(f"{where}: rle: the runs cover {runs.sum()} pixels, the mask has {height}x{width}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def _text(element: Element, key: str, where: str) -> str:
    value = element.get(key)
    if not value:
        raise UserError(f"{where}: attribute {key} is missing")
    return value


def _number(element: Element, key: str, where: str) -> float:
    return float(numbers(_text(element, key, where), f"{where}: {key}", 1)[0])


def _whole(element: Element, key: str, where: str) -> int:
    return int(_number(element, key, where))


def _read_masks(request: Request) -> Source:
    """ "Segmentation mask 1.1": colors mean what labelmap.txt says, lines ``name:red,green,blue::``.

    Datumaro, which writes these files, may leave the colors out; then they are VOC's, in order.
    """
    path = request.labels / LABEL_MAP
    source = Source(fills_background=False)
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        written = rest.partition(":")[0]
        if written:
            color = [int(part) for part in written.split(",") if part.strip().isdecimal()]
        else:
            color = list(palette()[min(len(source.classes), 255)])
        if not name or name in source.colors or len(color) != 3 or max(color) > 255:
            raise UserError(f"{path}: line {number}: expected a new name:red,green,blue::, found {line.strip()!r}")
        source.classes.append(name)
        source.colors[name] = (color[0], color[1], color[2])
    masks.read_colors(request, source, request.labels / "SegmentationClass", {}, path)
    return source
