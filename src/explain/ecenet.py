"""Pictures of the inside of ECENet: the masks of the classes at every level, and where the diverse channels peak.

The arrays are those that ``ECENet.explain`` returns for one image, under the names in its ``EXPLAINS``.
"""

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from src.explain.subject import Subject
from src.report.charts import save_figure

ROWS = 8  # most classes shown: those whose masks are highest at the most pixels
LEVELS = (3, 2, 1, 0)  # from the first mask to the last


def draw(arrays: dict[str, np.ndarray], subject: Subject) -> list[Path]:
    """Write ``STEM_masks.png`` and, with feature reconstruction, ``STEM_diversity.png``; return their paths.

    Args:
        arrays: ``mask_I`` raw masks [1, K, h, w], ``diversity_I`` [1, h, w] of level I.
        subject: its pixel is not used here.
    """
    masks = {level: arrays[f"mask_{level}"][0] for level in LEVELS}
    written = [subject.path("masks")]
    _draw_masks(written[0], masks, subject)
    if "diversity_0" in arrays:
        written.append(subject.path("diversity"))
        _draw_diversity(written[1], {level: arrays[f"diversity_{level}"][0] for level in LEVELS}, subject.image)
    return written


def largest_classes(masks: dict[int, np.ndarray], count: int) -> list[int]:
    """Classes whose summed masks win at the most pixels, at most ``count``, by number of pixels."""
    size = masks[0].shape[1:]
    total = sum(np.stack([cv2.resize(one, size[::-1]) for one in mask]) for mask in masks.values())
    pixels = np.bincount(total.argmax(0).ravel(), minlength=len(total))
    order = np.argsort(-pixels, kind="stable")[:count]
    return [int(index) for index in order if pixels[index]]


def _draw_masks(path: Path, masks: dict[int, np.ndarray], subject: Subject) -> None:
    """A row per class: sigmoid of the mask at each level, and of the sum of all, over the image."""
    image = subject.image
    chosen = largest_classes(masks, ROWS)
    size = image.shape[1::-1]
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    figure, axes = plt.subplots(
        len(chosen), 6, figsize=(13, 2.2 * len(chosen) * size[1] / size[0] + 0.5), squeeze=False
    )
    for row, index in zip(axes, chosen, strict=True):
        row[0].imshow(image)
        color = np.array(subject.colors[index]) / 255 * 0.8
        row[0].set_ylabel(subject.classes[index], color=color, fontsize=11, fontweight="bold")
        resized = [cv2.resize(masks[level][index], size) for level in LEVELS]
        for axis, mask in zip(row[1:], [*resized, sum(resized)], strict=True):
            axis.imshow(gray, cmap="gray", alpha=0.5)
            axis.imshow(0.5 + 0.5 * np.tanh(mask / 2), cmap="magma", vmin=0, vmax=1, alpha=0.75)
    titles = ["image", *[f"M{level}, stride {4 * 2**level}" for level in LEVELS], "sum (class branch)"]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(pad=0.4)
    save_figure(figure, path)


def _draw_diversity(path: Path, maps: dict[int, np.ndarray], image: np.ndarray) -> None:
    """The largest share of any channel per position, on a logarithmic scale: 1 / positions is an even spread."""
    figure, axes = plt.subplots(1, 5, figsize=(14, 2.6 * image.shape[0] / image.shape[1] + 0.7))
    axes[0].imshow(image)
    axes[0].set_title("image", fontsize=10)
    for axis, (level, shares) in zip(axes[1:], maps.items(), strict=True):
        extent = (0, image.shape[1], image.shape[0], 0)  # drawn as large as the image
        drawn = axis.imshow(np.log10(shares * shares.size), cmap="viridis", extent=extent)
        axis.set_title(f"E{level}, stride {4 * 2**level}", fontsize=10)
        figure.colorbar(drawn, ax=axis, fraction=0.05, label="log10 of share / even share" if level == 0 else None)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(pad=0.4)
    save_figure(figure, path)
