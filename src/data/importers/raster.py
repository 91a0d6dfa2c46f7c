"""Regions become pixels, by one rule for all formats: a pixel belongs to a region if its center lies inside.

Coordinates are those of the labeling tools: x to the right, y down, in pixels, and pixel (row, column) covers
[column, column + 1) x [row, row + 1), so its center is at (column + 0.5, row + 0.5). A center on a left or upper edge
is inside, on a right or lower edge outside; a polygon that crosses itself is filled by the even-odd rule. Whatever lies
outside the image is cut off.

pycocotools draws the same, but rounds edges to a fifth of a pixel: it differs only where a center is within a quarter
of a pixel of an edge. labelme's own export also fills all pixels that the outline touches: half a pixel more.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from src.data.info import IGNORE
from src.errors import UserError

Box = tuple[float, float, float, float]  # left, top, right, bottom
Window = tuple[slice, slice]  # rows, columns


class Region(Protocol):
    """A part of an image."""

    @property
    def box(self) -> Box:
        """Where it lies."""

    def draw(self, size: tuple[int, int]) -> tuple[Window, np.ndarray]:
        """Return a window of an image of (height, width) and the region's pixels in it, bool.

        Raises:
            UserError: its data is damaged, or made for an image of another size; the message says where it stands.
        """


class Layer(NamedTuple):
    """One labeled region of an image."""

    label: str | None  # name in the source; None: ignored
    region: Region


class Polygon:
    """The union of closed rings; a ring is float [N, 2] of (x, y) with N >= 3."""

    def __init__(self, *rings: np.ndarray):
        self.rings = rings

    @property
    def box(self) -> Box:
        points = np.concatenate(self.rings)
        return (*points.min(axis=0), *points.max(axis=0))

    @property
    def area(self) -> float:
        """Square pixels, by the shoelace formula; rings that overlap count twice."""
        return sum(abs(_cross(ring, np.roll(ring, -1, axis=0)).sum()) / 2 for ring in self.rings)

    def draw(self, size: tuple[int, int]) -> tuple[Window, np.ndarray]:
        rows, columns = window = _clip(self.box, size)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        mask = np.zeros((height, width), bool)
        for ring in self.rings:
            mask |= _fill(ring - (columns.start, rows.start), (height, width))
        return window, mask


def rectangle(left: float, top: float, right: float, bottom: float, angle: float = 0) -> Polygon:
    """A rectangle, turned clockwise by ``angle`` degrees about its center."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    if angle:
        center = corners.mean(axis=0)
        corners = (corners - center) @ _turn(angle) + center
    return Polygon(corners)


@dataclass(frozen=True)
class Ellipse:
    """Center, radii, and the angle by which it is turned clockwise, in degrees."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    angle: float = 0

    @property
    def box(self) -> Box:
        a, b = np.hypot(*(np.diag((self.radius_x, self.radius_y)) @ _turn(self.angle)))
        return self.x - a, self.y - b, self.x + a, self.y + b

    def draw(self, size: tuple[int, int]) -> tuple[Window, np.ndarray]:
        rows, columns = window = _clip(self.box, size)
        y, x = np.mgrid[rows, columns] + 0.5
        if min(self.radius_x, self.radius_y) <= 0:
            return window, np.zeros(x.shape, bool)
        offset = np.stack([x - self.x, y - self.y], axis=-1) @ _turn(-self.angle)
        return window, ((offset / (self.radius_x, self.radius_y)) ** 2).sum(axis=-1) <= 1


@dataclass(frozen=True)
class Bitmap:
    """Pixels given one by one in a rectangle; ``read`` decodes them, bool [height, width]."""

    where: str  # for messages
    left: int
    top: int
    width: int
    height: int
    read: Callable[[], np.ndarray]

    @property
    def box(self) -> Box:
        return self.left, self.top, self.left + self.width, self.top + self.height

    def draw(self, size: tuple[int, int]) -> tuple[Window, np.ndarray]:
        if self.width * self.height > 4 * size[0] * size[1]:
            raise UserError(f"{self.where}: a mask of {self.height}x{self.width} pixels is larger than the image")
        pixels = self.read()
        if pixels.shape != (self.height, self.width):
            found = "x".join(map(str, pixels.shape))
            raise UserError(
                f"{self.where}: mask of {found} pixels, expected {self.height}x{self.width} (height x width)"
            )
        rows, columns = window = _clip(self.box, size)
        return window, pixels[
            rows.start - self.top : rows.stop - self.top, columns.start - self.left : columns.stop - self.left
        ]


@dataclass(frozen=True)
class ClassMap:
    """A mask image with a value for every pixel, each of which stands for a class."""

    path: Path
    read: Callable[[Path], np.ndarray]  # int [H, W], not negative
    names: Mapping[int, str | None]  # value -> class; None: ignored
    explain: Callable[[int], str]  # a value without a class, in words, with what to do

    def draw(self, values: np.ndarray, ids: Mapping[str, int]) -> np.ndarray:
        """Turn what ``read`` returned into train ids, uint8 [H, W].

        Raises:
            UserError: values without a class; each is named with its pixel count, the most frequent ones first.
        """
        table = np.full(max(int(values.max()), *self.names) + 1, -1, np.int16)
        for value, name in self.names.items():
            table[value] = IGNORE if name is None else ids[name]
        label = table[values]
        if label.min() < 0:
            unknown, counts = np.unique(values[label < 0], return_counts=True)
            order = np.argsort(-counts, kind="stable")
            named = "; ".join(f"{self.explain(int(unknown[i]))} ({counts[i]} pixels)" for i in order[:3])
            more = f"; and {len(order) - 3} more" if len(order) > 3 else ""
            raise UserError(f"{named}{more}")
        return label.astype(np.uint8)


def paint(
    layers: Sequence[Layer], size: tuple[int, int], ids: Mapping[str, int], background: int
) -> tuple[np.ndarray, dict[str, int]]:
    """Draw layers one over the other.

    Args:
        size: (height, width).
        ids: train id of each label.
        background: train id of pixels outside all layers.

    Returns:
        Train ids uint8 [H, W]; and how many regions drew no pixel, and reached more than a pixel outside the image.
    """
    label = np.full(size, background, np.uint8)
    counts = {"empty": 0, "outside": 0}
    height, width = size
    for name, region in layers:
        window, mask = region.draw(size)
        label[window][mask] = IGNORE if name is None else ids[name]
        left, top, right, bottom = region.box
        counts["empty"] += not mask.any()
        counts["outside"] += min(left, top, width - right, height - bottom) < -1
    return label, counts


def _fill(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centers lie inside a ring, bool [H, W].

    Every edge turns inside to outside for all centers to its right, in the rows whose centers it passes.
    """
    height, width = size
    start, end = ring, np.roll(ring, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first, last = (np.ceil(y - 0.5).clip(0, height).astype(np.int64) for y in (low, high))
    counts = last - first
    edges = np.repeat(np.arange(len(ring)), counts)
    rows = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts) + first[edges]
    (x0, y0), (x1, y1) = start[edges].T, end[edges].T
    crossing = x0 + (rows + 0.5 - y0) / (y1 - y0) * (x1 - x0)
    columns = np.ceil(crossing - 0.5).clip(0, width).astype(np.int64)
    turns = np.zeros((height, width + 1), np.uint8)
    np.bitwise_xor.at(turns, (rows, columns), 1)
    return np.bitwise_xor.accumulate(turns, axis=1)[:, :width].astype(bool)


def _clip(box: Box, size: tuple[int, int]) -> Window:
    """The rows and columns of the image that a box touches; empty where it lies outside."""
    left, top, right, bottom = box
    return _span(top, bottom, size[0]), _span(left, right, size[1])


def _span(low: float, high: float, limit: int) -> slice:
    """The pixels of one axis, 0 to ``limit``, between two edges."""
    start = min(max(math.floor(low), 0), limit)
    return slice(start, max(start, min(math.ceil(high), limit)))


def _turn(angle: float) -> np.ndarray:
    """Matrix that turns row vectors (x, y) clockwise, as seen with y pointing down."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[cosine, sine], [-sine, cosine]])


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
