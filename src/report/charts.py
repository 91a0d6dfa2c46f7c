"""Charts: contact sheets, matrices between classes, features of classes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.patches import Patch


def save_figure(figure: plt.Figure, path: Path) -> None:
    """Write the figure as PNG and close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def mark_pixel(axis: plt.Axes, image: np.ndarray, pixel: tuple[int, int]) -> None:
    """Draw ``image`` (RGB uint8 [H, W, 3]) into ``axis`` with a cross at ``pixel`` (row, column)."""
    row, column = pixel
    axis.imshow(image)
    axis.plot(column, row, marker="+", markersize=16, markeredgewidth=5, color="black")
    axis.plot(column, row, marker="+", markersize=14, markeredgewidth=2, color="white")
    axis.axis("off")
    axis.set_title(f"pixel ({row}, {column})", fontsize=10)


def contact_sheet(
    path: Path,
    rows: list[list[np.ndarray]],
    titles: list[str],
    classes,
    colors,
    captions: Sequence[str] | None = None,
) -> None:
    """Write one row of pictures per sample, with a title per column and a legend of the class colors.

    Args:
        rows: RGB uint8 pictures, the same number in each row.
        classes, colors: names and RGB colors of the classes in the legend; none: no legend.
        captions: written into the first picture of each row.
    """
    height, width = rows[0][0].shape[:2]
    cell = 3.0
    legend = 0.2 * -(-len(classes) // 6) + 0.1 if classes else 0.0
    size = (cell * len(titles), cell * height / width * len(rows) + legend + 0.3)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=size, squeeze=False)
    for row, pictures in zip(axes, rows, strict=True):
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture)
            axis.axis("off")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5}
    for axis, caption in zip(axes[:, 0], captions or (), strict=False):
        axis.text(0.02, 0.97, caption, transform=axis.transAxes, va="top", fontsize=7, bbox=box)
    patches = [Patch(color=_shares(color), label=name) for name, color in zip(classes, colors, strict=True)]
    if patches:
        figure.legend(handles=patches, ncol=min(6, len(patches)), loc="lower center", fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, legend / size[1], 1, 1), pad=0.4)
    save_figure(figure, path)


MOST_WRITTEN = 20  # most classes for which numbers and names are written into the pictures


def draw_matrix(path: Path, values: np.ndarray, names: Sequence[str], title: str, limits: tuple[float, float]) -> None:
    """Draw a square matrix of numbers between classes as a heat map.

    Args:
        values: [N, N].
        names: of the N classes.
        limits: values of the first and the last color; diverging colors where they are symmetric about 0.
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
    """Draw points in the colors of their classes, and the mean of each class.

    Args:
        points: [S, 2]; ids: [S] their classes.
        classes, colors: names and RGB colors of all classes.
        axes: names of the two axes.
    """
    present = np.unique(ids).tolist()
    columns = -(-len(present) // 30)
    figure, axis = plt.subplots(figsize=(7 + 1.6 * columns, 6.5), layout="constrained")
    axis.set_facecolor("#f4f4f4")
    order = np.random.default_rng(0).permutation(len(ids))  # no class lies over all the others
    x, y = points[order].T
    axis.scatter(x, y, c=np.array(colors)[ids[order]] / 255, s=10, alpha=0.6, linewidths=0)
    outline = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    for index in present:
        x, y = points[ids == index].mean(0)
        axis.scatter(
            x, y, color=_shares(colors[index]), s=70, edgecolors="black", linewidths=1.2, label=classes[index], zorder=3
        )
        if len(present) <= MOST_WRITTEN:
            axis.annotate(
                classes[index], (x, y), (6, 5), textcoords="offset points", fontsize=8, path_effects=outline, zorder=4
            )  # fmt: skip
    axis.set(xlabel=axes[0], ylabel=axes[1])
    axis.set_title(title, fontsize=11)
    axis.grid(alpha=0.4)
    figure.legend(loc="outside right upper", ncol=columns, fontsize=7 if columns > 1 else 8, frameon=False)
    save_figure(figure, path)


def _shares(color: Sequence[int]) -> tuple[float, float, float]:
    """RGB of 0..255 -> of 0..1, as Matplotlib has them."""
    red, green, blue = color
    return red / 255, green / 255, blue / 255
