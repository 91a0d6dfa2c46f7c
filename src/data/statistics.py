"""Counts over the samples of a split, while they are written."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from src.data.info import IGNORE
from src.data.records import Split


class SplitCounter:
    """Collects the facts about a split, sample by sample."""

    def __init__(self, classes: int):
        self.classes = classes
        self.pixels = np.zeros(256, np.int64)
        self.images = np.zeros(256, np.int64)  # with at least one pixel of the value
        self.ignored: Counter[int] = Counter()
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.notes: Counter[str] = Counter()
        self.unlabeled = 0

    def add(self, label: np.ndarray, ignored: Mapping[int, int], notes: Iterable[str]) -> None:
        """Count one sample: train ids uint8 [H, W], pixels by ignored raw value, and notes about its image."""
        pixels = np.bincount(label.ravel(), minlength=256)
        self.pixels += pixels
        self.images += pixels > 0
        self.unlabeled += not pixels[: self.classes].any()
        self.ignored.update(ignored)
        self.sizes[label.shape[0], label.shape[1]] += 1
        self.notes.update(notes)

    def facts(self) -> Split:
        """What has been counted."""
        total, labeled = int(self.pixels.sum()), max(int(self.pixels[:IGNORE].sum()), 1)
        in_order = sorted(self.sizes.elements(), key=lambda size: (size[0] * size[1], size))
        return Split(
            count=len(in_order),
            size=list(in_order[0]) if len(self.sizes) == 1 else None,
            class_share=(self.pixels[: self.classes] / labeled).round(8).tolist(),
            ignored_share=round(float(self.pixels[IGNORE] / total), 8),
            class_images=self.images[: self.classes].tolist(),
            unlabeled=self.unlabeled,
            ignored_values={str(raw): round(count / total, 8) for raw, count in sorted(self.ignored.items())},
            sizes={
                "smallest": list(in_order[0]),
                "median": list(in_order[len(in_order) // 2]),
                "largest": list(in_order[-1]),
            },
            notes=dict(sorted(self.notes.items())),
        )
