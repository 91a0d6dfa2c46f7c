"""Boundary IoU: how well contours agree, where IoU hardly changes for large objects.

Paper: Cheng, Girshick, Dollar, Berg, Kirillov, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation",
CVPR 2021. From the paper: the boundary region of a mask is what lies within d pixels of its contour, inside the mask;
d is 2 % of the image's diagonal; the IoU is taken of both boundary regions.
From its public code: d is rounded and at least 1, distances are those of a square, the image's border is a contour.
Our reading, for classes instead of objects: intersections and unions are summed over all images, as for mIoU; ignored
pixels belong to no mask, neither of the label nor of the prediction.
"""

import math

import cv2
import numpy as np

from src.metrics.confusion_matrix import mean_of_defined, percent

SHARE = 0.02  # d, of the diagonal


class BoundaryIoU:
    """Pixels in the intersection and in the union of the boundary regions of each class, int64 [2, K]."""

    def __init__(self, num_classes: int, ignore_index: int = 255):
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.counts = np.zeros((2, num_classes), np.int64)

    def count(self, prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Intersections and unions of one image, int64 [2, K]; prediction, label: train ids [H, W]."""
        counts = np.zeros_like(self.counts)
        valid = label != self.ignore_index
        distance = max(1, round(SHARE * math.hypot(*label.shape)))
        for index in np.union1d(prediction[valid], label[valid]):
            guess, truth = (_boundary((ids == index) & valid, distance) for ids in (prediction, label))
            counts[:, index] = np.count_nonzero(guess & truth), np.count_nonzero(guess | truth)
        return counts

    def scores(self) -> np.ndarray:
        """IoU of each class in percent, [K]; NaN for a class without a pixel."""
        return percent(self.counts[0], self.counts[1])

    def report(self, classes: list[str]) -> dict:
        """The entry of eval.json."""
        scores = self.scores()
        per_class = {name: None if np.isnan(one) else float(one) for name, one in zip(classes, scores, strict=True)}
        mean = mean_of_defined(scores)
        return {"mIoU": None if np.isnan(mean) else mean, "share_of_diagonal": SHARE, "per_class": per_class}


def _boundary(mask: np.ndarray, distance: int) -> np.ndarray:
    """Pixels of ``mask`` at most ``distance`` away from a pixel that does not belong to it, or from the border."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)[1:-1, 1:-1]
    return mask & ~inner.astype(bool)
