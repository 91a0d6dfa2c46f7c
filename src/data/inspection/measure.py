"""Counts over a split, class weights from them, and near-duplicates between splits."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from src.data.info import IGNORE, DatasetInfo
from src.data.inspection.sources import RawSample
from src.data.records import Split
from src.data.statistics import SplitCounter
from src.errors import UserError, listing

HASH_SIDE = 8  # a hash has 2 * 8 * 8 bits
NEAR = 10  # of the 128 bits; a JPEG saved again or shrunk differs in 0 to 6, unrelated photos in 40 and more
LEAST_CONTRAST = 4  # standard deviation of the gray values in a thumbnail, below which a hash says nothing
WEIGHTS = (0.1, 10.0)  # lowest and highest class weight


@dataclass(frozen=True)
class SplitReport:
    """What a split holds."""

    facts: Split
    pixels: dict[int, int]  # raw value -> pixels
    images: dict[int, int]  # raw value -> images that have it
    frequency: list[float]  # of each class: its share of the labeled pixels in images that have it; 0 if none has
    unlabeled: list[str]  # names of images without any class
    positions: dict[str, int]  # name -> place in the split
    sizes: dict[tuple[int, int], int]  # (height, width) -> images
    hashes: dict[str, np.ndarray]  # name -> bits; images with nothing in them have none
    problems: list[str]  # messages about samples that are not usable


def measure_split(samples: Iterable[RawSample | str], info: DatasetInfo, labels: bool = True) -> SplitReport:
    """Count what is in the samples of a split; values outside the label map count as ignored.

    Args:
        samples: in place of one that is not usable, a message.
        labels: whether the split has labels.

    Raises:
        UserError: no sample is usable.
    """
    counter = SplitCounter(len(info.classes))
    pixels: Counter[int] = Counter()
    images: Counter[int] = Counter()
    around = np.zeros(len(info.classes), np.int64)  # labeled pixels of the images that have a class
    own = np.zeros(len(info.classes), np.int64)
    unlabeled, problems, positions, hashes = [], [], {}, {}
    for position, sample in enumerate(samples):
        if isinstance(sample, str):
            problems.append(sample)
            continue
        positions[sample.name] = position
        raw, label = sample.counted(), sample.mapped(info)
        pixels.update(raw)
        images.update(raw.keys())
        counts = np.bincount(label.ravel(), minlength=256)
        ignored = {value: count for value, count in raw.items() if labels and info.label_map.get(value) == IGNORE}
        counter.count(counts, (label.shape[0], label.shape[1]), ignored, sample.notes)
        here = counts[: len(info.classes)]
        own += here
        around += (here > 0) * here.sum()
        if not here.any():
            unlabeled.append(sample.name)
        bits = difference_hash(sample.image)
        if bits is not None:
            hashes[sample.name] = bits
    frequency = (own / np.maximum(around, 1)).tolist()
    if not positions:
        raise UserError(f"none of {len(problems)} samples is usable:\n{listing(problems)}")
    facts, sizes = counter.facts(labels), dict(counter.sizes)
    return SplitReport(facts, dict(pixels), dict(images), frequency, unlabeled, positions, sizes, hashes, problems)


def difference_hash(image: np.ndarray) -> np.ndarray | None:
    """Which neighbors in a thumbnail are brighter, bool [128], to the right and below; None for an even image."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    across = cv2.resize(gray, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    down = cv2.resize(gray, (HASH_SIDE, HASH_SIDE + 1), interpolation=cv2.INTER_AREA).astype(np.int16)
    if across.std() < LEAST_CONTRAST:
        return None
    return np.concatenate([(np.diff(across, axis=1) > 0).ravel(), (np.diff(down, axis=0) > 0).ravel()])


def near_duplicates(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> list[tuple[str, str, int]]:
    """Pairs of names, one of each split, whose images look alike, and the bits in which they differ; nearest first."""
    if not first or not second:
        return []
    names = list(second)
    others = 2.0 * np.stack(list(second.values())).astype(np.float32) - 1
    found = []
    for name, bits in first.items():
        distances = (bits.size - others @ (2.0 * bits.astype(np.float32) - 1)) / 2
        found += [(name, names[index], int(distances[index])) for index in np.nonzero(distances <= NEAR)[0]]
    return sorted(found, key=lambda pair: (pair[2], pair[0], pair[1]))


def suggest_weights(frequency: Sequence[float]) -> list[float]:
    """Class weights by median frequency (Eigen and Fergus, 2015), within ``WEIGHTS``; 1 for a class without a pixel."""
    shares = np.array(frequency)
    present = shares > 0
    weights = np.ones(len(shares))
    if present.any():
        weights[present] = (np.median(shares[present]) / shares[present]).clip(*WEIGHTS)
    return weights.round(3).tolist()
