"""Windows of the image: anywhere, of a random size, around a rare class."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from src.data.info import IGNORE
from src.data.transforms.base import Pair
from src.data.transforms.geometry import resize_pair


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
            window = draw_window(image.shape, self.size, random)
            if label is None or self.max_class_share >= 1 or self._is_varied(label[window]):
                break
        return image[window], None if label is None else label[window]

    def _is_varied(self, label: np.ndarray) -> bool:
        counts = count_classes(label)
        return 0 < counts.max() <= self.max_class_share * counts.sum()


class RandomResizedCrop:
    """Cut a window of random area and aspect ratio and resize it to (h, w) (Szegedy et al., CVPR 2015).

    Procedure and defaults are torchvision's: the area is a share of the image's drawn uniformly from ``scale``, width
    by height is drawn from ``ratio``, uniformly in the logarithm. A window that does not fit is drawn again, up to 10
    times; then it is the largest one in the middle whose ratio is allowed.
    """

    ATTEMPTS = 10

    def __init__(
        self, size: Sequence[int], scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (0.75, 1.3333)
    ):
        self.size, self.scale, self.ratio = (size[0], size[1]), scale, ratio

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        window = self._window(image.shape[:2], random)
        return resize_pair(image[window], None if label is None else label[window], self.size)

    def _window(self, shape: Sequence[int], random: np.random.Generator) -> tuple[slice, slice]:
        height, width = shape
        lowest, highest = self.ratio
        for _ in range(self.ATTEMPTS):
            area = height * width * random.uniform(self.scale[0], self.scale[1])
            ratio = math.exp(random.uniform(math.log(lowest), math.log(highest)))
            size = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < size[0] <= height and 0 < size[1] <= width:
                return draw_window(shape, size, random)
        size = max(1, min(height, round(width / lowest))), max(1, min(width, round(height * highest)))
        top, left = (height - size[0]) // 2, (width - size[1]) // 2
        return slice(top, top + size[0]), slice(left, left + size[1])


class ClassBalancedCrop:
    """Cut (h, w) around a pixel of a class that is drawn among those the image has; a shorter side is kept whole.

    A class of share f in the training set has the weight f^-rarity: with 0 all classes of the image are alike, with 1
    all classes of the set come up about equally often. The default, the inverse square root, is that of the repeat
    factors of LVIS (Gupta et al., CVPR 2019). All pixels of the class are alike, and so are all places of the window
    that hold the pixel. An image without any class is cut anywhere.
    """

    def __init__(self, size: Sequence[int], class_share: Sequence[float], rarity: float = 0.5):
        self.size = size
        self.weights = np.maximum(class_share, 1e-12) ** -rarity

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        pixel = None if label is None else self._draw_pixel(label, random)
        window = draw_window(image.shape, self.size, random, pixel)
        return image[window], None if label is None else label[window]

    def _draw_pixel(self, label: np.ndarray, random: np.random.Generator) -> tuple[int, int] | None:
        (present,) = np.nonzero(count_classes(label))
        if not len(present):
            return None
        weights = self.weights[present]
        places = np.flatnonzero(label == random.choice(present, p=weights / weights.sum()))
        row, column = divmod(int(random.choice(places)), label.shape[1])
        return row, column


def draw_window(
    shape: Sequence[int], size: Sequence[int], random: np.random.Generator, pixel: tuple[int, int] | None = None
) -> tuple[slice, slice]:
    """Draw a window (h, w) of an image, one that holds ``pixel`` = (row, column) if given; shorter sides are whole."""
    slices = []
    for axis in (0, 1):
        side, crop = shape[axis], size[axis]
        first, last = 0, max(side - crop, 0)
        if pixel is not None:
            first, last = max(first, pixel[axis] - crop + 1), min(last, pixel[axis])
        start = int(random.integers(first, last + 1))
        slices.append(slice(start, start + min(side, crop)))
    return slices[0], slices[1]


def count_classes(label: np.ndarray) -> np.ndarray:
    """Pixels of every class, fp32 [255]; ignored ones do not count."""
    return cv2.calcHist([label], [0], None, [256], [0, 256])[:IGNORE, 0]
