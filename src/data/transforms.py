"""Transforms of image and label, each a small class; OpenCV, RGB throughout.

A transform takes (image uint8 RGB [H, W, 3], label uint8 [H, W] or None, generator) and returns image and
label. Labels are only ever resized by nearest neighbor. Without a label (evaluation) only the image changes.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from src.data.info import IGNORE
from src.errors import UserError
from src.schema.data import DataConfig, TransformConfig

# The pipeline has its own threads, with which OpenCV's would compete.
cv2.setNumThreads(0)

Pair = tuple[np.ndarray, np.ndarray | None]


class RandomScale:
    """Resize by a ratio drawn uniformly, relative to the image's own size or to the size that fits into ``base``."""

    def __init__(self, ratio: Sequence[float] = (0.5, 2.0), base: Sequence[int] | None = None):
        self.ratio, self.base = ratio, base

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        lowest, highest = self.ratio
        ratio = random.uniform(lowest, highest)
        height, width = image.shape[:2]
        if self.base:
            ratio *= fitting_ratio((height, width), self.base)
        return resize_pair(image, label, (max(1, round(height * ratio)), max(1, round(width * ratio))))


class Resize:
    """Resize to ``size`` = (H, W), or to the largest size of the image's shape that fits into it, upright or lying."""

    def __init__(self, size: Sequence[int], keep_ratio: bool = False):
        self.size, self.keep_ratio = size, keep_ratio

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        height, width = self.size
        if self.keep_ratio:
            ratio = fitting_ratio(image.shape[:2], self.size)
            height, width = (max(1, round(old * ratio)) for old in image.shape[:2])
        return resize_pair(image, label, (height, width))


class RandomCrop:
    """Cut (h, w) at a random place; a side that is shorter is kept whole.

    While one class fills more than ``max_class_share`` of the labeled pixels, or there are none, another place is
    drawn, up to 10 times; the last one is used regardless.
    """

    ATTEMPTS = 10

    def __init__(self, size: Sequence[int], max_class_share: float = 1.0):
        self.size, self.max_class_share = size, max_class_share

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        for _ in range(self.ATTEMPTS):
            window = self._window(image.shape, random)
            if label is None or self.max_class_share >= 1 or self._is_varied(label[window]):
                break
        return image[window], None if label is None else label[window]

    def _window(self, shape: Sequence[int], random: np.random.Generator) -> tuple[slice, slice]:
        slices = []
        for side, crop in zip(shape, self.size, strict=False):
            start = int(random.integers(0, max(side - crop, 0) + 1))
            slices.append(slice(start, start + min(side, crop)))
        return slices[0], slices[1]

    def _is_varied(self, label: np.ndarray) -> bool:
        counts = cv2.calcHist([label], [0], None, [256], [0, 256])[:IGNORE]
        return 0 < counts.max() <= self.max_class_share * counts.sum()


class RandomFlip:
    """Mirror left to right with the given probability."""

    def __init__(self, probability: float = 0.5):
        self.probability = probability

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        if random.random() >= self.probability:
            return image, label
        return cv2.flip(image, 1), None if label is None else cv2.flip(label, 1)


class PhotometricDistortion:
    """Brightness, contrast, saturation and hue, each with probability one half (SSD; Liu et al., ECCV 2016).

    Contrast comes before or after saturation and hue, with equal probability. All four act through tables of
    256 entries, so that the cost does not depend on how many are drawn.
    """

    def __init__(self, brightness: float = 32, contrast: float = 0.5, saturation: float = 0.5, hue: float = 18):
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        levels = np.arange(256, dtype=np.float32)
        add = random.uniform(-self.brightness, self.brightness) if random.random() < 0.5 else 0.0
        factor = random.uniform(1 - self.contrast, 1 + self.contrast) if random.random() < 0.5 else 1.0
        contrast_first = random.random() < 0.5
        saturation = random.uniform(1 - self.saturation, 1 + self.saturation) if random.random() < 0.5 else 1.0
        turn = random.uniform(-self.hue, self.hue) if random.random() < 0.5 else 0.0
        first = (levels + add).clip(0, 255) * (factor if contrast_first else 1.0)
        image = cv2.LUT(image, _table(first))
        if saturation != 1.0 or turn != 0.0:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)  # OpenCV stores half degrees, 0..179
            hues = ((levels + turn / 2) % 180).round() % 180
            tables = np.stack([hues, (levels * saturation).clip(0, 255).round(), levels], axis=-1).astype(np.uint8)
            image = cv2.cvtColor(cv2.LUT(hsv, tables[None]), cv2.COLOR_HSV2RGB)
        if not contrast_first and factor != 1.0:
            image = cv2.LUT(image, _table(levels * factor))
        return image, label


class Pad:
    """Fill up to (h, w) at the right and bottom: the image with the mean color, the label with ``IGNORE``."""

    def __init__(self, size: Sequence[int], mean: Sequence[float]):
        self.size, self.color = size, tuple(round(value) for value in mean)

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        below, right = (max(0, side - old) for side, old in zip(self.size, image.shape, strict=False))
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=self.color)
            if label is not None:
                label = cv2.copyMakeBorder(label, 0, below, 0, right, cv2.BORDER_CONSTANT, value=[IGNORE])
        return image, label


class Normalize:
    """(image - mean) / std as fp32 [3, H, W]; one table of 256 entries per channel does it in one pass."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        levels = np.arange(256, dtype=np.float64)
        self.tables = [((levels - m) / s).astype(np.float32) for m, s in zip(mean, std, strict=True)]

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        planes = np.empty((3, *image.shape[:2]), np.float32)
        for channel, table in enumerate(self.tables):
            cv2.LUT(cv2.extractChannel(image, channel), table, dst=planes[channel])
        return planes, label


class Compose:
    """Transforms one after the other."""

    def __init__(self, transforms: Sequence):
        self.transforms = transforms

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        for transform in self.transforms:
            image, label = transform(image, label, random)
        return image, label


def build_transforms(configs: Sequence[TransformConfig], data: DataConfig, key: str) -> Compose:
    """Build the transforms of ``data.train_transforms`` or ``data.eval_transforms`` in the order given.

    Raises:
        UserError: ``normalize`` is not the last one (whatever follows would work on numbers instead of colors),
            or evaluation would change more than the image's size: its label stays as it is.
    """
    names = [config.name for config in configs]
    if names.count("normalize") != 1 or names[-1] != "normalize":
        raise UserError(f"data.{key}: expected normalize once, as the last transform; found {', '.join(names)}")
    if key == "eval_transforms" and not set(names) <= {"resize", "normalize"}:
        wrong = next(name for name in names if name not in ("resize", "normalize"))
        raise UserError(f"data.{key}: {wrong} is for training only; evaluation takes resize and normalize")
    given: dict[str, tuple[type, dict[str, Any]]] = {
        "random_crop": (RandomCrop, {"size": data.crop}),
        "pad": (Pad, {"size": data.crop, "mean": data.mean}),
        "normalize": (Normalize, {"mean": data.mean, "std": data.std}),
        "random_scale": (RandomScale, {"base": data.base_size}),
        "random_flip": (RandomFlip, {}),
        "photometric_distortion": (PhotometricDistortion, {}),
        "resize": (Resize, {"size": data.base_size}),
    }
    built = []
    for config in configs:
        kind, options = given[config.name]
        options = {**options, **config.model_dump(exclude={"name"}, exclude_none=True)}
        if config.name == "resize" and options["size"] is None:
            raise UserError(f"data.{key}: resize has no size, and data.base_size is null; give one of them")
        built.append(kind(**options))
    return Compose(built)


def fitting_ratio(shape: Sequence[int], size: Sequence[int]) -> float:
    """The largest ratio at which short and long side of ``shape`` fit into those of ``size``."""
    return min(limit / side for limit, side in zip(sorted(size), sorted(shape), strict=True))


def resize_pair(image: np.ndarray, label: np.ndarray | None, size: tuple[int, int]) -> Pair:
    """Resize to (H, W), half-pixel centers: the image bilinearly, the label by nearest neighbor."""
    if image.shape[:2] != size:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
        if label is not None:
            # INTER_NEAREST takes the floor of x * ratio, half a pixel off the image; the exact form does not.
            label = cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return image, label


def _table(values: np.ndarray) -> np.ndarray:
    return values.clip(0, 255).round().astype(np.uint8)
