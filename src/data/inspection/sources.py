"""The samples of a split as they are, from the raw folder or from records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.catalog import SHAPES, load_dataset_info
from src.data.decoding import decode_image
from src.data.folders import list_samples, with_label_map
from src.data.image_file import read_image
from src.data.info import IGNORE, DatasetInfo
from src.data.label_check import LARGEST_VALUE, check_size, read_label
from src.data.pipeline import EvalPipeline
from src.data.records import read_metadata
from src.data.shapes import scene
from src.errors import UserError
from src.schema.data import DataConfig, NormalizeConfig


@dataclass(frozen=True)
class RawSample:
    """One sample, its label not yet mapped."""

    name: str
    image: np.ndarray  # RGB uint8 [H, W, 3]
    values: np.ndarray  # raw label values, or train ids if it comes from records; [H, W]
    notes: tuple[str, ...] = ()  # what reading did to the image

    def counted(self) -> dict[int, int]:
        """Raw values and their pixels."""
        if self.values.min() < 0 or self.values.max() > LARGEST_VALUE:  # no values of classes; any sort will do
            values, counts = np.unique(self.values, return_counts=True)
            return dict(zip(values.tolist(), counts.tolist(), strict=True))
        pixels = np.bincount(self.values.ravel())
        return {int(value): int(pixels[value]) for value in pixels.nonzero()[0]}

    def mapped(self, info: DatasetInfo) -> np.ndarray:
        """Train ids uint8 [H, W]; values outside the label map count as ignored."""
        table = np.full(LARGEST_VALUE + 2, IGNORE, np.uint8)
        for value, train_id in info.label_map.items():
            table[value] = train_id
        return table[self.values.clip(-1, LARGEST_VALUE + 1)] if self.values.itemsize > 2 else table[self.values]


class RawFolder:
    """Splits of the raw folder ``data.root``; nothing is written."""

    def __init__(self, data: DataConfig, splits: list[str]):
        info = load_dataset_info(data.name, data.root, data.classes, data.label_form)
        self.info = with_label_map(info, data.root, splits[0])
        self.described = f"raw folder {data.root}"
        self.found = {split: list_samples(self.info, data.root, split) for split in splits}

    def count(self, split: str) -> int:
        """Number of samples of a split."""
        return len(self.found[split])

    def labels(self, split: str) -> bool:
        """Whether a split has labels."""
        return any(sample.label for sample in self.found[split])

    def samples(self, split: str, positions: Iterable[int] | None = None) -> Iterator[RawSample | str]:
        """Yield the samples (at ``positions``), and a message in place of one that is not usable."""
        found = self.found[split]
        for sample in found if positions is None else [found[position] for position in positions]:
            try:
                file = read_image(sample.image)
                if sample.label is None:
                    values = np.full(file.size, IGNORE, np.uint8)
                else:
                    values = read_label(sample.label)
                    check_size(sample.label, values.shape, file)
                image = decode_image(np.frombuffer(file.data, np.uint8))
                yield RawSample(sample.name, image, values, file.notes)
            except UserError as error:
                yield str(error)


class Records:
    """Splits of the records ``data.records``."""

    def __init__(self, data: DataConfig, splits: list[str]):
        metadata = read_metadata(data.records)
        self.facts = {split: metadata.split(split) for split in splits}
        ids = {train_id: train_id for train_id in [*range(len(metadata.classes)), IGNORE]}
        colors = tuple((red, green, blue) for red, green, blue in metadata.colors)
        self.info = DatasetInfo(metadata.name, tuple(metadata.classes), colors, ids)
        self.described = f"records {data.records} (labels already mapped; for raw values set data.root)"
        plain = {"mean": [0.0] * 3, "std": [1.0] * 3, "eval_transforms": [NormalizeConfig(name="normalize")]}
        self.data = data.model_copy(update=plain)

    def count(self, split: str) -> int:
        """Number of samples of a split."""
        return self.facts[split].count

    def labels(self, split: str) -> bool:
        """Whether a split has labels."""
        return self.facts[split].labels

    def samples(self, split: str, positions: Iterable[int] | None = None) -> Iterator[RawSample | str]:
        """Yield the samples (at ``positions``)."""
        pipeline = EvalPipeline(self.data.records, split, self.data)
        pipeline.indices = pipeline.indices if positions is None else list(positions)
        for image, label, name in pipeline:
            yield RawSample(name, image[0].transpose(1, 2, 0).astype(np.uint8), label.astype(np.uint8))


class Scenes:
    """Splits of the synthetic scenes, drawn as they are needed."""

    described = "generated scenes"

    def __init__(self, data: DataConfig, splits: list[str]):
        self.info, self.settings = SHAPES, data.shapes
        self.counts = {"train": data.shapes.train, "val": data.shapes.val}
        if unknown := set(splits) - set(self.counts):
            raise UserError(f"the synthetic set has the splits train and val, not '{unknown.pop()}'")

    def count(self, split: str) -> int:
        """Number of samples of a split."""
        return self.counts[split]

    def labels(self, split: str) -> bool:
        """Whether a split has labels: each has."""
        return split in self.counts

    def samples(self, split: str, positions: Iterable[int] | None = None) -> Iterator[RawSample]:
        """Yield the samples (at ``positions``)."""
        for index in range(self.counts[split]) if positions is None else positions:
            yield RawSample(f"{index:05d}", *scene(self.settings.seed, split, index, self.settings.size))


Source = RawFolder | Records | Scenes


def open_source(data: DataConfig, splits: list[str]) -> Source:
    """The raw folder if the config names one, else the records, or of the synthetic set the scenes.

    Raises:
        UserError: a folder, split or file is missing.
    """
    if data.root is None and not Path(data.records).is_dir():
        if data.name == "shapes":
            return Scenes(data, splits)
        raise UserError(f"data.root is not given, and data.records {data.records} does not exist: nothing to inspect")
    return RawFolder(data, splits) if data.root is not None else Records(data, splits)
