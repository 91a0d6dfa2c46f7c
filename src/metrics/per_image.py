"""Counts of single images: small enough to keep them all, and enough for every score."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.metrics.confusion_matrix import Scores, scores_of


@dataclass(frozen=True)
class ImageCounts:
    """What one image adds to the confusion matrix, and to the boundary regions if they are measured."""

    index: int  # of the image in its split
    name: str
    cells: np.ndarray  # of the flat confusion matrix, those with a pixel, [N]
    counts: np.ndarray  # their pixels, [N]
    boundary: np.ndarray | None = None  # [2, K], see `BoundaryIoU`

    @classmethod
    def of(cls, index: int, name: str, matrix: np.ndarray, boundary: np.ndarray | None) -> "ImageCounts":
        """matrix: int64 [K, K]."""
        cells = np.flatnonzero(matrix)
        return cls(index, name, cells, matrix.ravel()[cells], boundary)

    def matrix(self, num_classes: int) -> np.ndarray:
        """The confusion matrix, int64 [K, K]."""
        matrix = np.zeros(num_classes**2, np.int64)
        matrix[self.cells] = self.counts
        return matrix.reshape(num_classes, num_classes)

    def to_json(self) -> list[Any]:
        """Values of JSON, for `from_json`."""
        boundary = None if self.boundary is None else self.boundary.tolist()
        return [self.index, self.name, self.cells.tolist(), self.counts.tolist(), boundary]

    @classmethod
    def from_json(cls, values: list[Any]) -> "ImageCounts":
        """The counts of which `to_json` was kept.

        Raises:
            ValueError, TypeError: the values are not of that form.
        """
        index, name, cells, counts, boundary = values
        kept = None if boundary is None else np.array(boundary, np.int64)
        return cls(int(index), str(name), np.array(cells, np.int64), np.array(counts, np.int64), kept)


def worst_first(images: Iterable[ImageCounts], num_classes: int) -> list[tuple[ImageCounts, Scores]]:
    """Images with their own scores, the lowest mIoU first; images without a labeled pixel last."""
    scored = [(image, scores_of(image.matrix(num_classes))) for image in images]
    return sorted(scored, key=lambda pair: (np.isnan(pair[1].mean("IoU")), pair[1].mean("IoU"), pair[0].name))


def per_image_csv(scored: Iterable[tuple[ImageCounts, Scores]], classes: Sequence[str]) -> str:
    """A line per image: name, mIoU, aAcc and the IoU of each class in percent; empty where undefined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "mIoU", "aAcc", *classes])
    for image, scores in scored:
        values = (scores.mean("IoU"), scores.accuracy, *scores.per_class["IoU"])
        writer.writerow([image.name, *("" if np.isnan(value) else f"{value:.4f}" for value in values)])
    return text.getvalue()


def confusion_csv(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Pixels of each label (rows) that were predicted as each class (columns)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, matrix.tolist(), strict=True))
    return text.getvalue()
