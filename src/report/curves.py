"""Training curves."""

from pathlib import Path
from typing import Any

import numpy as np

from src.report.charts import plt, save_figure


def loss_parts(line: dict) -> list[str]:
    """Names of the loss's parts in a line of metrics.jsonl that a training step wrote."""
    others = ("step", "epoch", "loss", "lr", "grad_norm", "images_per_second", "loss_scale", "overflows")
    return [key for key in line if key not in others]


def draw_curves(path: Path, lines: list[dict[str, Any]]) -> None:
    """Draw loss parts, learning rate and validation scores over the steps of a run.

    Args:
        lines: the lines of metrics.jsonl.
    """
    steps = [line for line in lines if "split" not in line]
    scores = [line for line in lines if "split" in line]
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6))
    parts = loss_parts(steps[0]) if steps else []
    for name in ["loss", *(parts if len(parts) > 1 else [])]:
        points = [(line["step"], line[name]) for line in steps if line.get(name) is not None]
        if points:
            x, y = np.array(points, float).T
            (line,) = axes[0].plot(x, y, alpha=0.3, linewidth=0.8)
            axes[0].plot(x, _smooth(y), color=line.get_color(), label=name)
    axes[0].set_title("training loss")
    axes[1].plot([line["step"] for line in steps], [line["lr"] for line in steps])
    axes[1].set_title("learning rate")
    for name in ("mIoU", "mAcc", "aAcc"):
        points = [(line["step"], line[name]) for line in scores if line.get(name) is not None]
        if points:
            axes[2].plot(*np.array(points, float).T, marker="o", markersize=3, label=name)
    axes[2].set_title("validation, %")
    for axis in axes:
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def _smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Running mean over ``share`` of the curve, shorter at its ends."""
    width = max(1, int(len(values) * share))
    ones = np.convolve(np.ones(len(values)), np.ones(width), "same")
    return np.convolve(values, np.ones(width), "same") / ones
