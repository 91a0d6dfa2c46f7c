"""Places without an image: the mean color, and ``IGNORE`` in the label."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.data.info import IGNORE
from src.data.transforms.base import Chance, Pair, fill_color


class Pad:
    """Fill up to (h, w) at the right and bottom: the image with the mean color, the label with ``IGNORE``."""

    def __init__(self, size: Sequence[int], mean: Sequence[float]):
        self.size, self.color = size, fill_color(mean)

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        below, right = (max(0, side - old) for side, old in zip(self.size, image.shape, strict=False))
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=self.color)
            if label is not None:
                label = cv2.copyMakeBorder(label, 0, below, 0, right, cv2.BORDER_CONSTANT, value=[IGNORE])
        return image, label


class CoarseDropout(Chance):
    """Fill rectangles with the mean color (Cutout; DeVries and Taylor, 2017).

    Names and defaults are Albumentations' (2.x): one or two holes, their sides 0.1 to 0.2 of the image's. The label
    below stays, so that the network fills the gap from what is around it, or becomes ``IGNORE``.
    """

    def __init__(
        self,
        mean: Sequence[float],
        holes: Sequence[int] = (1, 2),
        height: Sequence[float] = (0.1, 0.2),
        width: Sequence[float] = (0.1, 0.2),
        ignore: bool = False,
        probability: float = 0.5,
    ):
        super().__init__(probability)
        self.color, self.holes, self.sides, self.ignore = fill_color(mean), holes, (height, width), ignore

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        image = image.copy()
        if self.ignore and label is not None:
            label = label.copy()
        for _ in range(random.integers(self.holes[0], self.holes[1] + 1)):
            hole = self._hole(image.shape, random)
            image[hole] = self.color
            if self.ignore and label is not None:
                label[hole] = IGNORE
        return image, label

    def _hole(self, shape: Sequence[int], random: np.random.Generator) -> tuple[slice, ...]:
        slices = []
        for side, (least, most) in zip(shape, self.sides, strict=False):
            length = max(1, round(side * random.uniform(least, most)))
            start = int(random.integers(0, side - length + 1))
            slices.append(slice(start, start + length))
        return tuple(slices)
