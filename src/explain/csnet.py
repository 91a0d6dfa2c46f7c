"""Picture of the inside of C-S Net: which pixels have the same C-S features as a chosen one.

The array is the one that ``CSNet.explain`` returns for one image, under the name in its ``EXPLAINS``.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from src.explain.subject import Subject
from src.report.charts import mark_pixel, save_figure

PICTURES = ("similarity",)


def draw(arrays: dict[str, np.ndarray], subject: Subject) -> list[Path]:
    """Write ``STEM_similarity.png`` and return its path.

    Args:
        arrays: ``consistent``, the C-S features [1, D, h, w].
        subject: all positions are compared with the one that holds its pixel.
    """
    path, image = subject.path("similarity"), subject.image
    features = arrays["consistent"][0]
    similarity = similarity_to(features, subject.place(*features.shape[1:]))
    size = (11.5, 5.2 * image.shape[0] / image.shape[1] + 0.4)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, layout="constrained")
    mark_pixel(left, image, subject.pixel)
    extent = (0, image.shape[1], image.shape[0], 0)  # drawn as large as the image
    drawn = right.imshow(similarity, cmap="RdBu_r", vmin=-1, vmax=1, extent=extent)
    right.axis("off")
    right.set_title("cosine similarity of the C-S features to that pixel's", fontsize=10)
    figure.colorbar(drawn, ax=(left, right), fraction=0.03)
    save_figure(figure, path)
    return [path]


def similarity_to(features: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Cosine similarity of every position of ``features`` [D, h, w] to the position ``place``: [h, w] in -1..1."""
    unit = features / np.maximum(np.linalg.norm(features, axis=0), 1e-12)
    return np.einsum("dhw,d->hw", unit, unit[:, place[0], place[1]])
