"""Picture of a decoder's masks: a row per class, a column per level, and their sum."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from src.explain.subject import Subject
from src.report.charts import save_figure

ROWS = 8  # most classes shown: those whose masks are highest at the most pixels


def largest_classes(masks: Iterable[np.ndarray], size: tuple[int, int], count: int = ROWS) -> list[int]:
    """Classes whose summed masks win at the most pixels, at most ``count``, by number of pixels.

    Args:
        masks: of the levels, each [K, h, w].
        size: (height, width) at which they are summed.
    """
    total = sum(np.stack([cv2.resize(one, size[::-1]) for one in mask]) for mask in masks)
    pixels = np.bincount(total.argmax(0).ravel(), minlength=len(total))
    order = np.argsort(-pixels, kind="stable")[:count]
    return [int(index) for index in order if pixels[index]]


def draw_masks(path: Path, masks: Mapping[int, np.ndarray], subject: Subject, total: str) -> None:
    """A row per class: sigmoid of the mask at each level, and of the sum of all, over the image.

    Args:
        masks: raw masks [K, h, w] by the level of their map, from the first to the last.
        total: title of the sum.
    """
    image = subject.image
    _, height, width = max((mask.shape for mask in masks.values()), key=lambda shape: shape[1])
    chosen = largest_classes(masks.values(), (height, width))
    size = image.shape[1::-1]
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    columns = len(masks) + 2
    figure, axes = plt.subplots(
        len(chosen),
        columns,
        figsize=(2.2 * columns, 2.2 * len(chosen) * size[1] / size[0] + 0.5),
        squeeze=False,
    )
    for row, index in zip(axes, chosen, strict=True):
        row[0].imshow(image)
        color = np.array(subject.colors[index]) / 255 * 0.8
        row[0].set_ylabel(subject.classes[index], color=color, fontsize=11, fontweight="bold")
        resized = [cv2.resize(mask[index], size) for mask in masks.values()]
        for axis, mask in zip(row[1:], [*resized, sum(resized)], strict=True):
            axis.imshow(gray, cmap="gray", alpha=0.5)
            axis.imshow(0.5 + 0.5 * np.tanh(mask / 2), cmap="magma", vmin=0, vmax=1, alpha=0.75)
    titles = ["image", *[f"M{level}, stride {4 * 2**level}" for level in masks], total]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(pad=0.4)
    save_figure(figure, path)
