"""Where things are: scale, size, mirroring, rotation."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.data.info import IGNORE
from src.data.transforms.base import Chance, Pair, fill_color


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


class RandomFlip(Chance):
    """Mirror left to right with the given probability."""

    AXIS = 1  # of cv2.flip

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        return cv2.flip(image, self.AXIS), None if label is None else cv2.flip(label, self.AXIS)


class RandomVerticalFlip(RandomFlip):
    """Mirror top to bottom with the given probability."""

    AXIS = 0


class RandomRotation(Chance):
    """Rotate about the center by up to ``degrees`` to either side; the size stays, and corners are cut off.

    What comes in from outside has the mean color and the label ``IGNORE``. The defaults are PSPNet's (Zhao et al.,
    CVPR 2017): 10 degrees.
    """

    def __init__(self, mean: Sequence[float], degrees: float = 10, probability: float = 0.5):
        super().__init__(probability)
        self.degrees, self.color = degrees, fill_color(mean)

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        height, width = image.shape[:2]
        angle = random.uniform(-self.degrees, self.degrees)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
        size = (width, height)
        image = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=self.color)
        if label is not None:
            label = cv2.warpAffine(label, matrix, size, flags=cv2.INTER_NEAREST, borderValue=[IGNORE])
        return image, label


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
