"""``report.json``: an evaluation with its confusion matrix and images, from which report.html is made."""

import json
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np

from src.config import flat_keys
from src.files import write_text
from src.inference.evaluator import Result
from src.inference.gallery import Gallery
from src.provenance import commit, environment, now
from src.report.runs import EVALUATION, VERSION
from src.schema import Config


def write_report_file(
    folder: Path, result: Result, gallery: Gallery, config: Config, split: str, colors: list[list[int]]
) -> Path:
    """Write the file into ``folder``, whole or not at all; return its path.

    Args:
        colors: RGB, one per class.
    """
    content: dict[str, Any] = {
        "version": VERSION,
        "date": now(),
        "commit": commit(),
        "device": ms.get_context("device_target"),
        "environment": environment(),
        "seconds": round(result.seconds, 1),
        "split": split,
        "classes": result.classes,
        "colors": [list(color) for color in colors],
        "scores": result.report(),
        "confusion": sparse(result.matrix),
        "config": flat_keys(config),
        "images": gallery.images(),
    }
    path = folder / EVALUATION
    write_text(path, json.dumps(content) + "\n")
    return path


def sparse(matrix: np.ndarray) -> list[list[int]]:
    """Counts [K, K] -> [label, prediction, count] of all that are not zero."""
    return [[int(row), int(column), int(matrix[row, column])] for row, column in np.argwhere(matrix)]
