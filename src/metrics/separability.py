"""How close the features of a class lie together and how far classes lie apart, over a whole data set.

A pixel of the feature map counts if one class is pure enough in its cell of the label (`majority_label`). With

    f_p     the features of pixel p; of length 1 with distance ``cosine``, as they are with ``euclidean``
    mu_c    the mean of f_p over all pixels of class c in the data set; made to length 1 with ``cosine``
    d(x, y) 1 - x y with ``cosine``, |x - y| with ``euclidean``

the measures are

    intra of a class    mean over its pixels of d(f_p, mu_c)
    intra               mean of that over the classes that have a pixel
    inter               mean of d(mu_a, mu_b) over all pairs of such classes
    ratio               intra / inter: lower is better, and does not depend on the scale of the features

Sums are exact (float64) and of the size of the centers; one image is in memory at a time.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import UserError
from src.files import write_text
from src.metrics.positions import Runner, labeled_positions

TINY = 1e-12  # vectors shorter than this are not made longer


@dataclass(frozen=True)
class FeatureReport:
    """Distances within and between classes, and what the pictures are drawn from."""

    classes: list[str]
    distance: str
    pixels: np.ndarray  # [K] labeled pixels at the size of the feature map
    intra: np.ndarray  # [K], NaN where a class has no pixel
    between: np.ndarray  # [K, K] distances of the centers, NaN where one of them does not exist
    sample: np.ndarray  # [S, D] features of some pixels, about as many of each class
    sample_ids: np.ndarray  # [S] their classes
    channels: int
    images: int
    weights: str  # where they come from

    @property
    def present(self) -> np.ndarray:
        """Indices of the classes that have a pixel."""
        return np.flatnonzero(self.pixels)

    def totals(self) -> dict[str, float | None]:
        """``intra``, ``inter`` and ``ratio``; None where there are too few classes."""
        present = self.present
        pairs = self.between[np.ix_(present, present)][np.triu_indices(len(present), 1)]
        intra = float(self.intra[present].mean()) if present.size else None
        inter = float(pairs.mean()) if pairs.size else None
        return {"intra": intra, "inter": inter, "ratio": intra / inter if intra is not None and inter else None}

    def closest_class(self, index: int) -> tuple[str, float] | tuple[None, None]:
        """The class whose center is nearest to that of class ``index``, and how far it is."""
        others = np.where(np.arange(len(self.classes)) == index, np.nan, self.between[index])
        if np.isnan(others).all():
            return None, None
        other = int(np.nanargmin(others))
        return self.classes[other], float(others[other])

    def report(self) -> dict[str, Any]:
        """The contents of feature_report.json."""
        per_class = {}
        for index in self.present:
            other, distance = self.closest_class(index)
            per_class[self.classes[index]] = {
                "pixels": int(self.pixels[index]),
                "intra": float(self.intra[index]),
                "nearest": other,
                "nearest_distance": distance,
            }
        return {
            **self.totals(),
            "distance": self.distance,
            "per_class": per_class,
            "absent_classes": [name for name, count in zip(self.classes, self.pixels, strict=True) if not count],
            "images": self.images,
            "channels": self.channels,
            "weights": self.weights,
        }

    def table(self) -> str:
        """A line per class and the totals, for the console."""
        width = max(len(name) for name in [*self.classes, "class"])
        lines = [f"{'class':<{width}}{'pixels':>12}{'intra':>9}  {'nearest class':<{width}}{'distance':>10}"]
        for name, values in self.report()["per_class"].items():
            other, distance = values["nearest"] or "-", _number(values["nearest_distance"])
            line = f"{name:<{width}}{values['pixels']:>12}{values['intra']:>9.4f}  {other:<{width}}{distance:>10}"
            lines.append(line)
        totals = "  ".join(f"{name} {_number(value)}" for name, value in self.totals().items())
        lines.append(
            f"{totals}  ({self.distance} distance, {len(self.present)} of {len(self.classes)} classes, "
            f"{self.pixels.sum()} pixels of {self.images} images, {self.channels} channels)"
        )
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write feature_report.json, whole or not at all."""
        write_text(path, json.dumps(self.report(), indent=2) + "\n")


def measure_features(
    runner: Runner,
    samples: Iterable,
    classes: list[str],
    distance: str,
    weights: str,
    sample: int = 4000,
    seed: int = 0,
    ignore_index: int = 255,
    purity: float = 0.75,
) -> FeatureReport:
    """Measure the features that ``runner`` makes of ``samples``; euclidean distances take two passes over them.

    Args:
        runner: function from an image to features [1, D, h, w] (see ``src.inference.runner.features_runner``).
        samples: sized iterable of (image fp32 [1, 3, H, W], label int32 [H, W], name).
        distance: ``cosine`` or ``euclidean``.
        weights: where the weights come from, for the report.
        sample: number of pixels that are kept for the pictures, a K-th of it at most of a class.
        seed: of their choice.
        purity: what a pixel's cell needs to count, see ``src.models.layers.labels.majority_label``.

    Raises:
        UserError: no pixel is labeled, or features are not finite.
    """
    cosine, count = distance == "cosine", len(classes)
    rule = (count, ignore_index, purity)
    pixels, sums, images = np.zeros(count, np.int64), np.zeros((count, 1)), 0
    kept = _Sample(max(1, sample // count), seed)
    for features, ids in _pixels(runner, samples, cosine, *rule):
        present = np.unique(ids)
        members = (present[:, None] == ids).astype(np.float64)
        if not images:
            sums = np.zeros((count, features.shape[1]))
        sums[present] += members @ features
        pixels[present] += members.sum(1).astype(np.int64)
        kept.add(features, ids)
        images += 1
    if not pixels.any():
        raise UserError(f"{images} images without a labeled pixel: there is nothing to measure")
    centers = np.divide(sums, pixels[:, None], out=np.full(sums.shape, np.nan), where=pixels[:, None] > 0)
    if cosine:
        # The mean of f_p mu_c over a class is the length of its mean.
        length = np.linalg.norm(centers, axis=1, keepdims=True)
        intra = 1 - length[:, 0]
        centers = centers / np.maximum(length, TINY)
        between = 1 - centers @ centers.T
    else:
        total = np.zeros(count)
        for features, ids in _pixels(runner, samples, cosine, *rule):
            total += np.bincount(ids, np.linalg.norm(features - centers[ids], axis=1), count)
        intra = np.divide(total, pixels, out=np.full(count, np.nan), where=pixels > 0)
        between = np.stack([np.linalg.norm(centers - center, axis=1) for center in centers])
    channels = sums.shape[1]
    return FeatureReport(list(classes), distance, pixels, intra, between, *kept.all(), channels, images, weights)


def _pixels(runner: Runner, samples: Iterable, unit: bool, *rule) -> Iterator:
    """As `labeled_positions`; the features have length 1 with ``unit``."""
    for features, ids in labeled_positions(runner, samples, *rule):
        if unit:
            features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), TINY)
        yield features, ids


class _Sample:
    """A random choice of at most ``most`` pixels of each class of a stream: those with the smallest random numbers."""

    def __init__(self, most: int, seed: int):
        self.most, self.random = most, np.random.default_rng(seed)
        self.numbers: dict[int, np.ndarray] = {}
        self.features: dict[int, np.ndarray] = {}

    def add(self, features: np.ndarray, ids: np.ndarray) -> None:
        """features [P, D], ids [P]."""
        drawn = self.random.random(len(ids))
        for index in np.unique(ids).tolist():
            numbers, own = drawn[ids == index], features[ids == index].astype(np.float32)
            if index in self.numbers:
                numbers = np.concatenate([self.numbers[index], numbers])
                own = np.concatenate([self.features[index], own])
            first = np.argsort(numbers)[: self.most]
            self.numbers[index], self.features[index] = numbers[first], own[first]

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Features [S, D] and classes [S]."""
        ids = [np.full(len(own), index) for index, own in self.features.items()]
        return np.concatenate(list(self.features.values())), np.concatenate(ids)


def principal_components(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions in which ``features`` [S, D] vary most.

    Returns:
        positions along them [S, 2]; the share of the whole variance that each has [2].
    """
    features = np.pad(features, ((0, 0), (0, max(0, 2 - features.shape[1]))))
    centered = features - features.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    directions = vectors[:, ::-1][:, :2]
    # An eigenvector's sign is arbitrary: let its largest entry be positive.
    directions = directions * np.sign(directions[np.abs(directions).argmax(0), range(directions.shape[1])])
    return centered @ directions, values[::-1][:2] / max(values.sum(), TINY)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
