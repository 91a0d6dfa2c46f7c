"""How a result is shown."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.report.images import colorize


def draw(rgb: np.ndarray, ids: np.ndarray, colors: Sequence[Sequence[int]], side_by_side: bool = False) -> np.ndarray:
    """The classes over the image, RGB uint8 [H, W, 3]; ``side_by_side`` to the right of the image, [H, 2W, 3]."""
    overlay = cv2.addWeighted(rgb, 0.5, colorize(ids, colors), 0.5, 0)
    return np.hstack([rgb, overlay]) if side_by_side else overlay
