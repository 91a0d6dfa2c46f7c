"""One picture of a data set: how much of each class is in the splits, and how large the images are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from src.report.charts import save_figure

Sizes = Mapping[tuple[int, int], int]  # (height, width) -> images


def draw_overview(
    path: Path,
    classes: Sequence[str],
    shares: Mapping[str, Sequence[float]],
    sizes: Mapping[str, Sizes],
    crop: Sequence[int],
) -> None:
    """Draw class shares and image sizes.

    Args:
        shares: split -> share of each class in its labeled pixels, in 0..1.
        sizes: split -> its image sizes.
        crop: (height, width) of a training sample, drawn into the sizes.
    """
    height = float(np.clip(0.28 * len(classes) + 1.5, 4, 40))
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, height), layout="constrained")
    thickness = 0.8 / len(shares)
    for number, (split, values) in enumerate(shares.items()):
        rows = np.arange(len(classes)) + (number - (len(shares) - 1) / 2) * thickness
        bars = left.barh(rows, 100 * np.array(values), thickness, label=split)
        if len(classes) <= 40:
            left.bar_label(bars, [f"{100 * v:.3g}" if v else "none" for v in values], fontsize=7, padding=2)
    left.set_yticks(range(len(classes)), classes, fontsize=8 if len(classes) <= 60 else 5)
    left.invert_yaxis()
    left.set_xscale("symlog", linthresh=0.1)
    left.set_xlim(0, 300)
    left.set_xlabel("share of the labeled pixels, %")
    left.legend(loc="lower right")
    for split, found in sizes.items():
        heights, widths = np.array(list(found)).T
        counts = np.array(list(found.values()))
        right.scatter(widths, heights, s=20 + 200 * counts / counts.max(), alpha=0.5, label=split)
    right.add_patch(Rectangle((0, 0), crop[1], crop[0], fill=False, linestyle="--", label="crop"))
    sides = np.array([size for found in sizes.values() for size in found] + [tuple(crop)])
    right.set(xlim=(0, 1.1 * sides[:, 1].max()), ylim=(0, 1.1 * sides[:, 0].max()))
    right.set(xlabel="width, pixels", ylabel="height, pixels", title="image sizes (area: how many)")
    right.legend(loc="lower right")
    save_figure(figure, path)
