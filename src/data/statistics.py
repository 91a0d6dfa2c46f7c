"""Counts over the samples of a split or of a part of it, while they are written."""

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

    def count(
        self, pixels: np.ndarray, size: tuple[int, int], ignored: Mapping[int, int], notes: Iterable[str]
    ) -> None:
        """Count one sample.

        Args:
            pixels: number of pixels of each train id, int64 [256].
            size: height, width.
            ignored: raw value without a class -> its pixels.
            notes: what was done to the image.
        """
        self.pixels += pixels
        self.images += pixels > 0
        self.unlabeled += not pixels[:IGNORE].any()
        self.ignored.update(ignored)
        self.sizes[size] += 1
        self.notes.update(notes)

    def add(self, other: "SplitCounter") -> None:
        """Add what another part of the split holds."""
        self.pixels += other.pixels
        self.images += other.images
        self.unlabeled += other.unlabeled
        self.ignored.update(other.ignored)
        self.sizes.update(other.sizes)
        self.notes.update(other.notes)

    def to_json(self) -> dict:
        """The counts as values of JSON, for `from_json`."""
        return {
            "pixels": self.pixels.tolist(),
            "images": self.images.tolist(),
            "unlabeled": self.unlabeled,
            "ignored": sorted(self.ignored.items()),
            "sizes": [[*size, count] for size, count in sorted(self.sizes.items())],
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, classes: int, values: dict) -> "SplitCounter":
        """The counter of which `to_json` was kept.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: the values are not of that form.
        """
        counter = cls(classes)
        counter.pixels += np.array(values["pixels"], np.int64)
        counter.images += np.array(values["images"], np.int64)
        counter.unlabeled = int(values["unlabeled"])
        counter.ignored = Counter(dict(values["ignored"]))
        counter.sizes = Counter({(height, width): count for height, width, count in values["sizes"]})
        counter.notes = Counter(values["notes"])
        return counter

    def facts(self, labels: bool = True) -> Split:
        """What has been counted; ``labels``: whether the split has labels."""
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
            labels=labels,
        )
