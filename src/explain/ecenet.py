"""Pictures of the inside of ECENet: the masks of the classes at every level, and where the diverse channels peak.

The arrays are those that ``ECENet.explain`` returns for one image, under the names in its ``EXPLAINS``.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from src.explain.masks import draw_masks
from src.explain.subject import Subject
from src.report.charts import save_figure

LEVELS = (3, 2, 1, 0)  # from the first mask to the last
PICTURES = ("masks", "diversity")  # at most


def draw(arrays: dict[str, np.ndarray], subject: Subject) -> list[Path]:
    """Write ``STEM_masks.png`` and, with feature reconstruction, ``STEM_diversity.png``; return their paths.

    Args:
        arrays: ``mask_I`` raw masks [1, K, h, w], ``diversity_I`` [1, h, w] of level I.
        subject: its pixel is not used here.
    """
    masks = {level: arrays[f"mask_{level}"][0] for level in LEVELS}
    written = [subject.path("masks")]
    draw_masks(written[0], masks, subject, "sum (class branch)")
    if "diversity_0" in arrays:
        written.append(subject.path("diversity"))
        _draw_diversity(written[1], {level: arrays[f"diversity_{level}"][0] for level in LEVELS}, subject.image)
    return written


def _draw_diversity(path: Path, maps: dict[int, np.ndarray], image: np.ndarray) -> None:
    """The largest share of any channel per position, on a logarithmic scale: 1 / positions is an even spread."""
    figure, axes = plt.subplots(1, 5, figsize=(14, 2.6 * image.shape[0] / image.shape[1] + 0.7))
    axes[0].imshow(image)
    axes[0].set_title("image", fontsize=10)
    for axis, (level, shares) in zip(axes[1:], maps.items(), strict=True):
        extent = (0, image.shape[1], image.shape[0], 0)  # drawn as large as the image
        drawn = axis.imshow(peaks(shares), cmap="viridis", extent=extent)
        axis.set_title(f"E{level}, stride {4 * 2**level}", fontsize=10)
        figure.colorbar(drawn, ax=axis, fraction=0.05, label="log10 of share / even share" if level == 0 else None)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(pad=0.4)
    save_figure(figure, path)


def peaks(shares: np.ndarray) -> np.ndarray:
    """log10 of how many times an even share the largest share of any channel is, per position of E_i [h, w]."""
    return np.log10(shares * shares.size)
