"""Contact sheets of an evaluation: chosen images with their labels, predictions and errors."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from src.inference.exported import Runner
from src.inference.protocol import predict
from src.report.charts import contact_sheet
from src.report.images import colorize, denormalize
from src.schema.data import DataConfig
from src.schema.training import EvalConfig

RIGHT, WRONG = (225, 225, 225), (200, 30, 30)  # RGB of the errors' picture; ignored pixels are black


def draw_sheet(
    path: Path,
    runner: Runner,
    samples: Iterable,
    config: EvalConfig,
    data: DataConfig,
    classes: Sequence[str],
    colors: Sequence[Sequence[int]],
    captions: Sequence[str] | None = None,
) -> None:
    """Predict ``samples`` once more and draw a row for each.

    Args:
        samples: (image fp32 [1, 3, h, w], label int32 [H, W], name); few, as all are in memory.
        data: its ``mean`` and ``std`` bring back the pixels.
        captions: one per row, which then has a picture of the errors too.
    """
    titles = ["image", "label", "prediction", *(["errors"] if captions else [])]
    rows = []
    for image, label, _ in samples:
        prediction = predict(runner, image, config, label.shape)
        pictures = [denormalize(image[0], data.mean, data.std), colorize(label, colors), colorize(prediction, colors)]
        rows.append([*pictures, *([draw_errors(prediction, label)] if captions else [])])
    if rows:
        contact_sheet(path, rows, titles, classes, colors, captions)


def draw_errors(prediction: np.ndarray, label: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """RGB uint8 [H, W, 3] of where train ids [H, W] are right and wrong."""
    colors = np.array([RIGHT, WRONG], np.uint8)[(prediction != label).astype(np.uint8)]
    colors[label == ignore_index] = 0
    return colors
