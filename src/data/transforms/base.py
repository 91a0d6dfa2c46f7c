"""What transforms share: the type of their result, a probability, the color that fills."""

from collections.abc import Sequence

import cv2
import numpy as np

# The pipeline has its own threads, with which OpenCV's would compete.
cv2.setNumThreads(0)

Pair = tuple[np.ndarray, np.ndarray | None]


class Chance:
    """A transform that is applied with a probability; otherwise image and label stay as they are."""

    def __init__(self, probability: float = 0.5):
        self.probability = probability

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        return (image, label) if random.random() >= self.probability else self.change(image, label, random)

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        """Apply it."""
        raise NotImplementedError


def fill_color(mean: Sequence[float]) -> tuple[int, ...]:
    """The mean color as whole levels; normalized, it is about zero."""
    return tuple(round(value) for value in mean)
