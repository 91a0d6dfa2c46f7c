"""Datumaro's own JSON: ``annotations/SUBSET.json`` with polygons, boxes, ellipses and run-length masks.

Regions are drawn by ``z_order``, and within one by their order in the file, later ones on top; lines, points, labels,
captions and cuboids are skipped, with a count. The subsets are not kept, the import makes its own split.

The datumaro package is not used: it requires NumPy 2, which MindSpore's binary does not work with, and brings 22
packages of 150 MB for a format of a few keys. Its source is the reference for what is read here.
"""

from pathlib import Path

from src.data.importers.raster import Ellipse, Layer, Polygon, Region, rectangle
from src.data.importers.reading import numbers, read_json, ring, take, visible_files
from src.data.importers.record import Annotated, Request, Source
from src.data.importers.rle import Rle
from src.errors import UserError

WITHOUT_AREA = ("polyline", "points", "label", "caption", "cuboid_2d", "cuboid_3d", "feature_vector")


def read(request: Request) -> Source:
    """Read a JSON file, or all in ``annotations/`` below ``request.labels``.

    Raises:
        UserError: there is none, or one that is not Datumaro's; the rest is in the source's problems.
    """
    folder = request.labels / "annotations"
    folder = folder if folder.is_dir() else request.labels
    paths = visible_files(folder, ".json") if folder.is_dir() else [folder]
    if not paths:
        raise UserError(f"--labels {request.labels}: no annotations/*.json in it")
    source = Source(fills_background=True)
    for path in paths:
        values = read_json(path)
        categories = take(take(values, "categories", dict, str(path)), "label", dict, f"{path}: categories")
        entries = take(categories, "labels", list, f"{path}: categories.label")
        labels = [take(entry, "name", str, f"{path}: categories.label.labels[{i}]") for i, entry in enumerate(entries)]
        source.classes += [label for label in labels if label not in source.classes]
        _read_colors(values, labels, source)
        for number, item in enumerate(take(values, "items", list, str(path))):
            try:
                source.records.append(_read_item(path, number, item, labels, request, source))
            except UserError as error:
                source.problems.append(str(error))
    return source


def _read_item(path: Path, number: int, item, labels: list[str], request: Request, source: Source) -> Annotated:
    where = f"{path}: items[{number}]"
    name = take(item, "id", str, where)
    where = f"{path}: item {name}"
    image = take(item, "image", dict, where)
    size = None
    if image.get("size"):
        height, width = numbers(image["size"], f"{where}: image.size", 2)
        size = (int(height), int(width))
    written = image.get("path") or f"{name}.jpg"
    found = []
    for index, entry in enumerate(take(item, "annotations", list, where)):
        place = f"{where}: annotation {index}"
        kind = take(entry, "type", str, place)
        if kind in WITHOUT_AREA:
            source.notes[f"{kind} annotations skipped, as they have no area"] += 1
            continue
        label = take(entry, "label_id", int, place)
        if not 0 <= label < len(labels):
            raise UserError(f"{place}: label_id {label} is not among the {len(labels)} labels")
        order = numbers(entry.get("z_order") or 0, f"{place}: z_order", 1)[0]
        found.append((order, Layer(labels[label], _region(entry, kind, f"{place} ({labels[label]})"))))
    layers = tuple(layer for _, layer in sorted(found, key=lambda pair: pair[0]))
    return Annotated(_image_name(written, path.stem, request), where, size, layers)


def _region(entry: dict, kind: str, where: str) -> Region:
    if kind == "mask":
        return Rle(take(entry, "rle", dict, where), f"{where}: rle")
    if kind == "polygon":
        return Polygon(ring(take(entry, "points", list, where), where))
    if kind == "bbox":
        x, y, width, height = numbers(take(entry, "bbox", list, where), where, 4)
        return rectangle(x, y, x + width, y + height)
    if kind == "ellipse":
        x0, y0, x1, y1 = numbers(take(entry, "points", list, where), where, 4)
        return Ellipse((x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    raise UserError(f"{where}: type {kind!r} is unknown; convert it to a polygon")


def _read_colors(values: dict, labels: list[str], source: Source) -> None:
    """Colors of the labels, if the file has them; damaged ones are passed over, they change no label."""
    mask = values["categories"].get("mask")
    for entry in mask.get("colormap", []) if isinstance(mask, dict) else []:
        if not isinstance(entry, dict):
            continue
        index, red, green, blue = (entry.get(key, -1) for key in ("label_id", "r", "g", "b"))
        if isinstance(index, int) and 0 <= index < len(labels) and all(c in range(256) for c in (red, green, blue)):
            source.colors[labels[index]] = (red, green, blue)


def _image_name(written: str, subset: str, request: Request) -> str:
    """Datumaro puts images into a folder of the subset, older versions did not."""
    try:
        return request.images.find(f"{subset}/{written}")
    except UserError:
        return written  # looked up, and named if it is missing, with those of all formats
