"""Picture of the inside of C-S Net: which pixels have the same C-S features as a chosen one.

The array is the one that ``CSNet.explain`` returns for one image, under the name in its ``EXPLAINS``.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from src.report.charts import mark_pixel, save_figure


def draw(
    arrays: dict[str, np.ndarray],
    image: np.ndarray,
    classes: Sequence[str],
    colors: Sequence[Sequence[int]],
    folder: Path,
    stem: str,
    pixel: tuple[int, int],
) -> list[Path]:
    """Write ``STEM_similarity.png`` and return its path.

    Args:
        arrays: ``consistent``, the C-S features [1, D, h, w].
        image: RGB uint8 [H, W, 3].
        classes, colors: not used here; the features know no classes.
        pixel: (row, column) in the image whose features all others are compared with.
    """
    path = folder / f"{stem}_similarity.png"
    similarity = similarity_to(arrays["consistent"][0], pixel, image.shape[:2])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.5 * image.shape[0] / image.shape[1] + 0.5))
    mark_pixel(left, image, pixel)
    extent = (0, image.shape[1], image.shape[0], 0)  # drawn as large as the image
    drawn = right.imshow(similarity, cmap="RdBu_r", vmin=-1, vmax=1, extent=extent)
    right.axis("off")
    right.set_title("cosine similarity of the C-S features to that pixel's", fontsize=10)
    figure.colorbar(drawn, ax=right, fraction=0.05)
    figure.tight_layout()
    save_figure(figure, path)
    return [path]


def similarity_to(features: np.ndarray, pixel: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Cosine similarity of every position of ``features`` [D, h, w] to the one that holds ``pixel``: [h, w] in -1..1.

    Args:
        pixel: (row, column) in an image of ``size`` (H, W).
    """
    height, width = features.shape[1:]
    unit = features / np.maximum(np.linalg.norm(features, axis=0), 1e-12)
    return np.einsum("dhw,d->hw", unit, unit[:, pixel[0] * height // size[0], pixel[1] * width // size[1]])
