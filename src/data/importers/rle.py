"""Run-length masks of COCO and Datumaro, compressed or as lists of runs.

pycocotools decodes them: it is the format's own library, small, and needs NumPy only.
"""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from src.data.importers.raster import Box, Window
from src.data.importers.reading import take
from src.errors import UserError


class Rle:
    """A mask of a whole image; runs go down the columns.

    Raises:
        UserError: the runs are damaged or do not fill the size.
    """

    def __init__(self, values: dict, where: str):
        height, width = self.size = _size(take(values, "size", list, where), where)
        counts = take(values, "counts", (list, str), where)
        if isinstance(counts, str):
            self.counts = counts.encode("ascii", "replace")
        else:
            runs = _runs(counts, where)
            if runs.sum() != height * width:
                raise UserError(
                    f"{where}: the runs cover {runs.sum()} pixels, size {height}x{width} has {height * width}"
                )
            self.counts = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)["counts"]
        self.where = where

    @property
    def area(self) -> float:
        return float(coco_mask.area({"size": list(self.size), "counts": self.counts}))

    @property
    def box(self) -> Box:
        return 0, 0, self.size[1], self.size[0]

    def draw(self, size: tuple[int, int]) -> tuple[Window, np.ndarray]:
        height, width = size
        if self.size != size:
            stated = f"{self.size[0]}x{self.size[1]}"
            raise UserError(
                f"{self.where}: run-length mask of {stated}, the image is {height}x{width} (height x width)"
            )
        mask = self._decode(height, width)
        if height * width > 1 and self._fits(height * width - 1):
            raise UserError(f"{self.where}: the run-length mask ends too early; it is damaged")
        return (slice(0, height), slice(0, width)), mask.astype(bool)

    def _decode(self, height: int, width: int) -> np.ndarray:
        try:
            return coco_mask.decode({"size": [height, width], "counts": self.counts})
        except ValueError:
            raise UserError(f"{self.where}: the run-length mask is damaged") from None

    def _fits(self, pixels: int) -> bool:
        """Whether the runs fit into fewer pixels: pycocotools refuses runs that are too long, not too short ones."""
        try:
            coco_mask.decode({"size": [pixels, 1], "counts": self.counts})
        except ValueError:
            return False
        return True


def _size(values: list, where: str) -> tuple[int, int]:
    if len(values) != 2 or not all(isinstance(v, int) and 0 < v < 1 << 16 for v in values):
        raise UserError(f"{where}: size: expected [height, width] of a run-length mask, found {values!r}")
    return values[0], values[1]


def _runs(values: list, where: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    if not all(isinstance(v, int) and 0 <= v < 1 << 32 for v in values):
        raise UserError(f"{where}: counts: expected lengths of runs, which are not negative")
    return np.array(values, np.int64)
