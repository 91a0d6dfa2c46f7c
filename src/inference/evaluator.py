"""Score a runner on a split: stream the images into one confusion matrix and report."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.files import write_text
from src.inference.exported import Runner
from src.inference.gallery import Gallery
from src.inference.journal import Journal
from src.inference.predictions import Predictions
from src.inference.protocol import describe, predict
from src.inference.views import runner_sizes
from src.metrics.boundary import BoundaryIoU
from src.metrics.confusion_matrix import ConfusionMatrix, Scores, mean_of_defined
from src.metrics.per_image import ImageCounts
from src.parallel import sum_counts
from src.schema.training import EvalConfig


@dataclass(frozen=True)
class Result:
    """Scores of one evaluation and what is needed to read them."""

    scores: Scores
    classes: list[str]
    images: int
    seconds: float
    protocol: dict[str, Any]
    matrix: np.ndarray  # int64 [K, K]; rows are labels, columns are predictions
    boundary: BoundaryIoU | None = None

    def report(self) -> dict[str, Any]:
        """The contents of eval.json."""
        boundary = {"boundary": self.boundary.report(self.classes)} if self.boundary else {}
        return {
            **self.scores.summary(),
            "per_class": self.scores.by_class(self.classes),
            **boundary,
            "absent_classes": [self.classes[index] for index in self.scores.absent],
            "images": self.images,
            "protocol": self.protocol,
        }

    def table(self) -> str:
        """A table per class and the means, for the console."""
        width = max(len(name) for name in [*self.classes, "class"])
        columns = {name: self.scores.per_class[name] for name in ("IoU", "Acc", "Fscore", "Precision")}
        if self.boundary:
            columns["Boundary"] = self.boundary.scores()
        lines = [f"{'class':<{width}}" + "".join(f"{name:>11}" for name in columns)]
        for index, name in enumerate(self.classes):
            lines.append(f"{name:<{width}}" + "".join(f"{_number(values[index]):>11}" for values in columns.values()))
        means = (mean_of_defined(values) for values in columns.values())
        lines.append(f"{'mean':<{width}}" + "".join(f"{_number(value):>11}" for value in means))
        return "\n".join([*lines, self.line()])

    def line(self) -> str:
        """The means in one line; ``-`` for a score that no pixel defines."""
        absent = len(self.scores.absent)
        note = f", {absent} absent classes left out of the means" if absent else ""
        return (
            f"mIoU {_number(self.scores.mean('IoU'))}  aAcc {_number(self.scores.accuracy)}  "
            f"mAcc {_number(self.scores.mean('Acc'))}  ({self.images} images, {self.protocol['mode']}{note})"
        )

    def write(self, path: Path) -> None:
        """Write eval.json, whole or not at all."""
        write_text(path, json.dumps(self.report(), indent=2) + "\n")


def evaluate(
    runner: Runner,
    samples: Any,
    classes: list[str],
    config: EvalConfig,
    weights: str,
    predictions: Predictions | None = None,
    ignore_index: int = 255,
    boundary: bool = False,
    journal: Journal | None = None,
    gallery: Gallery | None = None,
) -> Result:
    """Score ``runner`` on ``samples`` at the labels' own size; of several workers each scores its own samples.

    Args:
        samples: sized iterable of (image fp32 [1, 3, h, w], label int32 [H, W], name). Where it has a method ``sizes``,
            a runner that needs them is told.
        weights: where the weights come from, for the protocol in the report.
        predictions: receives every prediction.
        boundary: measure boundary IoU too.
        journal: receives the counts of every image; those that it holds count as well. (``samples`` are the others,
            and need ``indices``: where they are in the split.)
        gallery: receives every image with its label and prediction.
    """
    matrix = ConfusionMatrix(len(classes), ignore_index)
    contours = BoundaryIoU(len(classes), ignore_index) if boundary else None
    done = list(journal.images) if journal else []
    for counts in done:
        matrix.matrix += counts.matrix(len(classes))
        if contours and counts.boundary is not None:
            contours.counts += counts.boundary
    images, start = len(done), time.perf_counter()
    _plan(runner, samples, config)
    for number, (image, label, name) in enumerate(tqdm(samples, "evaluate", unit="image", leave=False, disable=None)):
        prediction = predict(runner, image, config, label.shape)
        own = matrix.count(prediction, label)
        matrix.matrix += own
        images += 1
        edges = None
        if contours:
            edges = contours.count(prediction, label)
            contours.counts += edges
        if predictions:
            predictions.add(name, prediction)
        if gallery:
            gallery.add(name, image[0], label, prediction)
        if journal:
            journal.add(ImageCounts.of(samples.indices[number], name, own, edges))
    matrix.matrix, images = sum_counts(matrix.matrix), int(sum_counts(np.array([images]))[0])
    if contours:
        contours.counts = sum_counts(contours.counts)
    protocol = {
        "mode": describe(config),
        "crop": config.crop,
        "stride": config.stride,
        "scales": config.scales,
        "flip": config.flip,
        "weights": weights,
    }
    seconds = time.perf_counter() - start
    return Result(matrix.compute(), list(classes), images, seconds, protocol, matrix.matrix, contours)


def _plan(runner: Any, samples: Any, config: EvalConfig) -> None:
    if getattr(runner, "needs_sizes", False) and hasattr(samples, "sizes"):
        runner.plan([one for size in samples.sizes() for one in runner_sizes(size, config)])


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"
