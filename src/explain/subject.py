"""What a picture of a decoder's inside is of, and where it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Subject:
    """The image that the decoder's maps were made from, and the files of its pictures."""

    image: np.ndarray  # RGB uint8 [H, W, 3]
    classes: Sequence[str]  # K names
    colors: Sequence[Sequence[int]]  # their RGB colors
    pixel: tuple[int, int]  # (row, column) in the image, of the pictures that show one pixel
    folder: Path
    stem: str  # the files are called STEM_NAME.png

    def path(self, name: str) -> Path:
        """The file of the picture ``name``."""
        return self.folder / f"{self.stem}_{name}.png"

    def place(self, height: int, width: int) -> tuple[int, int]:
        """(row, column) of the pixel in a map of ``height`` x ``width`` positions."""
        return place_in_map(self.pixel, self.image.shape[:2], (height, width))


def place_in_map(pixel: tuple[int, int], size: Sequence[int], positions: Sequence[int]) -> tuple[int, int]:
    """(row, column) in a map of ``positions`` = (h, w) that covers a pixel (row, column) of an image of ``size``."""
    return pixel[0] * positions[0] // size[0], pixel[1] * positions[1] // size[1]
