"""COCO instances JSON: polygons and run-length masks, with categories of things and stuff alike.

Regions overlap in COCO. Larger ones are drawn first, so that small objects stay visible; of two with the same area the
one with the higher annotation id is on top. Crowd regions (``iscrowd``) lie below everything and are ignored, unless
the user keeps them: CVAT and Datumaro mark every brush mask as a crowd. An annotation without a segmentation is a mere
box, and is skipped. Panoptic files, which refer to PNGs, are refused.

The JSON is read directly: pycocotools' ``COCO`` class prints, and trusts what it reads; its run-length code is used.
"""

from collections import defaultdict

from src.data.importers.raster import Layer, Polygon
from src.data.importers.reading import find_file, read_json, ring, take
from src.data.importers.record import Annotated, Request, Source
from src.data.importers.rle import Rle
from src.errors import UserError

CROWD = "crowd regions ignored (brush masks of CVAT are marked as crowds too: --keep-crowd draws them as their class)"


def read(request: Request) -> Source:
    """Read the JSON file ``request.labels``.

    Raises:
        UserError: it is no COCO file; what is wrong with single entries is in the source's problems.
    """
    path = find_file(request.labels, ".json", "COCO")
    values = read_json(path)
    images, annotations, categories = (
        take(values, key, list, str(path)) for key in ("images", "annotations", "categories")
    )
    if any(isinstance(entry, dict) and "segments_info" in entry for entry in annotations[:1]):
        raise UserError(f"{path}: a panoptic file, whose masks are PNGs; export instances (polygons or RLE) instead")
    names = {}
    for entry in categories:
        where = f"{path}: category {entry.get('id') if isinstance(entry, dict) else entry}"
        names[take(entry, "id", int, where)] = take(entry, "name", str, where)
    source = Source(fills_background=True, classes=list(dict.fromkeys(names.values())))
    files = _images(path, images, source)
    layers = _layers(path, annotations, names, files, source, request.keep_crowd)
    for image_id, (name, size) in files.items():
        ordered = tuple(layer for _, layer in sorted(layers[image_id], key=lambda pair: pair[0]))
        source.records.append(Annotated(name, f"{path}: image {image_id}", size, ordered))
    return source


def _images(path, entries: list, source: Source) -> dict[int, tuple[str, tuple[int, int]]]:
    """File name and (height, width) of each image id."""
    files = {}
    for number, entry in enumerate(entries):
        where = f"{path}: images[{number}]"
        try:
            image_id, name = take(entry, "id", (int, str), where), take(entry, "file_name", str, where)
            size = (take(entry, "height", int, where), take(entry, "width", int, where))
            if image_id in files:
                raise UserError(f"{where}: id {image_id} is given twice")
            files[image_id] = (name, size)
        except UserError as error:
            source.problems.append(str(error))
    return files


def _layers(
    path, entries: list, names: dict[int, str], files: dict, source: Source, keep_crowd: bool
) -> defaultdict[int, list]:
    """The layers of each image id, each with the key by which they are sorted, the lowest first."""
    layers = defaultdict(list)
    for number, entry in enumerate(entries):
        where = f"{path}: annotation {entry.get('id', f'[{number}]') if isinstance(entry, dict) else f'[{number}]'}"
        try:
            image_id, category = take(entry, "image_id", (int, str), where), take(entry, "category_id", int, where)
            if image_id not in files:
                raise UserError(f"{where}: image_id {image_id} is not among the images")
            if category not in names:
                raise UserError(f"{where}: category_id {category} is not among the categories")
            where = f"{where} of {files[image_id][0]}"
            region = _region(entry.get("segmentation"), where)
        except UserError as error:
            source.problems.append(str(error))
            continue
        if region is None:
            source.notes["annotations skipped, as they have a box but no segmentation"] += 1
            continue
        crowd = bool(entry.get("iscrowd", 0)) and not keep_crowd
        if crowd:
            source.notes[CROWD] += 1
        entry_id = entry.get("id")
        key = (not crowd, -region.area, entry_id if isinstance(entry_id, int) else number)
        layers[image_id].append((key, Layer(None if crowd else names[category], region)))
    return layers


def _region(segmentation, where: str) -> Polygon | Rle | None:
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        return Rle(segmentation, where)
    if not isinstance(segmentation, list) or not all(isinstance(part, list) for part in segmentation):
        raise UserError(f"{where}: segmentation: expected a list of polygons, each a list [x, y, x, y, ...], or RLE")
    return Polygon(*(ring(part, where) for part in segmentation))
