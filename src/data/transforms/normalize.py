"""From colors to the numbers that a network takes."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.data.transforms.base import Pair


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
