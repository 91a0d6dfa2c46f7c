"""Pictures of the inside of CPT: assignment, attention over the categories, similarity of the remembered prototypes.

The arrays are those that ``CPT.explain`` returns for one image, under the names in its ``EXPLAINS``.
"""

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from src.explain.subject import Subject
from src.report.charts import draw_matrix, mark_pixel, save_figure
from src.report.images import colorize, write_image

BARS = 20  # most categories in a bar chart: those with the highest attention


def draw(arrays: dict[str, np.ndarray], subject: Subject) -> list[Path]:
    """Write one PNG per array that has a picture, ``STEM_NAME.png``, and return their paths.

    An empty memory and ``updates`` have no picture.

    Args:
        arrays: ``assignment_I`` [1, h, w], ``attention_I`` [1, H, W, K], ``memory_I`` [K, D], ``updates_I`` [K] of
            the block at level I; any of them may be missing.
        subject: the attention is that of its pixel.
    """
    written = []
    for name, values in arrays.items():
        kind, _, level = name.rpartition("_")
        path = subject.path(name)
        if kind == "assignment":
            _draw_assignment(path, values[0], subject)
        elif kind == "attention":
            _draw_attention(path, values[0], subject)
        elif kind == "memory" and arrays[f"updates_{level}"].any():
            _draw_memory(path, values, arrays[f"updates_{level}"], subject)
        else:
            continue
        written.append(path)
    return written


def _draw_assignment(path: Path, assignment: np.ndarray, subject: Subject) -> None:
    """Class map [h, w] in the classes' colors, half transparent over the image."""
    drawn = colorize(assignment, subject.colors)
    drawn = cv2.resize(drawn, subject.image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    write_image(path, cv2.addWeighted(subject.image, 0.4, drawn, 0.6, 0))


def _draw_attention(path: Path, attention: np.ndarray, subject: Subject) -> None:
    """Image with the pixel marked, and a bar per category for the pixel's attention, of [H, W, K]."""
    weights = attention[subject.place(*attention.shape[:2])]
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


def _draw_memory(path: Path, memory: np.ndarray, updates: np.ndarray, subject: Subject) -> None:
    """Cosine similarities of the prototypes [K, D] that were ever updated."""
    seen = np.flatnonzero(updates > 0)
    lengths = np.linalg.norm(memory[seen], axis=1, keepdims=True)
    directions = memory[seen] / np.maximum(lengths, 1e-12)
    title = f"cosine similarity of the {len(seen)} of {len(updates)} prototypes in the memory"
    draw_matrix(path, directions @ directions.T, [subject.classes[k] for k in seen], title, (-1.0, 1.0))
