"""Pictures of the inside of CPT: masks of the categories, attention over their prototypes, similarity of the memory.

The arrays are those that ``CPT.explain`` returns for one image, under the names in its ``EXPLAINS``.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from src.explain.masks import draw_masks
from src.explain.subject import Subject
from src.report.charts import draw_matrix, mark_pixel, save_figure

BARS = 20  # most categories in a bar chart: those with the highest attention
LEVELS = (2, 1, 0)  # of the blocks, in the order in which they run
PICTURES = ("masks", *(f"{kind}_{level}" for level in LEVELS for kind in ("attention", "memory")))  # at most


def draw(arrays: dict[str, np.ndarray], subject: Subject) -> list[Path]:
    """Write ``STEM_masks.png``, and per block with prototypes ``STEM_attention_I.png`` and ``STEM_memory_I.png``.

    Args:
        arrays: of the block that makes level I: raw masks ``mask_I`` [1, K, h, w] on the map of level I + 1,
            ``attention_I`` [1, H, W, K], ``memory_I`` [K, D]; the last two may be missing.
        subject: the attention is that of its pixel.

    Returns:
        The files.
    """
    written = [subject.path("masks")]
    masks = {level + 1: arrays[f"mask_{level}"][0] for level in LEVELS}
    draw_masks(written[0], masks, subject, "sum (mask, dice loss)")
    for level in LEVELS:
        for kind, draw_one in (("attention", _draw_attention), ("memory", _draw_memory)):
            name = f"{kind}_{level}"
            if name in arrays:
                written.append(subject.path(name))
                draw_one(written[-1], arrays[name], subject)
    return written


def _draw_attention(path: Path, attention: np.ndarray, subject: Subject) -> None:
    """Image with the pixel marked, and a bar per category for the pixel's attention, of [1, H, W, K]."""
    weights = attention[0][subject.place(*attention.shape[1:3])]
    order = np.argsort(-weights)[:BARS]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    mark_pixel(left, subject.image, subject.pixel)
    bars = [np.array(subject.colors[k]) / 255 for k in order]
    right.barh(range(len(order)), weights[order], color=bars, edgecolor="0.4", linewidth=0.5)
    right.set_yticks(range(len(order)), [subject.classes[k] for k in order], fontsize=8)
    right.invert_yaxis()
    right.set_xlim(0, 1)
    right.set_xlabel("attention, mean of the heads")
    right.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    save_figure(figure, path)


def _draw_memory(path: Path, memory: np.ndarray, subject: Subject) -> None:
    title = "cosine similarity of the prototypes in the memory"
    draw_matrix(path, prototype_similarity(memory), list(subject.classes), title, (-1.0, 1.0))


def prototype_similarity(memory: np.ndarray) -> np.ndarray:
    """Cosine similarities [K, K], in -1..1, of the memory's prototypes [K, D]."""
    directions = memory / np.maximum(np.linalg.norm(memory, axis=1, keepdims=True), 1e-12)
    return directions @ directions.T
