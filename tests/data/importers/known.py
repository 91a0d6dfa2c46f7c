"""A small set of images whose labels are known to the pixel, and its files in every format.

The label arrays come from slices, masks and one test per pixel (is it on the inner side of every edge?), never from the
code under test. Corners are whole numbers and slopes 1:2 or 2:1, so that no edge passes through a pixel's center.
"""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from src.data.importers.voc import palette

NAMES = ("background", "leaf", "apple", "ladder")
COLORS = ((0, 0, 0), (60, 160, 70), (200, 50, 40), (160, 120, 60))
VOID = (224, 224, 192)


@dataclass(frozen=True)
class Shape:
    """A box (x0, y0, x1, y1), the corners of a convex polygon (clockwise on the screen), or a mask bool [H, W]."""

    kind: str
    label: str
    data: Any

    def pixels(self, size) -> np.ndarray:
        if self.kind == "box":
            x0, y0, x1, y1 = self.data
            inside = np.zeros(size, bool)
            inside[y0:y1, x0:x1] = True
            return inside
        if self.kind == "mask":
            return self.data
        inside = np.ones(size, bool)
        for (x0, y0), (x1, y1) in zip(self.data, [*self.data[1:], self.data[0]], strict=True):
            for row in range(size[0]):
                for column in range(size[1]):
                    inside[row, column] &= (x1 - x0) * (row + 0.5 - y0) - (y1 - y0) * (column + 0.5 - x0) > 0
        return inside

    @property
    def points(self) -> list:
        if self.kind == "polygon":
            return [list(point) for point in self.data]
        x0, y0, x1, y1 = self.data
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


@dataclass(frozen=True)
class Known:
    """One image: shapes, the lowest first, which is also from the largest to the smallest; and the label."""

    name: str
    size: tuple[int, int]
    shapes: tuple[Shape, ...]

    @property
    def label(self) -> np.ndarray:
        label = np.zeros(self.size, np.uint8)
        for shape in self.shapes:
            label[shape.pixels(self.size)] = NAMES.index(shape.label)
        return label

    @property
    def stem(self) -> str:
        return str(Path(self.name).with_suffix(""))

    @property
    def flat(self) -> str:
        return self.stem.replace("/", "__")


def make_set(folder: Path, count: int = 8) -> list[Known]:
    """Write images of 48 x 64 or 64 x 48 (height x width), one in a folder of its own; return what is in them."""
    random = np.random.default_rng(7)
    known = []
    for index in range(count):
        size = (64, 48) if index == 2 else (48, 64)
        x, y = (int(v) for v in random.integers(0, 12, 2))
        shapes = [
            Shape("box", "leaf", (x, y, x + 30, y + 32)),
            Shape("polygon", "apple", ((x + 4, y + 10), (x + 20, y + 2), (x + 28, y + 18), (x + 12, y + 26))),
        ]
        if index % 3 == 0:
            blob = np.zeros(size, bool)
            blob[y + 5 : y + 17, x + 20 : x + 34] = random.random((12, 14)) < 0.6
            shapes.append(Shape("mask", "ladder", blob))
        name = ("scene/a.png", "b.jpg")[index] if index < 2 else f"c{index}.{'png' if index % 2 else 'jpg'}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(path)
        known.append(Known(name, size, tuple(shapes)))
    return known


def coco_rle(mask: np.ndarray, compressed: bool) -> dict:
    """A mask as COCO writes it; the runs are counted here, down the columns."""
    if compressed:
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        return {"size": list(mask.shape), "counts": rle["counts"].decode()}
    return {"size": list(mask.shape), "counts": runs(mask.T.ravel())}


def runs(flat: np.ndarray) -> list[int]:
    """Lengths of runs, the first one of false."""
    counts, value = [0], False
    for pixel in flat.tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def coco_values(known: list[Known]) -> dict:
    """Category ids are sparse, and annotations come in reverse, so that order has to be by area."""
    ids = {"leaf": 3, "apple": 17, "ladder": 90}
    images, annotations = [], []
    for number, item in enumerate(known):
        height, width = item.size
        images.append({"id": 100 + number, "file_name": item.name, "height": height, "width": width})
        for index, shape in reversed(list(enumerate(item.shapes))):
            if shape.kind == "mask":
                segmentation = coco_rle(shape.data, compressed=number % 2 == 0)
            else:
                segmentation = [[value for point in shape.points for value in point]]
            entry = {"id": 10 * number + index, "image_id": 100 + number, "category_id": ids[shape.label]}
            annotations.append({**entry, "iscrowd": 0, "segmentation": segmentation})
    categories = [{"id": value, "name": name} for name, value in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(folder: Path, known: list[Known]) -> Path:
    return write_json(folder / "instances.json", coco_values(known))


def labelme_values(item: Known) -> dict:
    shapes = []
    for shape in item.shapes:
        entry = {"label": shape.label, "flags": {}, "group_id": None}
        if shape.kind == "box":  # labelme keeps the corners as they were clicked
            x0, y0, x1, y1 = shape.data
            entry |= {"shape_type": "rectangle", "points": [[x1, y1], [x0, y0]]}
        elif shape.kind == "polygon":
            entry |= {"shape_type": "polygon", "points": shape.points}
        else:
            left, top, right, bottom = bounds(shape.data)
            buffer = io.BytesIO()
            Image.fromarray(shape.data[top:bottom, left:right]).save(buffer, "PNG")
            text = base64.b64encode(buffer.getvalue()).decode()
            entry |= {"shape_type": "mask", "points": [[left, top], [right - 1, bottom - 1]], "mask": text}
        shapes.append(entry)
    height, width = item.size
    return {"version": "5.4.1", "shapes": shapes, "imagePath": item.name, "imageData": None,
            "imageHeight": height, "imageWidth": width}  # fmt: skip


def write_labelme(folder: Path, known: list[Known]) -> Path:
    for item in known:
        write_json(folder / f"{item.flat}.json", labelme_values(item))
    return folder


def cvat_root(known: list[Known]) -> ElementTree.Element:
    """Shapes come in reverse and are put in order by z_order."""
    root = ElementTree.Element("annotations")
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels")
    for name, color in zip(NAMES[1:], COLORS[1:], strict=True):
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        ElementTree.SubElement(label, "color").text = "#{:02x}{:02x}{:02x}".format(*color)
    for number, item in enumerate(known):
        height, width = map(str, item.size)
        image = ElementTree.SubElement(root, "image", id=str(number), name=item.name, width=width, height=height)
        for order, shape in reversed(list(enumerate(item.shapes))):
            common = {"label": shape.label, "occluded": "0", "z_order": str(order)}
            if shape.kind == "box":
                corners = zip(("xtl", "ytl", "xbr", "ybr"), map("{:.2f}".format, shape.data), strict=True)
                ElementTree.SubElement(image, "box", common | dict(corners))
            elif shape.kind == "polygon":
                points = ";".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
                ElementTree.SubElement(image, "polygon", common | {"points": points})
            else:
                left, top, right, bottom = bounds(shape.data)
                rle = ", ".join(map(str, runs(shape.data[top:bottom, left:right].ravel())))
                box = {"left": left, "top": top, "width": right - left, "height": bottom - top}
                ElementTree.SubElement(image, "mask", common | {"rle": rle} | {k: str(v) for k, v in box.items()})
    return root


def write_cvat(folder: Path, known: list[Known]) -> Path:
    path = folder / "annotations.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(cvat_root(known)).write(path, "utf-8", xml_declaration=True)
    return path


def write_cvat_masks(folder: Path, known: list[Known]) -> Path:
    lines = [f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in zip(NAMES, COLORS, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "".join(lines))
    for item in known:
        save(folder / "SegmentationClass" / f"{item.stem}.png", np.array(COLORS, np.uint8)[item.label])
    listed = folder / "ImageSets" / "Segmentation" / "default.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{item.stem}\n" for item in known))
    return folder


def write_voc(folder: Path, known: list[Known]) -> Path:
    """VOC's classes 0 to 3 stand for ours; the left upper corner is void."""
    for item in known:
        image = Image.fromarray(with_corner(item.label, 255))
        image.putpalette([channel for color in palette() for channel in color])
        path = folder / "SegmentationClass" / f"{item.stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return folder


def write_colors(folder: Path, known: list[Known]) -> Path:
    """The left upper corner has the color of ignored pixels."""
    for item in known:
        rgb = np.array(COLORS, np.uint8)[item.label]
        rgb[0, 0] = VOID
        save(folder / f"{item.stem}.png", rgb)
    return folder


def write_datumaro(folder: Path, known: list[Known]) -> Path:
    labels = [{"name": name, "parent": "", "attributes": []} for name in NAMES[1:]]
    items = []
    for item in known:
        annotations = []
        for order, shape in reversed(list(enumerate(item.shapes))):
            entry = {"id": order, "attributes": {}, "group": 0, "z_order": order}
            entry["label_id"] = NAMES.index(shape.label) - 1
            if shape.kind == "box":
                x0, y0, x1, y1 = map(float, shape.data)
                entry |= {"type": "bbox", "bbox": [x0, y0, x1 - x0, y1 - y0]}
            elif shape.kind == "polygon":
                entry |= {"type": "polygon", "points": [float(value) for point in shape.points for value in point]}
            else:
                entry |= {"type": "mask", "rle": coco_rle(shape.data, compressed=True)}
            annotations.append(entry)
        image = {"path": item.name, "size": list(item.size)}
        items.append({"id": item.stem, "annotations": annotations, "image": image})
    colors = [dict(zip("rgb", color, strict=True), label_id=i) for i, color in enumerate(COLORS[1:])]
    categories = {"label": {"labels": labels, "attributes": []}, "mask": {"colormap": colors}}
    write_json(folder / "annotations" / "default.json", {"categories": categories, "items": items})
    return folder


def write_json(path: Path, values: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path


def with_corner(label: np.ndarray, value: int) -> np.ndarray:
    label = label.copy()
    label[0, 0] = value
    return label


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def read_labels(output: Path) -> dict[str, np.ndarray]:
    """All labels of an imported set by name, whatever their split."""
    return {path.stem: np.asarray(Image.open(path)) for path in sorted(output.glob("annotations/*/*.png"))}
