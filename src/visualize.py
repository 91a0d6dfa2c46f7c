"""Pictures: class maps in colour, contact sheets, training curves, features of classes. RGB throughout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib

matplotlib.use("Agg")  # no screen is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.patches import Patch

IGNORED = (0, 0, 0)  # colour of pixels without a class


def colorize(label: np.ndarray, colors: Sequence[Sequence[int]]) -> np.ndarray:
    """Turn train ids [H, W] into RGB uint8 [H, W, 3]; ids without a colour (255 = ignore) become black."""
    palette = np.full((256, 3), IGNORED, np.uint8)
    palette[: len(colors)] = colors
    return palette[label.astype(np.uint8)]


def write_image(path: Path, image: np.ndarray) -> None:
    """Write RGB uint8 [H, W, 3] as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


def contact_sheet(path: Path, rows: list[list[np.ndarray]], titles: list[str], classes, colors) -> None:
    """Write one row of pictures per sample, with a title per column and a legend of the class colours.

    Args:
        rows: RGB uint8 pictures, the same number in each row.
        classes, colors: names and RGB colours of the classes in the legend.
    """
    height, width = rows[0][0].shape[:2]
    cell = 3.0
    legend = 0.2 * -(-len(classes) // 6) + 0.1
    size = (cell * len(titles), cell * height / width * len(rows) + legend + 0.3)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=size, squeeze=False)
    for row, pictures in zip(axes, rows, strict=True):
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture)
            axis.axis("off")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    patches = [Patch(color=np.array(color) / 255, label=name) for name, color in zip(classes, colors, strict=True)]
    figure.legend(handles=patches, ncol=min(6, len(patches)), loc="lower center", fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, legend / size[1], 1, 1), pad=0.4)
    save_figure(figure, path)


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


MOST_WRITTEN = 20  # classes up to which numbers and names are written into the pictures


def draw_matrix(path: Path, values: np.ndarray, names: Sequence[str], title: str, limits: tuple[float, float]) -> None:
    """Draw a square matrix of numbers between classes as a heat map.

    Args:
        values: [N, N].
        names: of the N classes.
        limits: values of the first and the last colour; diverging colours where they are symmetric about 0.
    """
    count = len(names)
    side = min(4 + 0.35 * count, 24)
    figure, axis = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
    colors = "RdBu_r" if limits[0] == -limits[1] else "viridis"
    picture = axis.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1])
    size = float(np.clip(72 * 0.6 * side / max(count, 1), 3, 9))
    axis.set_xticks(range(count), names, rotation=90, fontsize=size)
    axis.set_yticks(range(count), names, fontsize=size)
    for (row, column), value in np.ndenumerate(values) if count <= MOST_WRITTEN else ():
        red, green, blue, _ = picture.cmap(picture.norm(value))
        ink = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    large = max(11, 1.1 * side)
    axis.set_title(title, fontsize=large)
    figure.colorbar(picture, shrink=0.8, fraction=0.04).ax.tick_params(labelsize=0.8 * large)
    save_figure(figure, path)


def draw_projection(path: Path, points: np.ndarray, ids: np.ndarray, classes, colors, title: str, axes) -> None:
    """Draw points in the colours of their classes, and the mean of each class.

    Args:
        points: [S, 2]; ids: [S] their classes.
        classes, colors: names and RGB colours of all classes.
        axes: names of the two axes.
    """
    present = np.unique(ids).tolist()
    columns = -(-len(present) // 30)
    figure, axis = plt.subplots(figsize=(7 + 1.6 * columns, 6.5), layout="constrained")
    axis.set_facecolor("#f4f4f4")
    order = np.random.default_rng(0).permutation(len(ids))  # no class lies over all the others
    axis.scatter(*points[order].T, c=np.array(colors)[ids[order]] / 255, s=10, alpha=0.6, linewidths=0)
    outline = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    for index in present:
        x, y = points[ids == index].mean(0)
        color = np.array(colors[index]) / 255
        axis.scatter(x, y, color=color, s=70, edgecolors="black", linewidths=1.2, label=classes[index], zorder=3)
        if len(present) <= MOST_WRITTEN:
            axis.annotate(
                classes[index], (x, y), (6, 5), textcoords="offset points", fontsize=8, path_effects=outline, zorder=4
            )  # fmt: skip
    axis.set(xlabel=axes[0], ylabel=axes[1])
    axis.set_title(title, fontsize=11)
    axis.grid(alpha=0.4)
    figure.legend(loc="outside right upper", ncol=columns, fontsize=7 if columns > 1 else 8, frameon=False)
    save_figure(figure, path)


def _smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Running mean over ``share`` of the curve, shorter at its ends."""
    width = max(1, int(len(values) * share))
    ones = np.convolve(np.ones(len(values)), np.ones(width), "same")
    return np.convolve(values, np.ones(width), "same") / ones


def save_figure(figure: plt.Figure, path: Path) -> None:
    """Write the figure as PNG and forget it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
