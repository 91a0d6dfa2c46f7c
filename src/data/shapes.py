"""The synthetic set: scenes of overlapping textured shapes, drawn from a seed.

Colors and textures are drawn independently of the class, so only the shape reveals it. There are thin structures
(rings, crosses, lines), noise, uneven light, and a border of ignored pixels along contours. Scene ``index`` of a split
depends on (seed, split, index, size) and on nothing else.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from src.data.catalog import SHAPES
from src.data.info import IGNORE

SCALE = 3  # scenes are drawn this much larger, then shrunk, for smooth contours
MOST_OVERLAP = 0.1  # share of a shape that another may hide
COVERED = [255]  # on the canvas of a shape
LEAST_CONTRAST = 120  # distance in RGB between the mean colors of a shape and the background


def scene(seed: int, split: str, index: int, size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene: image RGB uint8 [H, W, 3], label uint8 [H, W] of train ids and ``IGNORE``."""
    random = np.random.default_rng([seed, *split.encode(), index])
    height, width = size
    image, color = _texture(random, height, width)
    label = np.zeros((height, width), np.uint8)
    visible: list[np.ndarray] = []
    for _ in range(random.integers(3, 6)):
        class_id = int(random.integers(1, len(SHAPES.classes)))
        cover = _place(random, SHAPES.classes[class_id], height, width, visible)
        if cover is None:
            continue
        surface, _ = _texture(random, height, width, unlike=color)
        image = image + cover[..., None] * (surface - image)
        inside = cover > 0.5
        label[inside] = class_id
        visible.append(inside)
    image += _light(random, height, width) + random.normal(0, random.uniform(2, 7), image.shape)
    label[_contours(label)] = IGNORE
    return image.clip(0, 255).round().astype(np.uint8), label


def _place(random, name: str, height: int, width: int, visible: list[np.ndarray]) -> np.ndarray | None:
    """Coverage [H, W] in 0..1 of a shape that hides little of the others, or None if no place was found."""
    for _ in range(20):
        cover = _draw(random, name, height, width)
        inside = cover > 0.5
        hidden = max(((inside & other).sum() / max(other.sum(), 1) for other in visible), default=0.0)
        if inside.sum() > 20 and hidden <= MOST_OVERLAP:
            return cover
    return None


def _draw(random, name: str, height: int, width: int) -> np.ndarray:
    side = min(height, width)
    canvas = np.zeros((height * SCALE, width * SCALE), np.uint8)
    radius = random.uniform(0.13, 0.25) * side * SCALE
    center = np.array([random.uniform(0.15, 0.85) * width, random.uniform(0.15, 0.85) * height]) * SCALE
    turn = random.uniform(0, 2 * np.pi)
    thin = max(3, round(random.uniform(0.055, 0.08) * side)) * SCALE
    point = tuple(int(v) for v in center)
    if name == "disc":
        cv2.circle(canvas, point, int(radius), COVERED, -1)
    elif name == "ring":
        cv2.circle(canvas, point, int(radius), COVERED, thin)
    elif name == "square":
        cv2.fillPoly(canvas, [_polygon(center, radius, turn, 4)], COVERED)
    elif name == "triangle":
        cv2.fillPoly(canvas, [_polygon(center, 1.15 * radius, turn, 3)], COVERED)
    elif name == "cross":
        corners = _polygon(center, radius, turn, 4)
        for start in (0, 1):
            cv2.line(canvas, tuple(map(int, corners[start])), tuple(map(int, corners[start + 2])), COVERED, 2 * thin)
    else:
        reach = np.array([np.cos(turn), np.sin(turn)]) * random.uniform(1.5, 3) * radius
        ends = (center - reach).astype(int), (center + reach).astype(int)
        cv2.line(canvas, tuple(map(int, ends[0])), tuple(map(int, ends[1])), COVERED, thin)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _polygon(center: np.ndarray, radius: float, turn: float, corners: int) -> np.ndarray:
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    return (center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.int32)


def _texture(random, height: int, width: int, unlike: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A plane of two random colors [H, W, 3], mixed by stripes, checks, blotches or a slow gradient.

    Also return its mean color, which is at least ``LEAST_CONTRAST`` away from the color ``unlike``.
    """
    color = random.uniform(30, 225, 3)
    while unlike is not None and np.linalg.norm(color - unlike) < LEAST_CONTRAST:
        color = random.uniform(30, 225, 3)
    change = random.uniform(-30, 30, 3)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    turn, period = random.uniform(0, np.pi), random.uniform(4, 14)
    along = rows * np.sin(turn) + columns * np.cos(turn)
    across = rows * np.cos(turn) - columns * np.sin(turn)
    kind = random.integers(4)
    if kind == 0:
        mix = (np.sin(2 * np.pi * along / period) > 0).astype(np.float32)
    elif kind == 1:
        mix = (np.sin(np.pi * along / period) * np.sin(np.pi * across / period) > 0).astype(np.float32)
    elif kind == 2:
        mix = _smooth_noise(random, height, width, 8)
    else:
        mix = (along - along.min()) / max(np.ptp(along), 1)
    return (color + (2 * mix[..., None] - 1) * change).astype(np.float32), color


def _light(random, height: int, width: int) -> np.ndarray:
    return 40 * (_smooth_noise(random, height, width, 3)[..., None] - 0.5)


def _smooth_noise(random, height: int, width: int, cells: int) -> np.ndarray:
    coarse = random.random((cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def _contours(label: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower neighbor has another class: a border one pixel wide."""
    border = np.zeros(label.shape, bool)
    border[:, :-1] |= label[:, :-1] != label[:, 1:]
    border[:-1] |= label[:-1] != label[1:]
    return border
