"""Batches from MindRecord: sharded, reshuffled each epoch, reproducible, positioned at any step.

The order of an epoch is a permutation drawn from (seed, epoch), and the augmentation of a sample is drawn from
(seed, epoch, sample). Neither depends on the number of threads or workers, and a resumed run continues exactly where it
stopped, without decoding what came before.
"""

import os
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path

import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor

from src.data.decoding import decode_image, decode_label
from src.data.records import again, read_metadata
from src.data.share import check_share
from src.data.transforms import build_transforms
from src.errors import UserError
from src.schema.data import DataConfig

_Decoded = tuple[np.ndarray, np.ndarray]  # image and label of one sample


class _Samples:
    """Decoding and transforming inside the pipeline's threads; keeps the first error in plain words."""

    def __init__(self, records: str, transforms, crop: Sequence[int] | None = None):
        self.records, self.transforms, self.crop = records, transforms, crop
        self.error: UserError | None = None

    def read(self, image: np.ndarray, label: np.ndarray, name: np.ndarray, seed: tuple[int, ...]) -> _Decoded:
        """Columns of one record and the seed of its augmentation -> image fp32 [3, H, W], label int32 [H, W]."""
        try:
            pixels = decode_image(np.frombuffer(image.tobytes(), np.uint8))
            ids = decode_label(np.frombuffer(label.tobytes(), np.uint8))
            pixels, ids = self.change(pixels, ids, np.random.default_rng(seed))
            return pixels, ids.astype(np.int32)
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self.error = self.error or UserError(f"{self.records}: sample {name}: {reason}")
            raise

    def change(self, image: np.ndarray, label: np.ndarray, random: np.random.Generator) -> _Decoded:
        """Transform a decoded image and its label."""
        raise NotImplementedError

    def explain(self, error: Exception) -> UserError:
        """Return the error behind the one that MindSpore raised."""
        if self.error:
            return self.error
        reason = next((line.strip() for line in str(error).splitlines() if "ERROR" in line), str(error).splitlines()[0])
        return UserError(f"{self.records}: the records cannot be read ({reason}){again(self.records)}")


class _TrainSamples(_Samples):
    """Image and label are transformed together."""

    def __init__(self, records: str, transforms, crop: Sequence[int], seed: int):
        super().__init__(records, transforms, crop)
        self.seed = seed

    def __call__(
        self, image: np.ndarray, label: np.ndarray, name: np.ndarray, epoch: np.ndarray, index: np.ndarray
    ) -> _Decoded:
        return self.read(image, label, name, (self.seed, int(epoch), int(index)))

    def change(self, image: np.ndarray, label: np.ndarray, random: np.random.Generator) -> _Decoded:
        original = label.shape
        image, label = self.transforms(image, label, random)
        if self.crop and np.less(label.shape, self.crop).any():
            raise UserError(
                f"{original[0]}x{original[1]} becomes {label.shape[0]}x{label.shape[1]}, smaller than data.crop "
                f"{self.crop[0]}x{self.crop[1]}; add pad before normalize in data.train_transforms, or lower data.crop"
            )
        return image, label


class TrainPipeline:
    """Endless training batches.

    Args:
        records: folder of the MindRecord files.
        split: the split to read.
        data: transforms, crop size, number of threads.
        batch_size: images per batch over all workers.
        seed: of order and augmentation.
        rank, world_size: index and number of workers; worker r takes rows r * B/W to (r + 1) * B/W of a batch.

    Raises:
        UserError: the split has no labels, the batch is larger than the data set or cannot be divided, or samples
            differ in size.
    """

    def __init__(self, records, split: str, data: DataConfig, batch_size: int, seed: int, rank=0, world_size=1):
        self.records, self.split, self.data = str(records), split, data
        facts = read_metadata(records).split(split)
        self.count = facts.count
        if not facts.labels:
            raise UserError(f"data.train_split: the split '{split}' has no labels; it serves for predictions only")
        if batch_size > self.count:
            raise UserError(
                f"train.batch_size: a batch of {batch_size} is larger than the split '{split}' with its {self.count} "
                "images; lower it"
            )
        check_share(batch_size, world_size)
        self.batch_size, self.seed = batch_size, seed
        self.local = slice(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)
        self.steps_per_epoch = self.count // batch_size
        self.transforms = build_transforms(data.train_transforms, data, "train_transforms", facts.class_share)

    def batches(self, start_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (image fp32 [B, 3, H, W], label int32 [B, H, W]) without end, from batch ``start_step`` on."""
        epoch, first = divmod(start_step, self.steps_per_epoch)
        current = self._open(epoch, first)
        while True:
            for batch in range(first, self.steps_per_epoch):
                if batch == self.steps_per_epoch - 1:
                    following = self._open(epoch + 1)  # it fills its queue while the last batch is in use
                yield tuple(_next(*current))
            current, epoch, first = following, epoch + 1, 0

    def order(self, epoch: int) -> np.ndarray:
        """This worker's records of an epoch, int [steps_per_epoch, local batch]; the incomplete batch is left out."""
        shuffled = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        return shuffled[: self.steps_per_epoch * self.batch_size].reshape(-1, self.batch_size)[:, self.local]

    def _open(self, epoch: int, first: int = 0) -> tuple[Iterator, _Samples]:
        """Start reading an epoch at batch ``first``. MindSpore takes at most one index per record at a time."""
        indices = self.order(epoch)[first:].ravel()
        samples = _TrainSamples(self.records, self.transforms, self.data.crop, self.seed)
        threads = _threads(self.data.workers)
        numbers = {"epoch": np.full(len(indices), epoch), "index": indices}
        numbers = ds.NumpySlicesDataset(numbers, shuffle=False, num_parallel_workers=1)
        columns = ["image", "label", "name", "epoch", "index"]
        try:
            records = _dataset(self.records, self.split, threads, ds.SubsetSampler(indices.tolist()))
            pipeline = ds.zip((records, numbers)).map(samples, columns, columns[:2], num_parallel_workers=threads)
            pipeline = pipeline.batch(self.local.stop - self.local.start)
            return pipeline.create_tuple_iterator(num_epochs=1, do_copy=False), samples
        except (RuntimeError, ValueError) as error:  # ValueError: a file is missing
            raise samples.explain(error) from None


class EvalPipeline:
    """Every image of a split once, in the order of the records, with its label at the original size."""

    def __init__(self, records, split: str, data: DataConfig, rank: int = 0, world_size: int = 1):
        self.records, self.split, self.data = str(records), split, data
        self.indices = list(range(rank, read_metadata(records).split(split).count, world_size))
        self.transforms = build_transforms(data.eval_transforms, data, "eval_transforms")

    def only(self, indices: Sequence[int]) -> "EvalPipeline":
        """The same pipeline for these images of the split, in this order."""
        other = copy(self)
        other.indices = list(indices)
        return other

    def sizes(self) -> list[tuple[int, int]]:
        """Sizes (h, w) of the transformed images, without decoding them."""
        if not self.indices:
            return []
        files = _dataset(self.records, self.split, 1, ds.SubsetSampler(self.indices), ["height", "width"])
        rows = files.create_tuple_iterator(num_epochs=1, output_numpy=True)
        originals = [(int(height), int(width)) for height, width in rows]
        after = {size: self._transformed(*size) for size in set(originals)}
        return [after[size] for size in originals]

    def _transformed(self, height: int, width: int) -> tuple[int, int]:
        blank = np.zeros((height, width, 3), np.uint8)
        image, _ = self.transforms(blank, None, np.random.default_rng(0))
        return image.shape[1], image.shape[2]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        """Yield (image fp32 [1, 3, h, w], label int32 [H, W], name)."""
        if not self.indices:  # more workers than images
            return
        samples = _EvalSamples(self.records, self.transforms)
        threads = _threads(self.data.workers)
        columns = ["image", "label", "name"]
        try:
            pipeline = _dataset(self.records, self.split, threads, ds.SubsetSampler(self.indices))
            pipeline = pipeline.map(samples, columns, columns, num_parallel_workers=threads)
            rows = pipeline.create_tuple_iterator(num_epochs=1, output_numpy=True)
        except (RuntimeError, ValueError) as error:  # ValueError: a file is missing
            raise samples.explain(error) from None
        for _ in self.indices:
            image, label, name = _next(rows, samples)
            yield image[None], label, str(name)


class _EvalSamples(_Samples):
    """As `_Samples`, but only the image is transformed."""

    def __call__(
        self, image: np.ndarray, label: np.ndarray, name: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return (*self.read(image, label, name, (0, 0, 0)), name)

    def change(self, image: np.ndarray, label: np.ndarray, random: np.random.Generator) -> _Decoded:
        return self.transforms(image, None, random)[0], label


def _next(rows: Iterator, samples: _Samples) -> list:
    """The next row, or the error behind MindSpore's; some damage only ends an epoch early."""
    try:
        return next(rows)
    except StopIteration:
        raise UserError(f"{samples.records}: fewer records than metadata.json says{again(samples.records)}") from None
    except RuntimeError as error:
        if "shape" in str(error) and samples.crop and not samples.error:
            raise differ_in_size(samples.crop) from None
        raise samples.explain(error) from None


def differ_in_size(crop: Sequence[int]) -> UserError:
    """The error of samples that cannot be batched."""
    return UserError(
        "data.train_transforms: the samples differ in size and cannot be batched; add random_crop and "
        f"pad (data.crop is {list(crop)}), or resize"
    )


def _threads(wanted: int) -> int:
    """MindSpore refuses more threads than there are cores."""
    return min(wanted, os.cpu_count() or 1)


def _dataset(records: str, split: str, threads: int, sampler, columns=("image", "label", "name")) -> ds.MindDataset:
    files = sorted(str(p) for p in Path(records).glob(f"{split}.mindrecord*") if p.suffix != ".db")
    return ds.MindDataset(files, columns_list=list(columns), sampler=sampler, num_parallel_workers=threads)
