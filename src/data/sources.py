"""The samples of a split before they become records: files of a data set, or generated scenes."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.data.decoding import encode_png
from src.data.folders import list_samples
from src.data.info import DatasetInfo
from src.data.label_check import check_sample, largest_row, sample_size
from src.data.shapes import scene
from src.errors import UserError
from src.schema.data import ShapesConfig


@dataclass(frozen=True)
class Row:
    """One sample on its way into a record."""

    name: str
    image: bytes  # of the image file
    label: bytes  # PNG of train ids
    size: tuple[int, int]  # height, width
    pixels: np.ndarray  # number of pixels of each train id, int64 [256]
    ignored: dict[int, int] = field(default_factory=dict)  # raw value without a class -> its pixels
    notes: tuple[str, ...] = ()  # what was done to the image

    def columns(self) -> dict[str, Any]:
        """The row as MindRecord takes it."""
        height, width = self.size
        return {"image": self.image, "label": self.label, "name": self.name, "height": height, "width": width}


def _row(name: str, image: bytes, label: np.ndarray, *counted) -> Row:
    """label: train ids, uint8 [H, W]."""
    pixels = np.bincount(label.ravel(), minlength=256)
    return Row(name, image, encode_png(label), (label.shape[0], label.shape[1]), pixels, *counted)


class Files:
    """Images and labels below a root folder."""

    def __init__(self, info: DatasetInfo, root: str | Path | None, split: str):
        self.info = info
        self.samples = list_samples(info, root, split)
        self.labels = any(sample.label for sample in self.samples)
        bar = tqdm(self.samples, desc=f"look at {split}", unit="image", leave=False, disable=None)
        sizes = [sample_size(sample.image) for sample in bar]  # threads would take twice the time for headers
        self.largest = max(sizes)  # bytes that no row exceeds
        self.total = sum(sizes)  # bytes of all rows, at most

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int) -> Row:
        """Check a sample and map its label.

        Raises:
            UserError: it is not usable; the message names the file.
        """
        sample = self.samples[index]
        checked = check_sample(sample.image, sample.label, self.info)
        return _row(sample.name, checked.image.data, checked.label, checked.ignored, checked.image.notes)

    def identity(self, index: int) -> list:
        """What changes when the sample's files do: name, paths, sizes and times of modification."""
        sample = self.samples[index]
        facts: list = [sample.name]
        for path in (sample.image, sample.label):
            if path is not None:
                facts.append(str(path.absolute()))
                with suppress(OSError):  # a link to nothing; `load` says so
                    state = path.stat()
                    facts += [state.st_size, state.st_mtime_ns]
        return facts


class Scenes:
    """Generated scenes of the synthetic set."""

    labels = True

    def __init__(self, shapes: ShapesConfig, split: str):
        count = getattr(shapes, split, None) if split in ("train", "val") else None
        if count is None:
            raise UserError(f"the synthetic set has the splits train and val, not '{split}'")
        self.shapes, self.split, self.count = shapes, split, count
        self.largest = largest_row(3 * shapes.size[0] * shapes.size[1], shapes.size)
        self.total = count * self.largest

    def __len__(self) -> int:
        return self.count

    def load(self, index: int) -> Row:
        """Draw a scene."""
        image, label = scene(self.shapes.seed, self.split, index, self.shapes.size)
        return _row(f"{self.split}_{index:05d}", encode_png(image), label)

    def identity(self, index: int) -> list:
        """What the scene depends on."""
        return [self.split, index, self.shapes.seed, self.shapes.size]


Source = Files | Scenes
