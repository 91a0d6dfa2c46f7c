"""The only confusion matrix and the only mIoU of the project.

Scores are of the whole data set: pixels of all images go into one matrix, whose size does not depend on the
number of images. Averages of per-image scores are never formed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

SCORES = ("IoU", "Acc", "Fscore", "Precision", "Recall", "Dice")


class ConfusionMatrix:
    """Counts of (label, prediction) pairs, int64 [K, K]; rows are labels, columns are predictions."""

    def __init__(self, num_classes: int, ignore_index: int = 255):
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.matrix = np.zeros((num_classes, num_classes), np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Add the pixels of one or more images.

        Args:
            prediction: train ids 0..K-1, any shape.
            label: train ids 0..K-1 or ``ignore_index``, same shape as ``prediction``.

        Raises:
            ValueError: the shapes differ, or an id lies outside the classes.
        """
        self.matrix += self.count(prediction, label)

    def count(self, prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
        """The matrix of these pixels alone, int64 [K, K]; arguments and errors are those of `update`."""
        if prediction.shape != label.shape:
            raise ValueError(f"prediction {prediction.shape} and label {label.shape} differ in shape")
        valid = label != self.ignore_index
        truth = label[valid].astype(np.int64)
        guess = prediction[valid].astype(np.int64)
        for name, ids in (("label", truth), ("prediction", guess)):
            if ids.size and (ids.min() < 0 or ids.max() >= self.num_classes):
                raise ValueError(f"{name} holds ids outside 0..{self.num_classes - 1}: {ids.min()}..{ids.max()}")
        counts = np.bincount(truth * self.num_classes + guess, minlength=self.num_classes**2)
        return counts.reshape(self.num_classes, self.num_classes)

    def compute(self) -> "Scores":
        """Scores from all pixels so far; a score without any pixel to measure it on is NaN."""
        return scores_of(self.matrix)


def scores_of(matrix: np.ndarray) -> "Scores":
    """Scores of a confusion matrix, [K, K]."""
    hit = np.diag(matrix).astype(np.float64)
    labeled = matrix.sum(axis=1).astype(np.float64)
    predicted = matrix.sum(axis=0).astype(np.float64)
    recall = _ratio(hit, labeled)
    fscore = _ratio(2 * hit, labeled + predicted)
    per_class = {
        "IoU": _ratio(hit, labeled + predicted - hit),
        "Acc": recall,
        "Fscore": fscore,
        "Precision": _ratio(hit, predicted),
        "Recall": recall,
        "Dice": fscore,
    }
    accuracy = float(_ratio(hit.sum(), labeled.sum()))
    absent = np.flatnonzero(labeled + predicted == 0)
    return Scores({name: 100 * values for name, values in per_class.items()}, 100 * accuracy, absent.tolist())


@dataclass(frozen=True)
class Scores:
    """Scores in percent. NaN where undefined; means are over the classes for which the score is defined."""

    per_class: dict[str, np.ndarray]  # score name -> [K]
    accuracy: float  # aAcc: share of labeled pixels that are right
    absent: list[int]  # classes in neither prediction nor label: they take part in no mean

    def mean(self, name: str) -> float:
        """Mean over the classes of one of `SCORES`, for example ``IoU``; NaN when it is defined for none."""
        return mean_of_defined(self.per_class[name])

    def summary(self) -> dict[str, Any]:
        """``mIoU``, ``aAcc``, ``mAcc``, ``mFscore``, ``mPrecision``, ``mRecall``, ``mDice``; None for NaN."""
        means = {f"m{name}": _none_if_nan(self.mean(name)) for name in SCORES}
        return {"mIoU": means.pop("mIoU"), "aAcc": _none_if_nan(self.accuracy), **means}

    def by_class(self, names: list[str]) -> dict[str, dict[str, float | None]]:
        """``{class name: {score name: percent or None}}``."""
        return {
            name: {score: _none_if_nan(values[index]) for score, values in self.per_class.items()}
            for index, name in enumerate(names)
        }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part`` of ``whole`` in percent; NaN where ``whole`` is 0."""
    return 100 * _ratio(part, whole)


def mean_of_defined(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if there is none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
