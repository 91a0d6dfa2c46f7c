"""Score a runner on a split: stream the images into one confusion matrix and report."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.files import write_text
from src.inference.exported import Runner
from src.inference.gallery import Gallery
from src.inference.protocol import describe, predict
from src.metrics.confusion_matrix import ConfusionMatrix, Scores
from src.parallel import sum_counts
from src.report.charts import contact_sheet
from src.report.images import colorize, write_image
from src.schema.training import EvalConfig


@dataclass(frozen=True)
class Result:
    """Scores of one evaluation and what is needed to read them."""

    scores: Scores
    classes: list[str]
    images: int
    seconds: float
    protocol: dict[str, Any]
    matrix: np.ndarray  # counts [K, K]; rows are labels

    def report(self) -> dict[str, Any]:
        """The contents of eval.json."""
        return {
            **self.scores.summary(),
            "per_class": self.scores.by_class(self.classes),
            "absent_classes": [self.classes[index] for index in self.scores.absent],
            "images": self.images,
            "protocol": self.protocol,
        }

    def table(self) -> str:
        """A table per class and the means, for the console."""
        width = max(len(name) for name in [*self.classes, "class"])
        columns = ("IoU", "Acc", "Fscore", "Precision")
        lines = [f"{'class':<{width}}" + "".join(f"{name:>11}" for name in columns)]
        for index, name in enumerate(self.classes):
            values = (self.scores.per_class[column][index] for column in columns)
            lines.append(f"{name:<{width}}" + "".join(f"{_number(value):>11}" for value in values))
        means = (self.scores.mean(column) for column in columns)
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


class Pictures:
    """Collects what an evaluation should draw: every prediction in color, and a contact sheet."""

    def __init__(self, folder: Path, classes, colors, mean, std, all_predictions: bool, sheet_rows: int):
        self.folder = folder
        self.classes, self.colors = classes, colors
        self.mean, self.std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (mean, std))
        self.all_predictions = all_predictions
        self.sheet_rows = sheet_rows
        self.rows: list[list[np.ndarray]] = []
        self.written: list[Path] = []

    def add(self, name: str, image: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> None:
        """image: normalized [3, h, w]; label, prediction: train ids [H, W]."""
        drawn = colorize(prediction, self.colors)
        if self.all_predictions:
            write_image(self.folder / "predictions" / f"{name}.png", drawn)
        if len(self.rows) < self.sheet_rows:
            pixels = (image * self.std + self.mean).round().clip(0, 255).astype(np.uint8)
            self.rows.append([pixels.transpose(1, 2, 0), colorize(label, self.colors), drawn])

    def finish(self) -> list[Path]:
        """Write the contact sheet; return the files and folders that were written."""
        written = [self.folder / "predictions"] if self.all_predictions else []
        if self.rows:
            sheet = self.folder / "sheet.png"
            contact_sheet(sheet, self.rows, ["image", "label", "prediction"], self.classes, self.colors)
            written.append(sheet)
        return written


def evaluate(
    runner: Runner,
    samples: Iterable,
    classes: list[str],
    config: EvalConfig,
    weights: str,
    pictures: Pictures | None = None,
    ignore_index: int = 255,
    gallery: Gallery | None = None,
) -> Result:
    """Score ``runner`` on ``samples`` at the labels' own size; of several workers each scores its own samples.

    Args:
        samples: sized iterable of (image fp32 [1, 3, h, w], label int32 [H, W], name).
        weights: where the weights come from, for the protocol in the report.
        pictures, gallery: receive every image with its label and prediction.
    """
    matrix = ConfusionMatrix(len(classes), ignore_index)
    images, start = 0, time.perf_counter()
    for image, label, name in tqdm(samples, desc="evaluate", unit="image", leave=False, disable=None):
        prediction = predict(runner, image, config, label.shape)
        matrix.update(prediction, label)
        images += 1
        if pictures:
            pictures.add(name, image[0], label, prediction)
        if gallery:
            gallery.add(name, image[0], label, prediction)
    matrix.matrix, images = sum_counts(matrix.matrix), int(sum_counts(np.array([images]))[0])
    protocol = {
        "mode": describe(config),
        "crop": config.crop,
        "stride": config.stride,
        "scales": config.scales,
        "flip": config.flip,
        "weights": weights,
    }
    seconds = time.perf_counter() - start
    return Result(matrix.compute(), list(classes), images, seconds, protocol, matrix.matrix)


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"
